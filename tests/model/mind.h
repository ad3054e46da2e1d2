/* mind.h - what one drive has in its head, for the model checker: the loop of controller/drive.c cut open, so that two of them can be
 * interleaved. All decisions are job_step's. Included into the checker that spin writes. */
#include <stdlib.h>
#include <string.h>

#include "job/step.h"

#define SHARED_ACTS (uint32_t)(ACT_CREATE | ACT_FENCE | ACT_DELETE) /* what others can see */

#ifndef KEEPS
#define KEEPS 0 /* 1: the gate keeps every model */
#endif

enum todo { TODO_NOTHING, TODO_LOOK, TODO_SAVE, TODO_ACT };

struct mind {
    struct job_state state, next;
    struct job_seen seen;
    uint32_t look, looked, act, later, acted, dirty; /* later: acts that nobody else sees */
};

/* Short limits, so that few steps of a minute reach all of them. */
static const struct job_terms TERMS = {.upload_wait_s = 60,
                                       .create_wait_s = 300,
                                       .silence_s = 600,
                                       .run_s = 360,
                                       .run_max_s = 720,
                                       .publish_wait_s = 180,
                                       .tell_wait_s = 600,
                                       .capacity_wait_s = 120,
                                       .boot_wait_s = 240,
                                       .evictions_max = 0,
                                       .sizes = 2,
                                       .regions = 1,
                                       .spot = SPOT_PREFER};

/* Every mind that was ever seen, once: the checker's states hold its number, and stay small. Number 0 is an empty one. */
#define MINDS_MAX (1 << 22)
static struct mind *minds;
static int *mind_table, minds_count;

static struct mind mind_at(int number)
{
    return number == 0 ? (struct mind){0} : minds[number];
}

static int mind_keep(const struct mind *m)
{
    static const struct mind empty;
    const unsigned char *byte = (const unsigned char *)m;
    uint64_t hash = 14695981039346656037u;

    if (minds == NULL) {
        minds = malloc(MINDS_MAX / 2 * sizeof *minds);
        mind_table = calloc(MINDS_MAX, sizeof *mind_table);
    }
    if (memcmp(m, &empty, sizeof empty) == 0)
        return 0;
    for (size_t i = 0; i < sizeof *m; i++)
        hash = (hash ^ byte[i]) * 1099511628211u;
    for (size_t at = (hash ^ hash >> 32) % MINDS_MAX;; at = (at + 1) % MINDS_MAX) {
        int number = mind_table[at];
        if (number != 0 && memcmp(&minds[number], m, sizeof *m) == 0)
            return number;
        if (number == 0 && minds_count + 1 < MINDS_MAX / 2) {
            minds[++minds_count] = *m;
            return mind_table[at] = minds_count;
        }
        if (number == 0)
            abort(); /* more than this search is made for */
    }
}

static int64_t clock_s(int minute)
{
    return 1000000 + minute * 60;
}

/* A job whose first machine has just claimed. */
static struct job_state mind_working(struct job_state s)
{
    s.machine = MACHINE_RUNNING;
    s.attempt = s.ran = 1;
    s.due = s.told = NOTICE_ACCEPTED | NOTICE_STARTED;
    s.started_s = s.ordered_s = s.accepted_s;
    s.deadline_s = s.started_s + TERMS.run_s;
    s.train_until_s = s.started_s + TERMS.run_s / 2;
    s.hard_stop_s = s.started_s + TERMS.run_max_s;
    return s;
}

static void mind_load(struct mind *m, int saved, int minute)
{
    memset(m, 0, sizeof *m);
    m->state = mind_at(saved).state;
    m->seen.at_s = clock_s(minute);
    m->seen.until_s = clock_s(minute) + 120;
}

/* What was seen of one attempt says nothing of the next. */
static void mind_forget_attempt(struct job_seen *seen)
{
    *seen = (struct job_seen){
        .slot = seen->slot,
        .told = seen->told,
        .order = seen->order,
        .extend_s = seen->extend_s,
        .at_s = seen->at_s,
        .until_s = seen->until_s,
    };
}

/* One turn of the loop up to the next call. */
static int mind_step(struct mind *m, int minute)
{
    struct job_next n = job_step(&TERMS, &m->state, &m->seen, clock_s(minute));
    uint32_t anew = job_untold(&n.state) & ~job_untold(&m->state);

    m->look = (m->acted & ~(uint32_t)ACT_TELL) == 0 ? n.look & ~m->looked : 0;
    if (anew != 0) {
        m->acted &= ~(uint32_t)ACT_TELL;
        m->seen.told &= ~anew;
    }
    m->act = n.act & ~m->acted;
    if (m->look != 0) {
        m->looked |= m->look;
        m->dirty = 1;
        return TODO_LOOK;
    }
    int moved = memcmp(&n.state, &m->state, sizeof n.state) != 0;
    if (!moved && m->act == 0 && !m->dirty)
        return TODO_NOTHING;
    if (n.state.attempt != m->state.attempt)
        mind_forget_attempt(&m->seen);
    m->next = n.state;
    return moved || m->state.machine != MACHINE_CLOSED ? TODO_SAVE : TODO_ACT;
}

/* The first of the calls that are still to be made; it is then no longer. 0: none is left. */
static int mind_first(uint32_t *calls)
{
    uint32_t first = *calls & -*calls;

    *calls &= ~first;
    return (int)first;
}

/* Acts whose effect nobody else sees: they always succeed here, after those that matter. */
static void mind_private_acts(struct mind *m)
{
    if (m->later & ACT_TAKE_SLOT)
        m->seen.slot = YES;
    if (m->later & ACT_CONTROL)
        m->seen.control = YES;
    if (m->later & ACT_VERIFY)
        m->seen.model = MODEL_VERIFIED;
    if ((m->later & ACT_TAKE_LINE) && KEEPS) {
        m->seen.model = MODEL_KEPT;
        m->seen.kept = REASON_GATE;
    } else if (m->later & ACT_TAKE_LINE) {
        m->seen.line = YES;
        m->seen.version = 1;
    }
    if (m->later & ACT_COPY)
        m->seen.model = MODEL_COPIED;
    if (m->later & ACT_POINT)
        m->seen.model = MODEL_CURRENT;
    if (m->later & ACT_FREE_LINE)
        m->seen.line = NO;
    if (m->later & ACT_FREE_SLOT)
        m->seen.slot = NO;
    if (m->later & ACT_TELL)
        m->seen.told |= job_untold(&m->state);
    m->later = 0;
}

static int mind_changes_outcome(const struct mind *m, int saved)
{
    struct job_state was = mind_at(saved).state;

    return was.outcome != OUTCOME_NONE && (was.outcome != m->next.outcome || was.reason != m->next.reason);
}

/* What is in storage then. */
static int mind_save(const struct mind *m)
{
    struct mind record = {.state = m->next};

    return mind_keep(&record);
}

/* After the save; false: the drive is over. */
static int mind_saved(struct mind *m)
{
    int moved = memcmp(&m->next, &m->state, sizeof m->next) != 0;

    m->state = m->next;
    m->dirty = m->act != 0;
    m->acted |= m->act;
    m->later = m->act & ~SHARED_ACTS;
    m->act &= SHARED_ACTS;
    memset(&m->next, 0, sizeof m->next);
    return m->act != 0 || m->later != 0 || (moved && m->state.machine != MACHINE_CLOSED);
}

/* The world of calm times: what is there answers, a deletion takes a minute, and no machine does anything any more: the worst for who waits
 * for it. One drive a minute; true when the job is closed in the end. */
#define CALM_MINUTES 120
#define CALM_ATTEMPTS 32
struct calm {
    unsigned char group[CALM_ATTEMPTS], deployment[CALM_ATTEMPTS], vm[CALM_ATTEMPTS], claim[CALM_ATTEMPTS], said[CALM_ATTEMPTS];
};

static void calm_look(const struct calm *c, struct mind *m)
{
    int a = m->state.attempt;

    m->seen.zip = YES;
    m->seen.group = c->group[a] ? YES : NO;
    m->seen.deployment = c->deployment[a] ? YES : NO;
    m->seen.ready = c->deployment[a] == 2 ? YES : UNSEEN;
    m->seen.remedy = c->deployment[a] == 3 ? REMEDY_SIZE : REMEDY_NONE;
    m->seen.claim = c->claim[a] ? YES : NO;
    m->seen.vm = c->vm[a] ? YES : NO;
    m->seen.off = c->vm[a] == 4 ? YES : UNSEEN;
    m->seen.reported = c->said[a] ? YES : NO;
    m->seen.report = c->said[a] == 1 ? OUTCOME_FAILED : OUTCOME_SUCCEEDED;
    m->seen.manifest = c->said[a] == 2 ? YES : NO;
}

static void calm_act(struct calm *c, struct mind *m)
{
    int a = m->state.attempt;

    if ((m->act & ACT_CREATE) && !c->group[a])
        c->group[a] = c->deployment[a] = 1;
    if ((m->act & ACT_FENCE) && !c->claim[a])
        c->claim[a] = 2;
    if (m->act & ACT_DELETE) {
        m->seen.group = c->group[a] ? YES : NO;
        if (c->group[a])
            c->group[a] = 2;
    }
    m->act = 0;
    mind_private_acts(m);
}

static struct job_state calm_drive(struct calm *c, struct job_state state, int minute)
{
    struct mind m = {.state = state, .seen = {.at_s = clock_s(minute), .until_s = clock_s(minute) + 120}};

    for (int round = 0; round < 24; round++) {
        int todo = mind_step(&m, minute);
        if (todo == TODO_NOTHING)
            break;
        if (todo == TODO_LOOK) {
            calm_look(c, &m);
            continue;
        }
        if (!mind_saved(&m))
            break;
        calm_act(c, &m);
    }
    return m.state;
}

static int calm_ends(int saved, int minute, const unsigned char *group, const unsigned char *deployment, const unsigned char *vm,
                     const unsigned char *claim, const unsigned char *said, int attempts)
{
    struct calm c = {0};
    struct job_state state = mind_at(saved).state;

    for (int a = 1; a <= attempts; a++) {
        c.group[a] = group[a];
        c.deployment[a] = deployment[a];
        c.vm[a] = vm[a];
        c.claim[a] = claim[a];
        c.said[a] = said[a];
    }
    for (int last = minute + CALM_MINUTES; minute < last && state.machine != MACHINE_CLOSED; minute++) {
        if (state.attempt + 2 >= CALM_ATTEMPTS)
            return 0;
        state = calm_drive(&c, state, minute);
        for (int a = 1; a < CALM_ATTEMPTS; a++)
            if (c.group[a] == 2)
                c.group[a] = c.deployment[a] = c.vm[a] = 0;
    }
    for (int a = 1; a < CALM_ATTEMPTS; a++)
        if (c.group[a])
            return 0;
    return state.machine == MACHINE_CLOSED;
}
