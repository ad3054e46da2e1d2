#include "job/step_model.h"

void step_outcome(struct job_state *s, enum job_outcome outcome, enum job_reason reason, int64_t now_s)
{
    if (s->outcome != OUTCOME_NONE)
        return; /* set once */
    s->outcome = outcome;
    s->reason = reason;
    s->outcome_s = now_s;
    s->due |= NOTICE_RESULT | NOTICE_RESULT_FILE;
}

/* A job without a machine has nothing to have succeeded with but publishing. */
static enum job_outcome kept_outcome(const struct job_state *s)
{
    return s->attempt > 0 ? OUTCOME_SUCCEEDED : OUTCOME_FAILED;
}

bool step_model(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s)
{
    struct job_state *s = &n->state;

    if (s->model == MODEL_NONE)
        return true;
    if ((s->model == MODEL_OFFERED && (seen->model == MODEL_VERIFIED || seen->model == MODEL_BROKEN)) ||
        (s->model == MODEL_VERIFIED && (seen->model == MODEL_COPIED || seen->model == MODEL_BROKEN || seen->model == MODEL_KEPT)) ||
        (s->model == MODEL_COPIED && (seen->model == MODEL_CURRENT || seen->model == MODEL_BROKEN)))
        s->model = seen->model;
    if (s->model == MODEL_VERIFIED && s->version == 0 && seen->line == YES)
        s->version = seen->version;
    if ((s->model == MODEL_OFFERED || s->model == MODEL_VERIFIED) && s->version == 0 && now_s >= s->model_since_s + t->publish_wait_s) {
        s->model = MODEL_KEPT;
        step_outcome(s, kept_outcome(s), REASON_PUBLISH_WAIT, now_s);
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
        step_outcome(s, OUTCOME_FAILED, REASON_MODEL, now_s);
        break;
    case MODEL_KEPT:
        step_outcome(s, kept_outcome(s), seen->kept, now_s); /* with the step that keeps it, or it is set already */
        break;
    case MODEL_CURRENT:
        step_outcome(s, OUTCOME_SUCCEEDED, REASON_PUBLISHED, now_s);
        break;
    case MODEL_NONE:
        break;
    }
    if (seen->line == NO)
        return true;
    n->act |= ACT_FREE_LINE;
    return false;
}
