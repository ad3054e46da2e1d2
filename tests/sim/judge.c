#include "judge.h"

#include "job/step.h"

bool judge_no(struct judge *j, const char *why, int job)
{
    snprintf(j->why, 200, "%s (job %d)", why, job);
    return false;
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

static void learn_manifest(struct attempt *a, const struct event *e)
{
    a->manifest = true;
    a->manifest_ms = e->at_ms;
    a->content = e->b != 0 ? e->a : -1;
    a->ended_ms = a->ended_ms != 0 ? a->ended_ms : e->at_ms;
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
        learn_manifest(a, e);
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

/* What is all handlers' or the whole job's. */
static void learn_shared(struct judge *j, const struct event *e)
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
}

void judge_learn(struct judge *j, const struct event *e)
{
    j->now_ms = e->at_ms;
    if (e->job >= 0 && e->attempt >= 0)
        learn(j, e);
    learn_shared(j, e);
}
