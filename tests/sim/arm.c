/* Azure Resource Manager: groups, deployments, VMs, by name; asynchronous, with reads that lag. */
#include <string.h>

#include "sim.h"

struct group *arm_group(struct sim *s, int job, int attempt)
{
    return &s->job[job].attempt[attempt < ATTEMPTS ? attempt : ATTEMPTS].group;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void plan(struct sim *s, int job, int attempt)
{
    struct group *g = arm_group(s, job, attempt);

    g->next_ms = g->deleting ? g->deletion_ends_ms : sooner(g->vm_ms, g->deployment_ends_ms);
    if (g->next_ms != NEVER)
        sim_wake(s, ACTOR_GROUP, job * (ATTEMPTS + 1) + attempt, g->next_ms);
}

static bool is_visible(struct sim *s, const struct group *g, int64_t visible_ms, int job, int attempt)
{
    bool hidden = s->now_ms < visible_ms || (s->now_ms >= g->stale_from_ms && s->now_ms < g->stale_to_ms);

    if (hidden)
        sim_note(s, EVENT_FAULT, job, attempt, FAULT_STALE, SERVICE_ARM);
    return !hidden;
}

enum seen arm_look_group(struct handler *h, int job, int attempt, bool *foreign, bool *leaving)
{
    struct sim *s = h->sim;
    const struct group *g = arm_group(s, job, attempt);

    *foreign = *leaving = false;
    if (!call_out(h, SERVICE_ARM))
        return UNSEEN;
    bool there = g->exists && is_visible(s, g, g->visible_ms, job, attempt);
    bool is_foreign = there && g->foreign, is_leaving = there && g->deleting;
    if (!g->exists && g->gone_ms > 0 && s->now_ms < g->gone_ms + 20 * SECOND && sim_trouble(s, s->p.stale))
        there = is_leaving = true; /* an old picture */
    if (!call_back(h, SERVICE_ARM))
        return UNSEEN;
    *foreign = is_foreign;
    *leaving = is_leaving;
    return there ? YES : NO;
}

enum seen arm_look_deployment(struct handler *h, int job, int attempt, enum deployment_state *state, enum job_remedy *remedy)
{
    struct sim *s = h->sim;
    const struct group *g = arm_group(s, job, attempt);

    *state = DEPLOYMENT_NONE;
    if (!call_out(h, SERVICE_ARM))
        return UNSEEN;
    bool there = g->exists && !g->foreign && g->deployment != DEPLOYMENT_NONE && is_visible(s, g, g->deployment_visible_ms, job, attempt);
    enum deployment_state is = there ? g->deployment : DEPLOYMENT_NONE;
    enum job_remedy asks = g->remedy;
    if (!call_back(h, SERVICE_ARM))
        return UNSEEN;
    *state = is;
    *remedy = asks;
    return there ? YES : NO;
}

enum seen arm_look_vm(struct handler *h, int job, int attempt, bool *on)
{
    struct sim *s = h->sim;
    const struct group *g = arm_group(s, job, attempt);

    if (!call_out(h, SERVICE_ARM))
        return UNSEEN;
    bool there = g->exists && g->vm.exists, is_on = !g->vm.off;
    if (!call_back(h, SERVICE_ARM))
        return UNSEEN;
    *on = is_on;
    return there ? YES : NO;
}

/* How long reads may not know of what was accepted now: never longer than SETTLE_S after create_until. */
static int64_t lag_until(struct sim *s, int64_t create_until_s)
{
    if (!sim_trouble(s, s->p.stale))
        return s->now_ms;
    return later(s->now_ms, sooner(s->now_ms + sim_between(s, 0, 100 * SECOND), (create_until_s + SETTLE_S) * SECOND));
}

bool arm_put_group(struct handler *h, int job, int attempt, int64_t create_until_s, bool *fresh)
{
    struct sim *s = h->sim;
    struct group *g = arm_group(s, job, attempt);

    if (!call_out(h, SERVICE_ARM))
        return false;
    bool made = !(g->exists && g->deleting);
    bool is_new = made && (!g->exists || g->foreign);
    if (is_new) {
        *g = (struct group){.exists = true, .vm_ms = NEVER, .deployment_ends_ms = NEVER, .deletion_ends_ms = NEVER, .next_ms = NEVER};
        g->visible_ms = lag_until(s, create_until_s);
        if (sim_trouble(s, s->p.stale / 4)) { /* a replica that still does not know: shorter than two looks are apart */
            g->stale_from_ms = g->visible_ms + sim_between(s, 0, 60 * SECOND);
            g->stale_to_ms = sooner(g->stale_from_ms + 25 * SECOND, (create_until_s + SETTLE_S) * SECOND);
        }
        if (sim_trouble(s, s->p.delete_trouble / 2))
            g->locked_until_ms = s->now_ms + sim_between(s, MINUTE, 180 * MINUTE);
        sim_note(s, EVENT_GROUP_PUT, job, attempt, g->visible_ms - s->now_ms, 0);
    }
    *fresh = is_new;
    return call_back(h, SERVICE_ARM) && made;
}

static void accept_deployment(struct sim *s, int job, const struct record *rec, enum job_remedy fails)
{
    struct group *g = arm_group(s, job, rec->state.attempt);

    g->deployment = DEPLOYMENT_RUNNING;
    g->deployment_visible_ms = later(g->visible_ms, lag_until(s, rec->state.create_until_s));
    g->hard_stop_s = rec->state.hard_stop_s;
    g->vm_ms = later(g->deployment_visible_ms, s->now_ms + sim_between(s, 10 * SECOND, 60 * SECOND));
    if (sim_trouble(s, s->p.machine_trouble / 4))
        g->vm_ms += sim_between(s, 0, 60 * MINUTE);
    g->deployment_ends_ms = g->vm_ms + sim_between(s, 10 * SECOND, 60 * SECOND);
    g->spot = job_on_spot(&rec->terms, &rec->state);
    g->deployment_fails = fails != REMEDY_NONE || sim_trouble(s, s->p.machine_trouble / 8);
    g->remedy = fails != REMEDY_NONE ? fails : REMEDY_BOOT;
    if (fails != REMEDY_NONE)
        g->vm_ms = NEVER;
    sim_note(s, EVENT_DEPLOY, job, rec->state.attempt, rec->state.deadline_s, g->deployment_visible_ms - s->now_ms);
    plan(s, job, rec->state.attempt);
}

/* What stands against this machine at this place now. */
static enum job_remedy refusal(struct sim *s, const struct record *rec)
{
    bool spot = job_on_spot(&rec->terms, &rec->state);

    if (sim_trouble(s, s->p.capacity_trouble / 16))
        return sim_chance(s, 500) ? REMEDY_WAIT : REMEDY_NO;
    if (spot && s->p.no_spot)
        return REMEDY_NO_SPOT;
    if (s->now_ms >= s->p.free_from_ms[rec->state.size][rec->state.region][spot])
        return REMEDY_NONE;
    return spot && sim_chance(s, 300) ? REMEDY_ON_DEMAND : sim_chance(s, 300) ? REMEDY_REGION : REMEDY_SIZE;
}

bool arm_put_deployment(struct handler *h, int job, const struct record *rec, enum job_remedy *remedy)
{
    struct sim *s = h->sim;
    struct group *g = arm_group(s, job, rec->state.attempt);
    bool taken = true;

    *remedy = REMEDY_WAIT;
    if (!call_out(h, SERVICE_ARM))
        return false;
    enum job_remedy asks = REMEDY_NO;
    if (!g->exists || g->foreign || g->deleting) {
        taken = false;
        asks = g->exists && g->deleting ? REMEDY_WAIT : REMEDY_NO;
    } else if (g->deployment == DEPLOYMENT_NONE) {
        asks = refusal(s, rec);
        taken = asks == REMEDY_NONE || (asks != REMEDY_WAIT && sim_chance(s, 500)); /* at once, or after a while */
        if (taken)
            accept_deployment(s, job, rec, asks);
        else
            sim_note(s, EVENT_DEPLOY_REFUSED, job, rec->state.attempt, asks, 0);
    }
    bool heard = call_back(h, SERVICE_ARM);
    if (heard)
        *remedy = asks;
    return heard && taken;
}

void arm_cancel(struct handler *h, int job, int attempt)
{
    struct sim *s = h->sim;
    struct group *g = arm_group(s, job, attempt);

    if (!call_out(h, SERVICE_ARM))
        return;
    if (g->exists && g->deployment == DEPLOYMENT_RUNNING && !g->deleting) {
        bool works = !sim_trouble(s, s->p.delete_trouble);
        sim_note(s, EVENT_DEPLOY_CANCEL, job, attempt, works, 0);
        if (works) {
            g->deployment = DEPLOYMENT_CANCELED;
            g->vm_ms = g->deployment_ends_ms = NEVER;
            plan(s, job, attempt);
        }
    }
    call_back(h, SERVICE_ARM);
}

bool arm_delete(struct handler *h, int job, int attempt, bool *locked)
{
    struct sim *s = h->sim;
    struct group *g = arm_group(s, job, attempt);

    if (!call_out(h, SERVICE_ARM))
        return false;
    *locked = false;
    bool refuses = g->exists && s->now_ms < sooner(g->locked_until_ms, s->calm_ms);
    if (refuses)
        sim_note(s, EVENT_GROUP_REFUSES, job, attempt, 0, 0);
    else if (g->exists && !g->deleting) {
        g->deleting = true;
        g->delete_fails = sim_trouble(s, s->p.delete_trouble);
        g->deletion_ends_ms = s->now_ms + sim_between(s, 5 * SECOND, sim_trouble(s, s->p.delete_trouble) ? 60 * MINUTE : 4 * MINUTE);
        sim_note(s, EVENT_GROUP_DELETE, job, attempt, !g->foreign, g->deletion_ends_ms - s->now_ms);
        plan(s, job, attempt);
    }
    if (!call_back(h, SERVICE_ARM))
        return false;
    *locked = refuses;
    return !refuses;
}

static void deletion_ends(struct sim *s, int job, int attempt)
{
    struct group *g = arm_group(s, job, attempt);

    g->deleting = false;
    g->deletion_ends_ms = NEVER;
    if (g->delete_fails) {
        sim_note(s, EVENT_GROUP_STAYS, job, attempt, 0, 0);
        if (sim_chance(s, 500) && g->vm.exists)
            machine_end(s, job, attempt, true);
        return;
    }
    if (g->vm.exists)
        machine_end(s, job, attempt, true);
    *g = (struct group){.gone_ms = s->now_ms, .vm_ms = NEVER, .deployment_ends_ms = NEVER, .deletion_ends_ms = NEVER, .next_ms = NEVER};
    sim_note(s, EVENT_GROUP_GONE, job, attempt, 0, 0);
}

void arm_event(struct sim *s, int job, int attempt)
{
    struct group *g = arm_group(s, job, attempt);

    if (g->deleting && s->now_ms >= g->deletion_ends_ms)
        deletion_ends(s, job, attempt);
    if (!g->deleting && s->now_ms >= g->vm_ms) {
        g->vm_ms = NEVER;
        machine_boot(s, job, attempt);
    }
    if (!g->deleting && s->now_ms >= g->deployment_ends_ms) {
        g->deployment_ends_ms = NEVER;
        g->deployment = g->deployment_fails ? DEPLOYMENT_FAILED : DEPLOYMENT_SUCCEEDED;
        sim_note(s, g->deployment_fails ? EVENT_DEPLOY_FAILED : EVENT_DEPLOY_DONE, job, attempt, 0, 0);
    }
    plan(s, job, attempt);
}
