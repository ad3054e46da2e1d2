#include "job/step.h"

#include <stdbool.h>
#include <stddef.h>

const char *const job_machine_words[] = {"queued", "provisioning", "running", "deleting", "closed", NULL};
const char *const job_model_words[] = {"none", "offered", "verified", "copied", "current", "kept", "broken", NULL};
const char *const job_outcome_words[] = {"none", "succeeded", "failed", "timed_out", "rejected", NULL};
const char *const job_reason_words[] = {"none",   "message", "zip",   "refused",   "create_wait",  "report",    "no_model", "deadline",
                                        "silent", "gone",    "model", "published", "publish_wait", "line_task", NULL};

uint32_t job_untold(const struct job_state *state)
{
    return state->due & ~(state->told | state->untold);
}

struct job_state job_accepted(int64_t now_s)
{
    return (struct job_state){.accepted_s = now_s, .machine_since_s = now_s, .due = NOTICE_ACCEPTED};
}

static void set_outcome(struct job_state *s, enum job_outcome outcome, enum job_reason reason, int64_t now_s)
{
    if (s->outcome != OUTCOME_NONE)
        return; /* set once */
    s->outcome = outcome;
    s->reason = reason;
    s->outcome_s = now_s;
    s->due |= NOTICE_RESULT | NOTICE_RESULT_FILE;
}

struct job_state job_rejected(int64_t now_s)
{
    struct job_state s = {.accepted_s = now_s, .machine_since_s = now_s, .machine = MACHINE_DELETING};
    set_outcome(&s, OUTCOME_REJECTED, REASON_MESSAGE, now_s);
    return s;
}

/* Orders the machine of the present attempt. Times start anew with each order: a creation that was refused has cost nothing. */
static void order_creation(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    int32_t reserve = t->run_s / 10 > 600 ? t->run_s / 10 : 600;

    n->state.started_s = now_s;
    n->state.deadline_s = now_s + t->run_s;
    n->state.train_until_s = n->state.deadline_s - reserve;
    n->state.hard_stop_s = now_s + t->run_max_s;
    n->state.create_until_s = seen->until_s;
    n->act |= ACT_CREATE;
}

/* Every attempt that ends, however it ends, passes here. */
static void end_attempt(struct job_next *n, int64_t now_s)
{
    n->state.machine = MACHINE_DELETING;
    n->state.machine_since_s = now_s;
    if (n->state.attempt > 0)
        n->act |= ACT_FENCE | ACT_DELETE;
}

static void fail_attempt(struct job_next *n, enum job_outcome outcome, enum job_reason reason, int64_t now_s)
{
    set_outcome(&n->state, outcome, reason, now_s);
    end_attempt(n, now_s);
}

/* The manifest is the truth: a complete one outranks the report, and success without one is a failure. */
static bool result_is_there(struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    if (seen->manifest == YES) {
        n->state.model = MODEL_OFFERED;
        n->state.model_since_s = now_s;
        end_attempt(n, now_s);
        return true;
    }
    if (seen->reported != YES || seen->manifest != NO)
        return false;
    if (seen->report == OUTCOME_SUCCEEDED)
        fail_attempt(n, OUTCOME_FAILED, REASON_NO_MODEL, now_s);
    else
        fail_attempt(n, seen->report == OUTCOME_TIMED_OUT ? OUTCOME_TIMED_OUT : OUTCOME_FAILED, REASON_REPORT, now_s);
    return true;
}

/* An attempt is declared late, silent or gone only when storage has said that there is neither manifest nor report. */
static bool nothing_came(const struct job_seen *seen)
{
    return seen->manifest == NO && seen->reported == NO;
}

/* Past the deadline nothing more is waited for; when storage does not say what came, not for long. */
static bool is_late(const struct job_state *s, const struct job_seen *seen, int64_t now_s)
{
    return now_s >= s->deadline_s + (nothing_came(seen) ? 0 : LATE_S);
}

static void step_queued(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    int64_t waits_since_s = n->state.zip_whole_s > n->state.accepted_s ? n->state.zip_whole_s : n->state.accepted_s;

    n->look = LOOK_ZIP;
    if (seen->zip == YES && seen->slot == NO)
        n->state.zip_whole_s = now_s; /* who replaces it while the job waits for a slot gets the whole wait again */
    if (seen->zip == YES && seen->slot == UNSEEN) {
        n->act |= ACT_TAKE_SLOT;
    } else if (seen->zip == YES && seen->slot == YES) {
        n->state.machine = MACHINE_PROVISIONING;
        n->state.machine_since_s = now_s;
        n->state.attempt++;
        order_creation(t, n, seen, now_s);
    } else if ((seen->zip == NO && now_s >= waits_since_s + t->upload_wait_s) ||
               (seen->zip == UNSEEN && now_s >= waits_since_s + t->upload_wait_s + DEAF_S)) {
        fail_attempt(n, OUTCOME_REJECTED, REASON_ZIP, now_s);
    }
}

static void step_provisioning(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    struct job_state *s = &n->state;

    n->look = LOOK_RESULT | LOOK_DEPLOYMENT | LOOK_CLAIM;
    if (seen->deployment == YES || seen->claim == YES)
        s->create_until_s = 0;
    if (result_is_there(n, seen, now_s))
        return;
    if (seen->remedy == REMEDY_NO)
        fail_attempt(n, OUTCOME_FAILED, REASON_REFUSED, now_s);
    else if (seen->deployment == NO && s->create_until_s == 0 && nothing_came(seen))
        fail_attempt(n, OUTCOME_FAILED, REASON_GONE, now_s);
    else if (seen->claim == YES) {
        s->machine = MACHINE_RUNNING;
        s->machine_since_s = now_s;
        s->due |= NOTICE_STARTED;
    } else if (seen->deployment == NO && now_s > s->create_until_s + SETTLE_S) {
        if (now_s >= s->machine_since_s + t->create_wait_s)
            fail_attempt(n, OUTCOME_FAILED, REASON_CREATE_WAIT, now_s);
        else
            order_creation(t, n, seen, now_s);
    } else if (is_late(s, seen, now_s))
        fail_attempt(n, OUTCOME_TIMED_OUT, REASON_DEADLINE, now_s);
}

static void step_running(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    n->look = LOOK_RESULT | LOOK_STATUS | LOOK_VM;
    if (result_is_there(n, seen, now_s))
        return;
    if (is_late(&n->state, seen, now_s))
        fail_attempt(n, OUTCOME_TIMED_OUT, REASON_DEADLINE, now_s);
    else if (!nothing_came(seen))
        return;
    else if (seen->vm == NO)
        fail_attempt(n, OUTCOME_FAILED, REASON_GONE, now_s);
    else if (seen->vm == YES && seen->heartbeat_s > 0 && now_s - seen->heartbeat_s > t->silence_s)
        fail_attempt(n, OUTCOME_FAILED, REASON_SILENT, now_s);
}

/* The model's column: it moves on while the machine is being deleted. True once nothing is left to do for it. */
static bool step_model(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    struct job_state *s = &n->state;

    if (s->model == MODEL_NONE)
        return true;
    if ((s->model == MODEL_OFFERED && (seen->model == MODEL_VERIFIED || seen->model == MODEL_BROKEN)) ||
        (s->model == MODEL_VERIFIED && (seen->model == MODEL_COPIED || seen->model == MODEL_BROKEN || seen->model == MODEL_KEPT)) ||
        (s->model == MODEL_COPIED && seen->model == MODEL_CURRENT))
        s->model = seen->model;
    if (s->model == MODEL_VERIFIED && s->version == 0 && seen->line == YES)
        s->version = seen->version;
    if ((s->model == MODEL_OFFERED || s->model == MODEL_VERIFIED) && s->version == 0 && now_s >= s->model_since_s + t->publish_wait_s) {
        s->model = MODEL_KEPT;
        set_outcome(s, OUTCOME_SUCCEEDED, REASON_PUBLISH_WAIT, now_s);
    }
    switch (s->model) {
    case MODEL_OFFERED:
        n->act |= ACT_VERIFY;
        return false;
    case MODEL_VERIFIED:
        n->act |= s->version == 0 ? ACT_TAKE_LINE : ACT_COPY;
        return false;
    case MODEL_COPIED:
        n->act |= ACT_POINT;
        return false;
    case MODEL_BROKEN:
        set_outcome(s, OUTCOME_FAILED, REASON_MODEL, now_s);
        break;
    case MODEL_KEPT:
        set_outcome(s, OUTCOME_SUCCEEDED, REASON_LINE_TASK, now_s);
        break;
    case MODEL_CURRENT:
        set_outcome(s, OUTCOME_SUCCEEDED, REASON_PUBLISHED, now_s);
        break;
    case MODEL_NONE:
        break;
    }
    if (seen->line == NO)
        return true;
    n->act |= ACT_FREE_LINE;
    return false;
}

static void step_deleting(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    struct job_state *s = &n->state;
    if (seen->group == YES)
        s->gone_since_s = 0;
    else if (seen->group == NO && s->gone_since_s == 0 && (s->create_until_s == 0 || now_s > s->create_until_s + SETTLE_S))
        s->gone_since_s = now_s;
    /* Twice, a look apart: ARM's reads may lag, and after this nobody looks again. */
    bool gone = s->attempt == 0 || (seen->group == NO && s->gone_since_s > 0 && now_s >= s->gone_since_s + GONE_AGAIN_S);

    if (s->attempt > 0) {
        n->look = LOOK_GROUP;
        if (seen->group != NO)
            n->act |= ACT_DELETE;
    }
    if (seen->group == YES && now_s >= s->machine_since_s + STUCK_S)
        s->due |= NOTICE_STUCK;
    bool settled = step_model(t, n, seen, now_s);
    if (gone && seen->slot != NO)
        n->act |= ACT_FREE_SLOT;
    if (s->outcome != OUTCOME_NONE && now_s >= s->outcome_s + t->tell_wait_s)
        s->untold |= job_untold(s);
    if (gone && settled && seen->slot == NO && s->outcome != OUTCOME_NONE && job_untold(s) == 0) {
        s->machine = MACHINE_CLOSED;
        s->machine_since_s = now_s;
        n->act |= ACT_FORGET;
    }
}

/* People are told last, and never before a machine that can be ordered now; by one drive at a time, so that nobody reads it twice. */
static void tell_people(struct job_next *n, const struct job_state *before, int64_t now_s)
{
    bool news = (n->state.due & ~before->due) != 0;

    if (job_untold(&n->state) == 0 || (n->act & (ACT_TAKE_SLOT | ACT_CREATE)) != 0 || (!news && now_s < n->state.tell_at_s))
        return;
    n->act |= ACT_TELL;
    n->state.tell_at_s = now_s + TELL_AGAIN_S;
}

struct job_next job_step(const struct job_terms *terms, const struct job_state *state, const struct job_seen *seen, int64_t now_s)
{
    struct job_next n = {.state = *state};

    n.state.told |= seen->told & n.state.due;
    switch (state->machine) {
    case MACHINE_QUEUED:
        step_queued(terms, &n, seen, now_s);
        break;
    case MACHINE_PROVISIONING:
        step_provisioning(terms, &n, seen, now_s);
        break;
    case MACHINE_RUNNING:
        step_running(terms, &n, seen, now_s);
        break;
    case MACHINE_DELETING:
        step_deleting(terms, &n, seen, now_s);
        break;
    case MACHINE_CLOSED: /* another drive closed it: what this one took meanwhile is given back */
        n.act = ACT_FREE_LINE | ACT_FREE_SLOT | ACT_FORGET;
        break;
    }
    tell_people(&n, state, now_s);
    n.next_look_s = now_s + LOOK_AGAIN_S;
    return n;
}
