#include "job/step.h"

#include "job/step_attempt.h"
#include "job/step_model.h"

uint32_t job_untold(const struct job_state *state)
{
    return state->due & ~(state->told | state->untold);
}

struct job_state job_accepted(int64_t now_s)
{
    return (struct job_state){.accepted_s = now_s, .machine_since_s = now_s, .due = NOTICE_ACCEPTED};
}

struct job_state job_rejected(int64_t now_s)
{
    struct job_state s = {.accepted_s = now_s, .machine_since_s = now_s, .machine = MACHINE_DELETING};
    step_outcome(&s, OUTCOME_REJECTED, REASON_MESSAGE, now_s);
    return s;
}

struct job_state job_released(int64_t now_s)
{
    return (struct job_state){
        .accepted_s = now_s, .machine_since_s = now_s, .machine = MACHINE_DELETING, .model = MODEL_OFFERED, .model_since_s = now_s};
}

/* The manifest is the truth: a complete one outranks the report, and success without one is a failure. */
static bool result_is_there(struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    if (seen->manifest == YES) {
        n->state.model = MODEL_OFFERED;
        n->state.model_since_s = now_s;
        step_end(n, now_s);
        return true;
    }
    if (seen->reported != YES || seen->manifest != NO)
        return false;
    n->state.ran = 1; /* only a machine reports */
    if (seen->report == OUTCOME_SUCCEEDED)
        step_fail(n, OUTCOME_FAILED, REASON_NO_MODEL, now_s);
    else
        step_fail(n, seen->report == OUTCOME_TIMED_OUT ? OUTCOME_TIMED_OUT : OUTCOME_FAILED, REASON_REPORT, now_s);
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
    return nothing_came(seen) ? seen->at_s >= s->deadline_s : now_s >= s->deadline_s + LATE_S;
}

static void step_queued(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    int64_t waits_since_s = n->state.zip_whole_s > n->state.accepted_s ? n->state.zip_whole_s : n->state.accepted_s;

    if (n->state.cancelled) {
        step_fail(n, OUTCOME_CANCELLED, REASON_CANCELLED, now_s);
        return;
    }
    n->look = LOOK_ZIP;
    if (seen->zip == YES && seen->slot == NO)
        n->state.zip_whole_s = now_s; /* who replaces it while the job waits for a slot gets the whole wait again */
    if (seen->zip == YES && seen->slot == UNSEEN) {
        n->act |= ACT_TAKE_SLOT;
    } else if (seen->zip == YES && seen->slot == YES) {
        step_start(t, n, seen, now_s);
    } else if ((seen->zip == NO && seen->at_s >= waits_since_s + t->upload_wait_s) ||
               (seen->zip == UNSEEN && now_s >= waits_since_s + t->upload_wait_s + DEAF_S)) {
        step_fail(n, OUTCOME_REJECTED, REASON_ZIP, now_s);
    }
}

/* After an attempt that ended: the data was whole before, so only the time and a slot are waited for. */
static void step_queued_again(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    if (n->state.cancelled)
        step_fail_between(n, OUTCOME_CANCELLED, REASON_CANCELLED, now_s);
    else if (n->state.ran && now_s >= n->state.train_until_s)
        step_fail_between(n, OUTCOME_TIMED_OUT, REASON_DEADLINE, now_s);
    else if (now_s < n->state.not_before_s)
        return;
    else if (seen->slot == UNSEEN)
        n->act |= ACT_TAKE_SLOT;
    else if (seen->slot == YES)
        step_start(t, n, seen, now_s);
}

/* Twice, a look apart, as with a group: ARM's reads may lag behind what was made. */
static bool machine_is_gone(struct job_state *s, const struct job_seen *seen, int64_t now_s)
{
    if (seen->vm == YES)
        s->lost_since_s = 0;
    else if (seen->vm == NO && s->lost_since_s == 0)
        s->lost_since_s = now_s;
    return seen->vm == NO && seen->at_s >= s->lost_since_s + GONE_AGAIN_S;
}

/* No claim in boot_wait_s after the last order; when storage does not say whether there is one, not for long. */
static bool boot_is_late(const struct job_terms *t, const struct job_state *s, const struct job_seen *seen, int64_t now_s)
{
    int64_t until_s = s->ordered_s + t->boot_wait_s;
    bool proof = seen->claim == NO && nothing_came(seen);

    return t->boot_wait_s > 0 && s->ordered_s > 0 && (proof ? seen->at_s >= until_s : now_s >= until_s + LATE_S);
}

static void step_provisioning(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    struct job_state *s = &n->state;

    n->look = LOOK_RESULT | LOOK_DEPLOYMENT | LOOK_VM | LOOK_CLAIM;
    if (seen->deployment == YES) /* a claim is no proof that ARM's reads no longer lag */
        s->create_until_s = 0;
    if (seen->deployment == YES && seen->ready != YES) /* its machine need not be there yet */
        s->lost_since_s = 0;
    if (result_is_there(n, seen, now_s))
        return;
    if (s->cancelled)
        step_fail(n, OUTCOME_CANCELLED, REASON_CANCELLED, now_s);
    else if (seen->claim == YES) { /* it works, whatever became of its deployment */
        s->machine = MACHINE_RUNNING;
        s->machine_since_s = now_s;
        s->ran = 1;
        s->lost_since_s = 0;
        s->rounds = 0;
        s->refused_s = 0;
        s->due |= NOTICE_STARTED;
    } else if (seen->remedy > REMEDY_WAIT)
        step_refused(t, n, seen->remedy, now_s);
    else if (seen->deployment == NO && s->create_until_s == 0 && nothing_came(seen) && machine_is_gone(s, seen, now_s))
        step_fail(n, OUTCOME_FAILED, REASON_GONE, now_s);
    else if (seen->ready == YES && machine_is_gone(s, seen, now_s) && seen->claim == NO && nothing_came(seen))
        step_lost(t, n, now_s);
    else if (seen->deployment == NO && s->create_until_s > 0 && seen->at_s > s->create_until_s + SETTLE_S) {
        if (now_s >= s->machine_since_s + t->create_wait_s)
            step_fail(n, OUTCOME_FAILED, REASON_CREATE_WAIT, now_s);
        else
            step_order(t, n, seen, now_s);
    } else if (is_late(s, seen, now_s))
        step_fail(n, OUTCOME_TIMED_OUT, REASON_DEADLINE, now_s);
    else if (boot_is_late(t, s, seen, now_s))
        step_boot_failed(n, now_s);
}

/* Its last sign of life, as far as storage says: the claim is the first. 0: not known (a status that cannot be read is not old). */
static int64_t last_sign_s(const struct job_state *s, const struct job_seen *seen)
{
    return seen->status == NO ? s->machine_since_s : seen->status == YES ? seen->heartbeat_s : 0;
}

static void step_running(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    n->look = LOOK_RESULT | LOOK_STATUS | LOOK_VM;
    if (result_is_there(n, seen, now_s))
        return;
    int64_t sign_s = last_sign_s(&n->state, seen);
    bool gone = machine_is_gone(&n->state, seen, now_s);
    if (n->state.cancelled)
        step_fail(n, OUTCOME_CANCELLED, REASON_CANCELLED, now_s);
    else if (is_late(&n->state, seen, now_s))
        step_fail(n, OUTCOME_TIMED_OUT, REASON_DEADLINE, now_s);
    else if (!nothing_came(seen))
        return;
    else if (gone)
        step_lost(t, n, now_s);
    else if (seen->off == YES)
        step_fail(n, OUTCOME_FAILED, REASON_GONE, now_s);
    else if (seen->vm == YES && sign_s > 0 && seen->at_s - sign_s > t->silence_s)
        step_fail(n, OUTCOME_FAILED, REASON_SILENT, now_s);
}

/* Twice, a look apart: ARM's reads may lag, and after this nobody looks again. */
static bool group_is_gone(struct job_state *s, const struct job_seen *seen, int64_t now_s)
{
    if (seen->group == YES)
        s->gone_since_s = 0;
    else if (seen->group == NO && s->gone_since_s == 0 && (s->create_until_s == 0 || seen->at_s > s->create_until_s + SETTLE_S))
        s->gone_since_s = now_s;
    return s->attempt == 0 || (seen->group == NO && s->gone_since_s > 0 && seen->at_s >= s->gone_since_s + GONE_AGAIN_S);
}

/* The attempt is gone and the job has neither outcome nor model: the next one. Who waits for capacity lets others have the slot. */
static void step_next_attempt(struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    struct job_state *s = &n->state;

    if (now_s < s->not_before_s && seen->slot != NO) {
        n->act |= ACT_FREE_SLOT;
        /* A release may arrive late, and must not give away the slot of the next attempt. */
        if (s->not_before_s < seen->until_s + SETTLE_S)
            s->not_before_s = seen->until_s + SETTLE_S;
        return;
    }
    s->machine = MACHINE_QUEUED;
    s->machine_since_s = now_s;
    s->gone_since_s = 0;
    s->create_until_s = 0;
}

static void step_deleting(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    struct job_state *s = &n->state;
    bool gone = group_is_gone(s, seen, now_s);

    if (s->cancelled && s->model == MODEL_NONE)
        step_outcome(s, OUTCOME_CANCELLED, REASON_CANCELLED, now_s);
    if (s->attempt > 0) {
        n->look = LOOK_GROUP;
        if (seen->group != NO)
            n->act |= ACT_DELETE;
    }
    if (s->outcome == OUTCOME_NONE && s->model == MODEL_NONE && s->attempt > 0) {
        n->look |= LOOK_RESULT; /* it may have delivered while it was being given up */
        if (seen->manifest == YES) {
            s->model = MODEL_OFFERED;
            s->model_since_s = now_s;
        }
    }
    if (seen->group == YES && (seen->locked == YES || now_s >= s->machine_since_s + STUCK_S))
        s->due |= NOTICE_STUCK;
    if (gone) { /* over, told or not; of the next attempt's machine it is news again */
        s->due &= ~(uint32_t)NOTICE_STUCK;
        s->told &= ~(uint32_t)NOTICE_STUCK;
    }
    bool settled = step_model(t, n, seen, now_s);
    if (s->outcome == OUTCOME_NONE && s->model == MODEL_NONE) {
        if (gone)
            step_next_attempt(n, seen, now_s);
        return;
    }
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

/* What a message asks for. A job that has its outcome, or a model on its way, is past it. */
static void take_order(const struct job_terms *t, struct job_next *n, const struct job_seen *seen)
{
    struct job_state *s = &n->state;

    if (seen->control == YES)
        s->control = 0;
    if (s->outcome != OUTCOME_NONE || s->model != MODEL_NONE || seen->order == ORDER_NONE)
        return;
    if (seen->order == ORDER_CANCEL)
        s->cancelled = 1;
    int64_t run_s = seen->extend_s < t->run_max_s ? seen->extend_s : t->run_max_s;
    if (seen->order == ORDER_EXTEND && run_s > (s->run_s > 0 ? s->run_s : t->run_s)) {
        s->run_s = run_s;
        s->control = s->started_s > 0;
        if (s->started_s > 0)
            step_set_times(t, s);
    }
}

/* People are told last, and never before a machine that can be ordered now; by one drive at a time, so that nobody reads it twice. */
static void tell_people(struct job_next *n, const struct job_state *before, int64_t now_s)
{
    bool news = (job_untold(&n->state) & ~job_untold(before)) != 0;

    if (job_untold(&n->state) == 0 || (n->act & (ACT_TAKE_SLOT | ACT_CREATE)) != 0 || (!news && now_s < n->state.tell_at_s))
        return;
    n->act |= ACT_TELL;
    n->state.tell_at_s = now_s + TELL_AGAIN_S;
}

struct job_next job_step(const struct job_terms *terms, const struct job_state *state, const struct job_seen *seen, int64_t now_s)
{
    struct job_next n = {.state = *state};

    n.state.told |= seen->told & n.state.due;
    take_order(terms, &n, seen);
    switch (state->machine) {
    case MACHINE_QUEUED:
        if (state->attempt == 0)
            step_queued(terms, &n, seen, now_s);
        else
            step_queued_again(terms, &n, seen, now_s);
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
    if (n.state.control && (n.state.machine == MACHINE_PROVISIONING || n.state.machine == MACHINE_RUNNING))
        n.act |= ACT_CONTROL;
    tell_people(&n, state, now_s);
    n.next_look_s = now_s + LOOK_AGAIN_S;
    return n;
}
