/* One request and its answer, and all that can go wrong on either way. */
#include "sim.h"

void call_wait(struct handler *h, int64_t ms)
{
    struct sim *s = h->sim;

    if (s->heap_count == 0 || s->heap[0].at_ms > s->now_ms + ms) { /* nothing happens meanwhile: no need to change stacks */
        s->now_ms += ms;
        return;
    }
    h->next_ms = s->now_ms + ms;
    sim_wake(s, ACTOR_HANDLER, h->index, h->next_ms);
    fiber_wait(h->fiber);
}

static void die(struct handler *h)
{
    h->sim->kill_copy = h->copy;
    for (;;)
        fiber_wait(h->fiber);
}

static enum fault_kind draw(struct sim *s, enum service service)
{
    const struct profile *p = &s->p;

    if (service == SERVICE_SLACK && p->slack_deaf)
        return FAULT_OUTAGE;
    if (s->now_ms >= s->calm_ms)
        return FAULT_NONE;
    if (s->now_ms >= p->outage_from_ms[service] && s->now_ms < p->outage_to_ms[service])
        return FAULT_OUTAGE;
    int luck = (int)(sim_random(s) % 1000);
    if ((luck -= p->late) < 0)
        return FAULT_LATE;
    if ((luck -= p->refused) < 0)
        return FAULT_REFUSED;
    if ((luck -= p->lost) < 0)
        return FAULT_LOST;
    if ((luck -= p->killed) < 0)
        return luck % 2 != 0 ? FAULT_KILL_BEFORE : FAULT_KILL_AFTER;
    return FAULT_NONE;
}

bool call_out(struct handler *h, enum service service)
{
    struct sim *s = h->sim;

    if (s->now_ms >= h->until_ms)
        return false; /* the invocation's budget is spent */
    h->fault = draw(s, service);
    if (h->fault != FAULT_NONE)
        sim_note(s, EVENT_FAULT, h->job, 0, h->fault, service);
    if (h->fault == FAULT_KILL_BEFORE)
        die(h);
    int64_t takes_ms = sim_between(s, 2, 40);
    if (h->fault == FAULT_LATE) {
        takes_ms = sim_between(s, SECOND, 150 * SECOND);
        if (s->now_ms + takes_ms > h->until_ms + 20 * SECOND) /* the caller has given up by then, and it arrives all the same */
            takes_ms = h->until_ms + sim_between(s, 0, 20 * SECOND) - s->now_ms;
    }
    call_wait(h, takes_ms);
    return h->fault != FAULT_REFUSED && h->fault != FAULT_OUTAGE;
}

bool call_back(struct handler *h, enum service service)
{
    struct sim *s = h->sim;

    (void)service;
    if (h->fault == FAULT_KILL_AFTER)
        die(h);
    call_wait(h, h->fault == FAULT_LOST ? sim_between(s, SECOND, 10 * SECOND) : sim_between(s, 2, 40));
    return h->fault != FAULT_LOST && s->now_ms < h->until_ms;
}
