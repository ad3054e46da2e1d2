/* One schedule from one seed: what it is made of, and its loop. */
#include "oracle.h"
#include "sim.h"

uint64_t sim_random(struct sim *s)
{
    uint64_t z = s->rng += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

int64_t sim_between(struct sim *s, int64_t from, int64_t to)
{
    return to <= from ? from : from + (int64_t)(sim_random(s) % (uint64_t)(to - from + 1));
}

bool sim_chance(struct sim *s, int per_mille)
{
    return per_mille > 0 && (int)(sim_random(s) % 1000) < per_mille;
}

bool sim_trouble(struct sim *s, int per_mille)
{
    return s->now_ms < s->calm_ms && sim_chance(s, per_mille);
}

void sim_note(struct sim *s, enum event_kind kind, int job, int attempt, int64_t a, int64_t b)
{
    history_add(s->history,
                (struct event){.at_ms = s->now_ms, .a = a, .b = b, .kind = (uint8_t)kind, .job = (int8_t)job, .attempt = (int8_t)attempt});
}

int64_t sim_etag(struct sim *s)
{
    return ++s->next_etag;
}

static bool is_sooner(const struct due *a, const struct due *b)
{
    return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->tie < b->tie);
}

/* Whoever is due at the same moment goes in an order that the seed chooses. */
void sim_wake(struct sim *s, enum actor actor, int index, int64_t at_ms)
{
    struct due due = {.at_ms = at_ms, .tie = (uint32_t)sim_random(s), .kind = (int16_t)actor, .index = (int16_t)index};
    int at = s->heap_count++;

    if (at >= HEAP)
        __builtin_trap();
    for (; at > 0 && is_sooner(&due, &s->heap[(at - 1) / 2]); at = (at - 1) / 2)
        s->heap[at] = s->heap[(at - 1) / 2];
    s->heap[at] = due;
}

static struct due take_due(struct sim *s)
{
    struct due first = s->heap[0], last = s->heap[--s->heap_count];
    int at = 0;

    for (int child = 1; child < s->heap_count; child = 2 * at + 1) {
        if (child + 1 < s->heap_count && is_sooner(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!is_sooner(&s->heap[child], &last))
            break;
        s->heap[at] = s->heap[child];
        at = child;
    }
    s->heap[at] = last;
    return first;
}

/* One of several strengths, often none: many schedules must be quiet enough for the limits of time to be judged. */
static int strength(struct sim *s, int most)
{
    switch (sim_random(s) % 5) {
    case 0:
    case 1:
        return 0;
    case 2:
        return 1 + most / 20;
    case 3:
        return 1 + most / 5;
    default:
        return most;
    }
}

static void draw_profile(struct sim *s)
{
    struct profile *p = &s->p;

    *p = (struct profile){.jobs = (int)sim_between(s, 1, JOBS), .max_jobs = (int)sim_between(s, 1, 2)};
    p->late = strength(s, 40);
    p->refused = strength(s, 200);
    p->lost = strength(s, 100);
    p->killed = strength(s, 30);
    p->stale = strength(s, 900);
    p->machine_trouble = strength(s, 800);
    p->evictions = strength(s, 700);
    p->capacity_trouble = strength(s, 800);
    p->orders = strength(s, 500);
    p->delete_trouble = strength(s, 400);
    p->model_trouble = strength(s, 800);
    p->upload_trouble = strength(s, 600);
    p->twice = strength(s, 600);
    p->slack_deaf = sim_chance(s, 30);
    s->calm_ms = START_MS + (sim_chance(s, 100) ? 0 : sim_between(s, 10 * MINUTE, 240 * MINUTE));
    for (int i = 0; i < SERVICES; i++)
        if (sim_chance(s, 60)) {
            p->outage_from_ms[i] = START_MS + sim_between(s, 0, 120 * MINUTE);
            p->outage_to_ms[i] = p->outage_from_ms[i] + sim_between(s, MINUTE, 90 * MINUTE);
        }
}

static void draw_job(struct sim *s, int job)
{
    struct job *j = &s->job[job];
    int32_t run_s = (int32_t)sim_between(s, 20, 60) * 60;

    j->bad = sim_chance(s, 50);
    j->wishes = (int)sim_between(s, WISH_ALWAYS, WISH_NEVER);
    j->terms = (struct job_terms){.upload_wait_s = 300,
                                  .create_wait_s = (int32_t)sim_between(s, 5, 60) * 60,
                                  .silence_s = 900,
                                  .run_s = run_s,
                                  .run_max_s = run_s * 2,
                                  .publish_wait_s = (int32_t)sim_between(s, 5, 30) * 60,
                                  .tell_wait_s = 6 * 3600,
                                  .capacity_wait_s = (int32_t)sim_between(s, 5, 60) * 60,
                                  .boot_wait_s = 900,
                                  .evictions_max = (int32_t)sim_between(s, 0, 2),
                                  .sizes = (int32_t)sim_between(s, 1, SIZES),
                                  .regions = (int32_t)sim_between(s, 1, REGIONS),
                                  .spot = (int32_t)sim_between(s, SPOT_NEVER, SPOT_ONLY)};
    j->zip_ms = START_MS + (sim_trouble(s, s->p.upload_trouble) ? sim_between(s, 0, 60 * MINUTE) : 0);
    j->zip_leaves_ms = sim_trouble(s, s->p.upload_trouble / 4) ? START_MS + sim_between(s, 0, 60 * MINUTE) : NEVER;
    for (int i = 0; i <= ATTEMPTS; i++)
        j->attempt[i].group.next_ms = j->attempt[i].group.vm_ms = j->attempt[i].group.deployment_ends_ms = NEVER;
    if (sim_trouble(s, s->p.capacity_trouble / 8)) {
        int which = (int)sim_between(s, 1, 2);
        struct group *g = &j->attempt[which].group;
        *g = (struct group){.exists = true, .foreign = true, .vm_ms = NEVER, .deployment_ends_ms = NEVER, .next_ms = NEVER};
        sim_note(s, EVENT_GROUP_FOREIGN, job, which, 0, 0);
    }
    int64_t at_ms = START_MS + sim_between(s, 0, 30 * MINUTE);
    for (int times = sim_chance(s, s->p.twice) ? 3 : 1, i = 0; times > 0; i++)
        if (!s->message[i].exists) {
            s->message[i] = (struct message){.kind = MESSAGE_TRAIN, .exists = true, .job = job, .next_ms = at_ms};
            sim_wake(s, ACTOR_MESSAGE, i, at_ms);
            at_ms += sim_between(s, 0, 100);
            times--;
        }
}

/* Messages of people about a job that may be anywhere in its life. */
static void draw_orders(struct sim *s, int job)
{
    for (int kind = MESSAGE_CANCEL; kind <= MESSAGE_EXTEND; kind++)
        for (int i = 0, wanted = sim_trouble(s, s->p.orders); i < MESSAGES && wanted; i++)
            if (!s->message[i].exists) {
                int64_t at_ms = START_MS + sim_between(s, 0, 70 * MINUTE);
                s->message[i] = (struct message){.kind = (enum message_kind)kind, .exists = true, .job = job, .next_ms = at_ms};
                sim_wake(s, ACTOR_MESSAGE, i, at_ms);
                break;
            }
}

static void draw_capacity(struct sim *s)
{
    s->p.no_spot = sim_trouble(s, s->p.capacity_trouble / 8);
    for (int i = 0; i < SIZES * REGIONS * 2; i++)
        s->p.free_from_ms[i / 4][i / 2 % 2][i % 2] =
            sim_trouble(s, s->p.capacity_trouble) ? START_MS + sim_between(s, 0, 180 * MINUTE) : START_MS;
}

struct handler *handler_start(struct sim *s, int copy, enum errand_kind errand, int job, int message, int64_t until_ms)
{
    for (int i = 0; i < HANDLERS; i++) {
        struct handler *h = &s->handler[i];
        if (h->alive)
            continue;
        struct fiber *fiber = h->fiber;
        *h = (struct handler){.sim = s, .fiber = fiber, .index = i, .copy = copy, .errand = errand, .job = job, .message = message};
        h->alive = true;
        h->until_ms = until_ms;
        h->next_ms = s->now_ms;
        fiber_start(fiber, functions_run, h);
        sim_wake(s, ACTOR_HANDLER, i, s->now_ms);
        return h;
    }
    return NULL;
}

/* The process ends at once, with all that it was doing; what it had taken from a queue comes back. */
static void kill_copy(struct sim *s, int copy)
{
    sim_note(s, EVENT_KILL, -1, 0, copy, 0);
    for (int i = 0; i < HANDLERS; i++) {
        struct handler *h = &s->handler[i];
        if (!h->alive || h->copy != copy)
            continue;
        h->alive = false;
        if (h->errand == ERRAND_MESSAGE) {
            struct message *m = &s->message[h->message];
            m->next_ms = s->now_ms + sim_between(s, SECOND, 10 * MINUTE);
            sim_wake(s, ACTOR_MESSAGE, h->message, m->next_ms);
        }
    }
    s->up_ms[copy] = s->now_ms + sim_between(s, SECOND, 15 * SECOND);
}

static void run_handler(struct sim *s, struct handler *h)
{
    s->kill_copy = -1;
    if (!fiber_resume(h->fiber))
        h->alive = false;
    if (s->kill_copy >= 0)
        kill_copy(s, s->kill_copy);
}

static int copy_that_is_up(struct sim *s)
{
    int copy = sim_chance(s, 500) ? 1 : 0;

    if (s->now_ms < s->up_ms[copy])
        copy = 1 - copy;
    return s->now_ms < s->up_ms[copy] ? -1 : copy;
}

static void deliver(struct sim *s, int index)
{
    struct message *m = &s->message[index];
    int copy = copy_that_is_up(s);

    if (!m->exists)
        return;
    m->next_ms = NEVER;
    if (copy >= 0 && handler_start(s, copy, ERRAND_MESSAGE, m->job, index, s->now_ms + 120 * SECOND) != NULL) {
        sim_note(s, EVENT_DELIVER, m->job, m->attempt, m->kind, ++m->dequeued);
        return;
    }
    m->next_ms = s->now_ms + SECOND;
    sim_wake(s, ACTOR_MESSAGE, index, m->next_ms);
}

static bool is_watching(const struct sim *s, int copy)
{
    for (int i = 0; i < HANDLERS; i++)
        if (s->handler[i].alive && s->handler[i].copy == copy &&
            (s->handler[i].errand == ERRAND_WATCH || s->handler[i].errand == ERRAND_DRIVE))
            return true;
    return false;
}

static void watch(struct sim *s)
{
    int copy = copy_that_is_up(s);
    bool both = sim_trouble(s, s->p.twice / 4);

    s->watch_ms = (s->now_ms / MINUTE + 1) * MINUTE + sim_between(s, 0, SECOND);
    sim_wake(s, ACTOR_WATCH, 0, s->watch_ms);
    for (int i = 0; i < 2; i++)
        if ((i == copy || both) && s->now_ms >= s->up_ms[i] && !is_watching(s, i)) {
            sim_note(s, EVENT_WATCH, -1, 0, i, 0);
            handler_start(s, i, ERRAND_WATCH, -1, -1, s->now_ms + 120 * SECOND);
        }
}

/* Nothing is left that could move on its own. */
static bool is_still(const struct sim *s)
{
    if (s->now_ms < s->calm_ms && s->p.delete_trouble != 0 && s->now_ms < START_MS + 30 * MINUTE)
        return false;
    for (int i = 0; i < HANDLERS; i++)
        if (s->handler[i].alive)
            return false;
    for (int i = 0; i < MESSAGES; i++)
        if (s->message[i].exists)
            return false;
    for (int job = 0; job < s->p.jobs; job++) {
        if (s->job[job].marker.etag != 0 || s->job[job].record.etag == 0)
            return false;
        for (int a = 1; a <= ATTEMPTS; a++)
            if (s->job[job].attempt[a].group.exists && !s->job[job].attempt[a].group.foreign)
                return false;
    }
    return true;
}

static void run_due(struct sim *s, const struct due *due)
{
    int job = due->index / (ATTEMPTS + 1), attempt = due->index % (ATTEMPTS + 1);

    switch ((enum actor)due->kind) {
    case ACTOR_HANDLER:
        if (s->handler[due->index].alive && s->handler[due->index].next_ms == due->at_ms)
            run_handler(s, &s->handler[due->index]);
        break;
    case ACTOR_MESSAGE:
        if (s->message[due->index].next_ms == due->at_ms)
            deliver(s, due->index);
        break;
    case ACTOR_GROUP:
        if (s->job[job].attempt[attempt].group.next_ms == due->at_ms)
            arm_event(s, job, attempt);
        break;
    case ACTOR_MACHINE:
        if (s->job[job].attempt[attempt].group.vm.next_ms == due->at_ms)
            machine_event(s, job, attempt);
        break;
    case ACTOR_WATCH:
        watch(s);
        break;
    }
}

void schedule_run(struct sim *s, uint64_t seed, struct history *history)
{
    struct fiber *fiber[HANDLERS];

    for (int i = 0; i < HANDLERS; i++)
        fiber[i] = s->handler[i].fiber;
    *s =
        (struct sim){.seed = seed, .rng = seed * UINT64_C(0x2545f4914f6cdd1d) + 1, .now_ms = START_MS, .history = history, .kill_copy = -1};
    for (int i = 0; i < HANDLERS; i++)
        s->handler[i].fiber = fiber[i];
    s->line.job = -1;
    history->count = 0;
    draw_profile(s);
    draw_capacity(s);
    for (int job = 0; job < s->p.jobs; job++)
        draw_job(s, job);
    for (int job = 0; job < s->p.jobs; job++)
        draw_orders(s, job);
    s->end_ms = (s->calm_ms > START_MS + 2 * 60 * MINUTE ? s->calm_ms : START_MS + 2 * 60 * MINUTE) + 18 * 60 * MINUTE;
    watch(s);
    bool calm = false;
    while (s->heap_count > 0 && s->now_ms < s->end_ms) {
        struct due due = take_due(s);
        if (due.at_ms > s->now_ms)
            s->now_ms = due.at_ms;
        if (!calm && s->now_ms >= s->calm_ms) {
            calm = true;
            sim_note(s, EVENT_CALM, -1, 0, 0, 0);
        }
        if (due.kind == ACTOR_WATCH && is_still(s))
            break;
        run_due(s, &due);
    }
    sim_note(s, EVENT_END, -1, 0, s->now_ms < s->end_ms, 0);
}
