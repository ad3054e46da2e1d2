#include "job/step.h"
#include "judge.h"

/* P3: one machine of a job at work, from its claim on. */
static bool claims(struct judge *j, const struct event *e)
{
    struct job *job = &j->job[e->job];

    for (int i = 0; i < ATTEMPTS_MAX; i++)
        if (job->attempt[i].working)
            return judge_no(j, "P3: two machines of one job are at work", e->job);
    if (job->closed)
        return judge_no(j, "P3: a machine works for a job that is closed", e->job);
    struct attempt *a = &job->attempt[e->attempt];
    if (job->control_ms > 0 && job->control_ms < a->deadline_ms && job->disturbed_ms < a->deployed_ms && j->disturbed_ms < a->deployed_ms)
        return judge_no(j, "a machine is told an older deadline than its own", e->job);
    a->working = a->claimed = true;
    a->claimed_ms = e->at_ms;
    return true;
}

static bool exists(struct judge *j, const struct event *e)
{
    struct job *job = &j->job[e->job];

    job->attempt[e->attempt].exists = true;
    for (int i = 0; i < ATTEMPTS_MAX; i++)
        if (i != e->attempt && job->attempt[i].group)
            return judge_no(j, "P3: an attempt's machine was made before the former group was gone", e->job);
    if (++j->existing > j->d->max_jobs)
        return judge_no(j, "more machines exist than MAX_JOBS", e->job);
    return true;
}

static bool group_made(struct judge *j, const struct event *e)
{
    struct job *job = &j->job[e->job];

    if (job->closed)
        return judge_no(j, "P2: a group is made for a job that is closed", e->job);
    if (job->attempt[e->attempt].foreign)
        return judge_no(j, "P3: somebody else's group was taken over", e->job);
    job->attempt[e->attempt].group = job->attempt[e->attempt].ever_ours = true;
    job->attempt[e->attempt].requested = false;
    return true;
}

/* P2: when the deletion had to be requested at the latest, counted from the end and from whatever held it up. */
static bool in_time(struct judge *j, const struct job *job, const struct attempt *a, int64_t since_ms)
{
    int64_t limit_ms = IN_TIME_MS;

    if (since_ms < a->cancelled_ms)
        since_ms = a->cancelled_ms;
    if (since_ms < job->disturbed_ms)
        since_ms = job->disturbed_ms;
    if (since_ms < j->disturbed_ms)
        since_ms = j->disturbed_ms;
    if (j->killed_ms > 0 && since_ms < j->killed_ms + AFTER_KILL_MS)
        limit_ms = AFTER_KILL_MS;
    return j->now_ms <= since_ms + limit_ms;
}

/* The ends that nobody reports: the deadline, a machine that never claims, one whose heartbeats have stopped. */
static int64_t ended_by_time(const struct judge *j, const struct attempt *a)
{
    int64_t stops_ms = a->silent_ms > 0 && (a->worked_ms == 0 || a->silent_ms < a->worked_ms) ? a->silent_ms : a->worked_ms;

    if (a->deadline_ms > 0 && j->now_ms >= a->deadline_ms)
        return a->deadline_ms;
    if (a->deployed_ms > 0 && !a->claimed && j->now_ms >= a->deployed_ms + RENEWED_MS + BOOT_MS)
        return a->deployed_ms + RENEWED_MS + BOOT_MS;
    if (a->claimed && a->exists && stops_ms > 0 && j->now_ms >= stops_ms + SILENCE_MS)
        return stops_ms + SILENCE_MS;
    return 0;
}

static bool on_time(struct judge *j, const struct event *e)
{
    const struct job *job = &j->job[e->job];
    const struct attempt *a = &j->job[e->job].attempt[e->attempt];
    int64_t ended_ms = a->ended_ms != 0 ? a->ended_ms : ended_by_time(j, a);
    if (ended_ms == 0 || a->requested || !a->group)
        return true;
    return in_time(j, job, a, ended_ms) ||
           judge_no(j, "P2: the deletion was not requested within 2 minutes of the end (3 after a kill)", e->job);
}

static bool deletion(struct judge *j, const struct event *e)
{
    struct attempt *a = &j->job[e->job].attempt[e->attempt];

    if (e->a == 0 || a->foreign)
        return judge_no(j, "P3: a group is deleted that is not the job's", e->job);
    if (!on_time(j, e))
        return false;
    a->requested = true;
    if (a->given_up_ms == 0)
        a->given_up_ms = e->at_ms;
    return true;
}

/* Whether the reason is true of what has happened in the world. */
static bool is_deserved(const struct judge *j, const struct job *job, const struct attempt *a)
{
    switch ((enum job_reason)job->reason) {
    case REASON_MESSAGE:
        return !a->ever_ours;
    case REASON_REFUSED:
        return a->refused || a->failed || a->foreign || !a->group;
    case REASON_CANCELLED:
        return job->asked_to_end;
    case REASON_CAPACITY:
        return a->refused || a->failed;
    case REASON_BOOT:
        return !a->claimed || a->failed || a->claimed_ms >= a->deployed_ms + BOOT_MS - MS;
    case REASON_EVICTED:
        return a->evicted;
    case REASON_REPORT:
        return a->reported == OUTCOME_FAILED || a->reported == OUTCOME_TIMED_OUT;
    case REASON_NO_MODEL:
        return a->reported == OUTCOME_SUCCEEDED && a->content < 0;
    case REASON_DEADLINE:
        /* a model that came while nothing disturbed the view of it is not late */
        return j->now_ms >= a->deadline_ms - (a->group ? 0 : RESERVE_MS) &&
               (!a->manifest || a->content < 0 || (a->given_up_ms > 0 && a->given_up_ms < a->manifest_ms) ||
                a->manifest_ms + IN_TIME_MS > j->now_ms || job->disturbed_ms > a->manifest_ms || j->disturbed_ms > a->manifest_ms);
    case REASON_SILENT:
        return a->worked_ms > 0 || a->silent_ms > 0;
    case REASON_GONE:
        return a->vm_gone || !a->group || a->hidden;
    case REASON_MODEL:
    case REASON_PUBLISH_WAIT:
        return a->manifest;
    case REASON_GATE:
        return a->manifest && a->content >= 0 && job->version == 0;
    case REASON_PUBLISHED:
    case REASON_LINE_TASK:
        return a->manifest && a->content >= 0;
    default:
        return true;
    }
}

/* P4: the bytes that were verified are in the container, and nobody else published that version. */
static bool is_published(struct judge *j, const struct event *e)
{
    int64_t content = j->job[e->job].attempt[e->attempt].content;
    int64_t version = j->job[e->job].version;

    if (content < 0 || version <= 0 || version > j->current)
        return judge_no(j, "P4: published is said without a pointer to its version", e->job);
    for (int i = 0; i < FILES; i++)
        if (j->copied[version][i] != content * 8 + (i == FILES - 1 ? 7 : i) || j->publisher[version] != e->job + 1)
            return judge_no(j, "P4: published is said, and the bytes are not those that were verified", e->job);
    return true;
}

static bool outcome(struct judge *j, const struct event *e)
{
    struct job *job = &j->job[e->job];

    if (job->outcomes++ > 0)
        return judge_no(j, "P1: the outcome was set twice", e->job);
    job->outcome = e->a;
    job->reason = e->b;
    job->outcome_ms = e->at_ms;
    if (e->a == OUTCOME_NONE || e->b == REASON_NONE)
        return judge_no(j, "P1: an outcome without a reason", e->job);
    if (!is_deserved(j, job, &job->attempt[e->attempt]))
        return judge_no(j, "P1: the reason is not what happened", e->job);
    return e->b != REASON_PUBLISHED || is_published(j, e);
}

static bool closed(struct judge *j, const struct event *e)
{
    struct job *job = &j->job[e->job];

    if (job->closed++ > 0)
        return judge_no(j, "the record was closed twice", e->job);
    job->closed_ms = e->at_ms;
    if (job->outcomes != 1)
        return judge_no(j, "P1: closed without an outcome", e->job);
    for (int i = 0; i < ATTEMPTS_MAX; i++)
        if (job->attempt[i].group)
            return judge_no(j, "P2: closed, and a group is still there", e->job);
    if (job->told[NOTICE_RESULT] == 0 && !j->d->slack_deaf && e->at_ms < job->outcome_ms + 6 * 3600 * MS)
        return judge_no(j, "P1: closed before people were told", e->job);
    return true;
}

/* The line is taken only for what the gate lets through, as things stand at that very moment. */
static bool line_taken(struct judge *j, const struct event *e)
{
    int64_t wish = e->b / WISHES, baseline = e->b % WISHES;

    if (wish == WISH_NEVER)
        return judge_no(j, "the gate: what is never to be published takes the line", e->job);
    if (wish != WISH_ALWAYS && baseline != j->current)
        return judge_no(j, "the gate: what was compared with another version takes the line", e->job);
    if (wish == WISH_TIE && baseline > 0)
        return judge_no(j, "the gate: what is no better takes the line", e->job);
    return true;
}

static bool copied(struct judge *j, const struct event *e)
{
    int64_t version = e->a / 8;

    if (version <= 0 || version >= VERSIONS_MAX)
        return judge_no(j, "a version out of range", e->job);
    if (j->publisher[version] != 0 && j->publisher[version] != e->job + 1)
        return judge_no(j, "P4: two jobs publish one version", e->job);
    if (version == j->current && j->copied[version][e->a % 8] != e->b)
        return judge_no(j, "P4: files of the current version are overwritten", e->job);
    j->publisher[version] = e->job + 1;
    j->copied[version][e->a % 8] = e->b;
    return true;
}

static bool points(struct judge *j, const struct event *e)
{
    if (e->a <= j->current)
        return judge_no(j, "P4: the pointer went back", e->job);
    if (e->a >= VERSIONS_MAX || j->publisher[e->a] != e->job + 1)
        return judge_no(j, "P4: the pointer names a version that another job made", e->job);
    j->current = e->a;
    j->job[e->job].version = e->a;
    return true;
}

static bool told(struct judge *j, const struct event *e)
{
    struct job *job = &j->job[e->job];

    job->told[e->a]++;
    if (e->a != NOTICE_RESULT && e->a != NOTICE_RESULT_FILE)
        return true;
    if (job->outcomes != 1 || e->b != job->outcome * 100 + job->reason)
        return judge_no(j, "P1: people are told another outcome than the record's", e->job);
    return true;
}

static bool judge_one(struct judge *j, const struct event *e)
{
    judge_learn(j, e);
    switch ((enum event_kind)e->kind) {
    case EVENT_CLAIM:
        return claims(j, e);
    case EVENT_VM:
        return exists(j, e);
    case EVENT_VM_GONE:
        j->existing--;
        j->job[e->job].attempt[e->attempt].exists = false;
        j->job[e->job].attempt[e->attempt].vm_gone = true;
        return true;
    case EVENT_GROUP_PUT:
        return group_made(j, e);
    case EVENT_GROUP_DELETE:
        return deletion(j, e);
    case EVENT_OUTCOME:
        return outcome(j, e);
    case EVENT_CLOSED:
        return closed(j, e);
    case EVENT_LINE:
        return line_taken(j, e);
    case EVENT_COPY:
        return copied(j, e);
    case EVENT_POINT:
        return points(j, e);
    case EVENT_TOLD:
        return told(j, e);
    default:
        return true;
    }
}

/* Every attempt that has ended is looked at whenever time has passed. */
static bool judge_time(struct judge *j, int jobs)
{
    for (int job = 0; job < jobs; job++)
        for (int i = 1; i < ATTEMPTS_MAX; i++) {
            struct event e = {.job = (int8_t)job, .attempt = (int8_t)i};
            if (j->job[job].attempt[i].group && !on_time(j, &e))
                return false;
        }
    return true;
}

/* What a drive that was late has taken for a closed job stays when that drive is disturbed; whoever wants it next finds it free. */
static bool is_excused(const struct judge *j, const struct job *job, int64_t taken_ms)
{
    return job->closed == 1 && taken_ms > job->closed_ms && (job->disturbed_ms >= taken_ms || j->disturbed_ms >= taken_ms);
}

static bool judge_end(struct judge *j)
{
    for (int i = 0; i < j->d->jobs; i++) {
        const struct job *job = &j->job[i];
        if (job->asked && job->accepts != 1)
            return judge_no(j, "P1: a message was never accepted", i);
        if (job->outcomes != 1)
            return judge_no(j, "P1: an accepted message has no outcome at the end", i);
        if (job->closed != 1)
            return judge_no(j, "P2: never closed", i);
        if (job->marker)
            return judge_no(j, "a live/ marker is left", i);
        if (job->slot && !is_excused(j, job, job->slot_ms))
            return judge_no(j, "a slot is left", i);
        for (int k = 0; k < ATTEMPTS_MAX; k++)
            if (job->attempt[k].group)
                return judge_no(j, "P2: a group is left", i);
        if (!j->d->slack_deaf && (job->told[NOTICE_RESULT] == 0 || (job->reason != REASON_MESSAGE && job->told[NOTICE_ACCEPTED] == 0)))
            return judge_no(j, "P1: people were never told", i);
    }
    return j->line_of == 0 || is_excused(j, &j->job[j->line_of - 1], j->line_ms) || judge_no(j, "the line is left", j->line_of - 1);
}

bool oracle_judge(const struct history *h, const struct demands *d, char why[200], size_t *at)
{
    struct judge j = {.d = d, .why = why};
    int64_t last_ms = 0;

    for (int i = 0; i < JOBS_MAX; i++)
        for (int k = 0; k < ATTEMPTS_MAX; k++)
            j.job[i].attempt[k].content = -1;
    for (*at = 0; *at < h->count; (*at)++) {
        const struct event *e = &h->event[*at];
        if (!judge_one(&j, e))
            return false;
        if (e->at_ms != last_ms && !judge_time(&j, d->jobs))
            return false;
        last_ms = e->at_ms;
    }
    return judge_end(&j);
}
