#include "oracle.h"

#include <string.h>

#include "job/step.h"

#define JOBS_MAX 8
#define ATTEMPTS_MAX 48
#define VERSIONS_MAX 32
#define FILES 3
#define MS 1000
#define IN_TIME_MS (120 * MS)
#define AFTER_KILL_MS (180 * MS)
#define RENEWED_MS 180000 /* how much later the order may be renewed, while its deployment is not visible */
#define BOOT_MS (15 * 60 * MS)
#define SILENCE_MS (16 * 60 * MS) /* a heartbeat a minute, 15 min old */
#define RESERVE_MS (20 * 60 * MS) /* that late no other attempt is begun */

struct attempt {
    bool group, foreign, ever_ours, working, exists, requested, fenced;
    int64_t ended_ms;    /* its machine has reported, or is past its deadline */
    int64_t deadline_ms; /* as the deployment says */
    int64_t content;     /* that its manifest names; -1: no good manifest */
    int64_t cancelled_ms, reported, silent_ms, worked_ms;
    int64_t given_up_ms, manifest_ms, deployed_ms, claimed_ms;
    bool refused, failed, vm_gone, claimed, manifest, hidden, evicted;
};
struct job {
    struct attempt attempt[ATTEMPTS_MAX];
    int accepts, outcomes, closed, line;
    int64_t outcome, reason, version, accept_ms, outcome_ms, closed_ms, ordered_ms, control_ms;
    bool marker, slot, asked, asked_to_end;
    int64_t slot_ms;
    int told[32];
    int64_t told_outcome;
    int64_t disturbed_ms; /* the last fault that may have held it up */
};
struct judge {
    struct job job[JOBS_MAX];
    int64_t copied[VERSIONS_MAX][FILES];
    int publisher[VERSIONS_MAX]; /* job + 1 */
    int64_t current, killed_ms, disturbed_ms, now_ms;
    int existing, line_of; /* line_of: job + 1 */
    int64_t line_ms;
    const struct demands *d;
    char *why;
};

static bool no(struct judge *j, const char *why, int job)
{
    snprintf(j->why, 200, "%s (job %d)", why, job);
    return false;
}

/* P3: one machine of a job at work, from its claim on. */
static bool claims(struct judge *j, const struct event *e)
{
    struct job *job = &j->job[e->job];

    for (int i = 0; i < ATTEMPTS_MAX; i++)
        if (job->attempt[i].working)
            return no(j, "P3: two machines of one job are at work", e->job);
    if (job->closed)
        return no(j, "P3: a machine works for a job that is closed", e->job);
    struct attempt *a = &job->attempt[e->attempt];
    if (job->control_ms > 0 && job->control_ms < a->deadline_ms && job->disturbed_ms < a->deployed_ms && j->disturbed_ms < a->deployed_ms)
        return no(j, "a machine is told an older deadline than its own", e->job);
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
            return no(j, "P3: an attempt's machine was made before the former group was gone", e->job);
    if (++j->existing > j->d->max_jobs)
        return no(j, "more machines exist than MAX_JOBS", e->job);
    return true;
}

static bool group_made(struct judge *j, const struct event *e)
{
    struct job *job = &j->job[e->job];

    if (job->closed)
        return no(j, "P2: a group is made for a job that is closed", e->job);
    if (job->attempt[e->attempt].foreign)
        return no(j, "P3: somebody else's group was taken over", e->job);
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
    return in_time(j, job, a, ended_ms) || no(j, "P2: the deletion was not requested within 2 minutes of the end (3 after a kill)", e->job);
}

static bool deletion(struct judge *j, const struct event *e)
{
    struct attempt *a = &j->job[e->job].attempt[e->attempt];

    if (e->a == 0 || a->foreign)
        return no(j, "P3: a group is deleted that is not the job's", e->job);
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
        return no(j, "P4: published is said without a pointer to its version", e->job);
    for (int i = 0; i < FILES; i++)
        if (j->copied[version][i] != content * 8 + (i == FILES - 1 ? 7 : i) || j->publisher[version] != e->job + 1)
            return no(j, "P4: published is said, and the bytes are not those that were verified", e->job);
    return true;
}

static bool outcome(struct judge *j, const struct event *e)
{
    struct job *job = &j->job[e->job];

    if (job->outcomes++ > 0)
        return no(j, "P1: the outcome was set twice", e->job);
    job->outcome = e->a;
    job->reason = e->b;
    job->outcome_ms = e->at_ms;
    if (e->a == OUTCOME_NONE || e->b == REASON_NONE)
        return no(j, "P1: an outcome without a reason", e->job);
    if (!is_deserved(j, job, &job->attempt[e->attempt]))
        return no(j, "P1: the reason is not what happened", e->job);
    return e->b != REASON_PUBLISHED || is_published(j, e);
}

static bool closed(struct judge *j, const struct event *e)
{
    struct job *job = &j->job[e->job];

    if (job->closed++ > 0)
        return no(j, "the record was closed twice", e->job);
    job->closed_ms = e->at_ms;
    if (job->outcomes != 1)
        return no(j, "P1: closed without an outcome", e->job);
    for (int i = 0; i < ATTEMPTS_MAX; i++)
        if (job->attempt[i].group)
            return no(j, "P2: closed, and a group is still there", e->job);
    if (job->told[NOTICE_RESULT] == 0 && !j->d->slack_deaf && e->at_ms < job->outcome_ms + 6 * 3600 * MS)
        return no(j, "P1: closed before people were told", e->job);
    return true;
}

static bool copied(struct judge *j, const struct event *e)
{
    int64_t version = e->a / 8;

    if (version <= 0 || version >= VERSIONS_MAX)
        return no(j, "a version out of range", e->job);
    if (j->publisher[version] != 0 && j->publisher[version] != e->job + 1)
        return no(j, "P4: two jobs publish one version", e->job);
    if (version == j->current && j->copied[version][e->a % 8] != e->b)
        return no(j, "P4: files of the current version are overwritten", e->job);
    j->publisher[version] = e->job + 1;
    j->copied[version][e->a % 8] = e->b;
    return true;
}

static bool points(struct judge *j, const struct event *e)
{
    if (e->a <= j->current)
        return no(j, "P4: the pointer went back", e->job);
    if (e->a >= VERSIONS_MAX || j->publisher[e->a] != e->job + 1)
        return no(j, "P4: the pointer names a version that another job made", e->job);
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
        return no(j, "P1: people are told another outcome than the record's", e->job);
    return true;
}

static void later(int64_t *a, int64_t b)
{
    if (b > *a)
        *a = b;
}

/* What may have held up a job, or all: a call that takes long holds up the next round too. */
static void disturb(struct judge *j, const struct event *e)
{
    int64_t until_ms = e->at_ms + (e->a == FAULT_LATE ? 150 * MS : 0);

    if (e->job >= 0)
        later(&j->job[e->job].disturbed_ms, until_ms);
    if (e->job < 0 || e->a == FAULT_LATE)
        later(&j->disturbed_ms, until_ms);
}

/* What an attempt's world tells; nothing of it can be wrong by itself. */
static void learn(struct judge *j, const struct event *e)
{
    struct attempt *a = &j->job[e->job].attempt[e->attempt];

    switch ((enum event_kind)e->kind) {
    case EVENT_DEPLOY:
        a->deadline_ms = e->a * MS;
        a->deployed_ms = e->at_ms;
        break;
    case EVENT_DEPLOY_REFUSED:
        a->refused = true;
        break;
    case EVENT_DEPLOY_FAILED:
        a->failed = true;
        break;
    case EVENT_DEPLOY_CANCEL: /* of a running deployment: its cancellation in time, then the deletion in as much again */
        a->failed = a->failed || e->a != 0;
        if (a->cancelled_ms == 0)
            a->cancelled_ms = e->at_ms;
        break;
    case EVENT_REST:
    case EVENT_VM_OFF:
        a->working = false;
        a->worked_ms = e->at_ms;
        a->vm_gone = true;
        break;
    case EVENT_EVICT:
        a->evicted = true;
        break;
    case EVENT_CONTROL:
        if (a->deadline_ms > 0)
            a->deadline_ms = e->a * MS;
        j->job[e->job].control_ms = e->a * MS;
        break;
    case EVENT_SILENT:
        a->silent_ms = e->b;
        break;
    case EVENT_MANIFEST:
        a->manifest = true;
        a->manifest_ms = e->at_ms;
        a->content = e->b != 0 ? e->a : -1;
        a->ended_ms = a->ended_ms != 0 ? a->ended_ms : e->at_ms;
        break;
    case EVENT_REPORT:
        a->reported = e->a;
        a->ended_ms = a->ended_ms != 0 ? a->ended_ms : e->at_ms;
        break;
    case EVENT_GROUP_GONE:
        a->group = a->requested = false;
        break;
    case EVENT_GROUP_STAYS:
    case EVENT_GROUP_REFUSES:
        a->requested = false;
        a->ended_ms = e->at_ms;
        later(&j->job[e->job].disturbed_ms, e->at_ms);
        break;
    case EVENT_GROUP_FOREIGN:
        a->foreign = true;
        break;
    default:
        break;
    }
}

static bool judge_shared(struct judge *j, const struct event *e)
{
    struct job *job = &j->job[e->job < 0 ? 0 : e->job];

    switch ((enum event_kind)e->kind) {
    case EVENT_KILL:
        j->killed_ms = e->at_ms;
        later(&j->disturbed_ms, e->at_ms);
        break;
    case EVENT_FAULT:
        if (e->a == FAULT_STALE)
            job->attempt[e->attempt].hidden = true;
        disturb(j, e);
        break;
    case EVENT_MARKER_PUT:
        job->marker = true;
        break;
    case EVENT_MARKER_GONE:
        job->marker = false;
        break;
    case EVENT_ACCEPT:
        job->accepts++;
        job->accept_ms = e->at_ms;
        break;
    case EVENT_SLOT:
    case EVENT_SLOT_WAIT:
        job->slot = true;
        job->slot_ms = e->at_ms;
        break;
    case EVENT_SLOT_FREE:
        job->slot = false;
        break;
    case EVENT_LINE:
        j->line_of = e->job + 1;
        j->line_ms = e->at_ms;
        break;
    case EVENT_LINE_FREE:
        j->line_of = 0;
        break;
    case EVENT_ORDER:
        job->ordered_ms = e->a == ORDER_CANCEL && job->ordered_ms == 0 ? e->at_ms : job->ordered_ms;
        break;
    case EVENT_DELIVER:
        job->asked = job->asked || e->a == 0;
        job->asked_to_end = job->asked_to_end || e->a == 2;
        break;
    default:
        break;
    }
    return true;
}

static bool judge_one(struct judge *j, const struct event *e)
{
    j->now_ms = e->at_ms;
    if (e->job >= 0 && e->attempt >= 0)
        learn(j, e);
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
    case EVENT_COPY:
        return copied(j, e);
    case EVENT_POINT:
        return points(j, e);
    case EVENT_TOLD:
        return told(j, e);
    default:
        return judge_shared(j, e);
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
            return no(j, "P1: a message was never accepted", i);
        if (job->outcomes != 1)
            return no(j, "P1: an accepted message has no outcome at the end", i);
        if (job->closed != 1)
            return no(j, "P2: never closed", i);
        if (job->marker)
            return no(j, "a live/ marker is left", i);
        if (job->slot && !is_excused(j, job, job->slot_ms))
            return no(j, "a slot is left", i);
        for (int k = 0; k < ATTEMPTS_MAX; k++)
            if (job->attempt[k].group)
                return no(j, "P2: a group is left", i);
        if (!j->d->slack_deaf && (job->told[NOTICE_RESULT] == 0 || (job->reason != REASON_MESSAGE && job->told[NOTICE_ACCEPTED] == 0)))
            return no(j, "P1: people were never told", i);
    }
    return j->line_of == 0 || is_excused(j, &j->job[j->line_of - 1], j->line_ms) || no(j, "the line is left", j->line_of - 1);
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
