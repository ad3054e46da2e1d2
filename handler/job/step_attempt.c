#include "job/step_attempt.h"

#include "job/place.h"
#include "job/step_model.h"

bool job_on_spot(const struct job_terms *terms, const struct job_state *state)
{
    return terms->spot != SPOT_NEVER && !state->on_demand;
}

void step_set_times(const struct job_terms *t, struct job_state *s)
{
    int64_t run_s = s->run_s > 0 ? s->run_s : t->run_s, reserve = run_s / 10 > 600 ? run_s / 10 : 600;

    s->hard_stop_s = s->started_s + t->run_max_s;
    s->deadline_s = s->started_s + run_s;
    s->train_until_s = s->deadline_s - reserve;
}

void step_order(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    n->state.ordered_s = now_s;
    n->state.create_until_s = seen->until_s;
    n->state.control = n->state.run_s > 0; /* what it is told must follow these times */
    n->act |= ACT_CREATE;
    if (n->state.ran)
        return;
    n->state.started_s = now_s;
    step_set_times(t, &n->state);
}

void step_end(struct job_next *n, int64_t now_s)
{
    n->state.machine = MACHINE_DELETING;
    n->state.machine_since_s = now_s;
    n->state.gone_since_s = 0;
    if (n->state.attempt > 0)
        n->act |= ACT_FENCE | ACT_DELETE;
}

void step_fail(struct job_next *n, enum job_outcome outcome, enum job_reason reason, int64_t now_s)
{
    step_outcome(&n->state, outcome, reason, now_s);
    step_end(n, now_s);
    if (n->state.ran && outcome != OUTCOME_CANCELLED)
        n->act |= ACT_EVIDENCE;
}

/* Ends the attempt without an outcome: another follows once its group is gone. */
static void try_again(struct job_next *n, enum job_reason reason, bool tell, int64_t now_s)
{
    n->state.ended = reason;
    step_end(n, now_s);
    if (!tell)
        return;
    n->state.due |= NOTICE_AGAIN;
    n->state.told &= ~(uint32_t)NOTICE_AGAIN;
}

void step_fail_between(struct job_next *n, enum job_outcome outcome, enum job_reason reason, int64_t now_s)
{
    step_outcome(&n->state, outcome, reason, now_s);
    n->state.machine = MACHINE_DELETING;
    n->state.machine_since_s = now_s;
}

void step_start(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    n->state.machine = MACHINE_PROVISIONING;
    n->state.machine_since_s = now_s;
    n->state.attempt++;
    n->state.lost_since_s = 0;
    step_order(t, n, seen, now_s);
}

/* A machine that did not come up gets one more try. */
void step_boot_failed(struct job_next *n, int64_t now_s)
{
    n->state.ran = 1;
    if (n->state.boots++ < BOOTS_MAX) {
        try_again(n, REASON_BOOT, true, now_s);
        n->act |= ACT_EVIDENCE;
    } else
        step_fail(n, OUTCOME_FAILED, REASON_BOOT, now_s);
}

/* A Spot machine that is no longer there was taken back: another goes on where it stopped. Any other was deleted by somebody. */
void step_lost(const struct job_terms *t, struct job_next *n, int64_t now_s)
{
    struct job_state *s = &n->state;

    s->ran = 1;
    if (!job_on_spot(t, s)) {
        step_fail(n, OUTCOME_FAILED, REASON_GONE, now_s);
        return;
    }
    if (++s->evictions > t->evictions_max && t->spot == SPOT_ONLY)
        step_fail(n, OUTCOME_FAILED, REASON_EVICTED, now_s);
    else {
        s->on_demand = s->evictions > t->evictions_max;
        try_again(n, REASON_EVICTED, true, now_s);
    }
}

void step_refused(const struct job_terms *t, struct job_next *n, enum job_remedy remedy, int64_t now_s)
{
    struct job_state *s = &n->state;

    if (remedy == REMEDY_BOOT) {
        step_boot_failed(n, now_s);
        return;
    }
    if (remedy == REMEDY_NO || (remedy == REMEDY_NO_SPOT && t->spot == SPOT_ONLY)) {
        step_fail(n, OUTCOME_FAILED, REASON_REFUSED, now_s);
        return;
    }
    if (s->refused_s == 0)
        s->refused_s = now_s;
    bool elsewhere = place_next(t, s, remedy);
    if (!elsewhere && now_s >= s->refused_s + t->capacity_wait_s) {
        step_fail(n, OUTCOME_FAILED, REASON_CAPACITY, now_s);
        return;
    }
    try_again(n, REASON_CAPACITY, !elsewhere && s->rounds == 0, now_s);
    s->not_before_s = elsewhere ? 0 : now_s + place_wait_s(s->rounds++);
}
