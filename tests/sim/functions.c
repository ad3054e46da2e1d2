/* What an invocation does with a message or at the minute's end, as in functions/. */
#include <string.h>

#include "sim.h"

#define EARLY_S 30
#define ORPHAN_MS (60 * MINUTE)

static enum err_code drive_one(struct handler *h, int job)
{
    struct job_world world = world_of(h);
    struct err err;
    char job_id[] = "job-0";

    job_id[4] = (char)('0' + job);
    h->job = job;
    err.code = OK;
    return drive(&world, job_id, &err);
}

static void start_record(const struct sim *s, int job, struct record *rec)
{
    int64_t now_s = s->now_ms / SECOND;

    memcpy(rec->job_id, "job-0", 6);
    rec->job_id[4] = (char)('0' + job);
    rec->state = s->job[job].bad ? job_rejected(now_s) : job_accepted(now_s);
    rec->next_look_s = now_s + LOOK_AGAIN_S;
    rec->terms = s->job[job].terms;
}

/* As in controller/rounds: marker and slot at once for a job whose zip is there, although it is not saved yet. */
static void take_ahead(struct handler *h, int job)
{
    struct sim *s = h->sim;

    h->marked = h->place_known = false;
    if (s->now_ms < s->job[job].zip_ms || s->now_ms >= s->job[job].zip_leaves_ms)
        return;
    h->slot_ahead = true;
    h->marked = store_marker(h, job, true);
    h->place_known = store_take_slot(h, job, &h->place);
}

static void give_back(struct handler *h, int job, const struct record *there)
{
    if (h->slot_ahead && there->state.machine == MACHINE_CLOSED)
        store_free_slot(h, job);
    h->slot_ahead = false;
}

static enum err_code accept_job(struct handler *h, int job)
{
    struct job_world world = world_of(h);
    struct err err;
    AUTO_RECORD rec = {0};

    start_record(h->sim, job, &rec);
    if (h->sim->job[job].bad) {
        enum err_code code = store_marker(h, job, true) ? store_save(h, job, &rec) : ERR_UNREACHABLE;
        if (code != OK)
            return code;
        (void)(drive_one(h, job) == OK); /* saved: job-watch goes on with it */
        return OK;
    }
    take_ahead(h, job);
    enum err_code code = drive_new(&world, &rec, &err);
    return *rec.etag != '\0' ? OK : code;
}

/* True when the message is done with. */
static bool train(struct handler *h, int job)
{
    for (int tries = 0; tries < 2; tries++) {
        AUTO_RECORD there = {0};
        enum err_code code = store_load(h, job, &there);
        if (code == OK) {
            give_back(h, job, &there);
            h->marked = h->place_known = false;
            if (there.state.machine != MACHINE_CLOSED)
                code = drive_one(h, job);
            return true;
        }
        if (code == ERR_ABSENT)
            code = accept_job(h, job);
        if (code != ERR_CONFLICT)
            return code == OK;
    }
    return false;
}

static bool bell(struct handler *h, int job, int attempt)
{
    AUTO_RECORD there = {0};
    enum err_code code = store_load(h, job, &there);

    if (code == ERR_ABSENT || (code == OK && (there.state.machine == MACHINE_CLOSED || there.state.attempt != attempt)))
        return true;
    if (code == OK)
        code = drive_one(h, job);
    return code == OK || code == ERR_CONFLICT;
}

/* Cancel or extend: what is asked is in the record once a drive was well. */
static bool order(struct handler *h, int job, enum message_kind kind)
{
    AUTO_RECORD there = {0};
    enum err_code code = store_load(h, job, &there);

    if (code == ERR_ABSENT || (code == OK && there.state.machine == MACHINE_CLOSED))
        return true;
    if (code != OK)
        return false;
    h->order = kind == MESSAGE_CANCEL ? ORDER_CANCEL : ORDER_EXTEND;
    h->extend_s = sim_between(h->sim, 1200, there.terms.run_max_s + 600);
    code = drive_one(h, job);
    if (code == OK)
        sim_note(h->sim, EVENT_ORDER, job, 0, h->order, h->extend_s);
    h->order = ORDER_NONE;
    return code == OK;
}

static void take_message(struct handler *h)
{
    struct sim *s = h->sim;
    struct message *m = &s->message[h->message];
    enum message_kind kind = m->kind;

    bool done = kind == MESSAGE_TRAIN ? train(h, m->job) : kind == MESSAGE_BELL ? bell(h, m->job, m->attempt) : order(h, m->job, kind);
    if (done) {
        sim_note(s, EVENT_ANSWERED, m->job, 0, kind, 0);
        m->exists = false;
        m->next_ms = NEVER;
    } else {
        m->next_ms = s->now_ms + 30 * SECOND;
        sim_wake(s, ACTOR_MESSAGE, h->message, m->next_ms);
    }
}

/* Whether the live job is due; a marker that never got its record is removed. */
static bool is_due(struct handler *h, int job, int64_t marker_etag, int64_t marker_ms)
{
    struct sim *s = h->sim;
    AUTO_RECORD rec = {0};
    int64_t now_s = s->now_ms / SECOND;
    enum err_code code = store_load(h, job, &rec);

    if (code == ERR_ABSENT && s->now_ms - marker_ms >= ORPHAN_MS && call_out(h, SERVICE_STORAGE)) {
        if (s->job[job].marker.etag == marker_etag) {
            s->job[job].marker.etag = 0;
            sim_note(s, EVENT_MARKER_GONE, job, 0, 1, 0);
        }
        call_back(h, SERVICE_STORAGE);
    }
    return code == OK && (rec.next_look_s <= now_s + EARLY_S || rec.next_look_s > now_s + 2 * LOOK_AGAIN_S);
}

static void watch(struct handler *h)
{
    struct sim *s = h->sim;
    struct blob marker[JOBS];
    int64_t since_ms[JOBS];
    bool due[JOBS] = {false};

    if (!call_out(h, SERVICE_STORAGE))
        return;
    for (int job = 0; job < s->p.jobs; job++) {
        marker[job] = s->job[job].marker;
        since_ms[job] = s->job[job].marker_ms;
    }
    if (!call_back(h, SERVICE_STORAGE))
        return;
    for (int job = 0; job < s->p.jobs; job++)
        due[job] = marker[job].etag != 0 && is_due(h, job, marker[job].etag, since_ms[job]);
    for (int job = 0; job < s->p.jobs; job++)
        if (due[job] && handler_start(s, h->copy, ERRAND_DRIVE, job, -1, h->until_ms) == NULL)
            (void)(drive_one(h, job) == OK);
}

void functions_run(void *handler)
{
    struct handler *h = handler;

    if (h->errand == ERRAND_WATCH)
        watch(h);
    else if (h->errand == ERRAND_MESSAGE)
        take_message(h);
    else if (drive_one(h, h->job) != OK)
        return; /* the next round looks again */
}
