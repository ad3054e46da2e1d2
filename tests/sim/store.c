/* Storage: records and markers, slots.json, the line's file. Every change is conditional, as in controller/ledger. */
#include <string.h>

#include "sim.h"

#define TRIES 8
#define NOBODY_MS (600 * SECOND)

void num_put(char *text, int64_t n)
{
    for (int i = 15; i >= 0; i--, n >>= 4)
        text[i] = "0123456789abcdef"[n & 15];
    text[16] = '\0';
}

int64_t num_get(const char *text)
{
    int64_t n = 0;

    for (; *text != '\0'; text++)
        n = n << 4 | (*text <= '9' ? *text - '0' : *text - 'a' + 10);
    return n;
}

int job_of(const char *job_id)
{
    return job_id[4] - '0'; /* "job-2" */
}

static void fill(const struct stored *from, int job, struct record *rec)
{
    memcpy(rec->job_id, "job-0", 6);
    rec->job_id[4] = (char)('0' + job);
    memcpy(rec->saved_by, from->saved_by, sizeof rec->saved_by);
    num_put(rec->etag, from->etag);
    num_put(rec->zip_etag, from->zip_etag);
    num_put(rec->manifest_etag, from->manifest_etag);
    rec->terms = from->terms;
    rec->state = from->state;
    rec->next_look_s = from->next_look_s;
    rec->group_made = from->group_made;
    rec->place = from->place;
    rec->baseline = from->baseline;
    rec->files = from->files;
    for (int i = 0; i < MODEL_FILES; i++) {
        rec->file[i].size = from->file_size[i];
        num_put(rec->file[i].etag, from->file_etag[i]);
    }
}

static void keep(struct stored *to, const struct record *rec)
{
    memcpy(to->saved_by, rec->saved_by, sizeof to->saved_by);
    to->zip_etag = num_get(rec->zip_etag);
    to->manifest_etag = num_get(rec->manifest_etag);
    to->terms = rec->terms;
    to->state = rec->state;
    to->next_look_s = rec->next_look_s;
    to->group_made = rec->group_made;
    to->place = rec->place;
    to->baseline = rec->baseline;
    to->files = rec->files;
    for (int i = 0; i < MODEL_FILES; i++) {
        to->file_size[i] = rec->file[i].size;
        to->file_etag[i] = num_get(rec->file[i].etag);
    }
}

enum err_code store_load(struct handler *h, int job, struct record *rec)
{
    const struct stored *r = &h->sim->job[job].record;

    if (!call_out(h, SERVICE_STORAGE))
        return ERR_UNREACHABLE;
    bool there = r->etag != 0;
    if (there)
        fill(r, job, rec);
    if (!call_back(h, SERVICE_STORAGE))
        return ERR_UNREACHABLE;
    return there ? OK : ERR_ABSENT;
}

static void told_by_save(struct sim *s, int job, const struct stored *before, const struct record *rec)
{
    const struct job_state *now = &rec->state;

    if (before->etag == 0)
        sim_note(s, EVENT_ACCEPT, job, 0, now->outcome == OUTCOME_REJECTED, 0);
    if (before->etag == 0 || before->state.machine != now->machine || before->state.model != now->model)
        sim_note(s, EVENT_SAVE, job, now->attempt, now->machine, now->model);
    if (before->state.outcome != now->outcome || before->state.reason != now->reason)
        sim_note(s, EVENT_OUTCOME, job, now->attempt, now->outcome, now->reason);
    if (before->state.machine != MACHINE_CLOSED && now->machine == MACHINE_CLOSED)
        sim_note(s, EVENT_CLOSED, job, now->attempt, 0, 0);
}

static bool was_ours(struct handler *h, int job, struct record *rec)
{
    const struct stored *r = &h->sim->job[job].record;

    if (!call_out(h, SERVICE_STORAGE))
        return false;
    bool ours = memcmp(r->saved_by, rec->saved_by, sizeof r->saved_by) == 0;
    int64_t etag = r->etag;
    if (!call_back(h, SERVICE_STORAGE) || !ours)
        return false;
    num_put(rec->etag, etag);
    return true;
}

/* If-Match, or create-once without an ETag. */
enum err_code store_save(struct handler *h, int job, struct record *rec)
{
    struct sim *s = h->sim;
    struct stored *r = &s->job[job].record;
    int64_t expected = num_get(rec->etag);

    num_put(rec->saved_by, (int64_t)sim_random(s));
    for (int tries = 0; tries < 2; tries++) {
        if (!call_out(h, SERVICE_STORAGE))
            return ERR_UNREACHABLE;
        bool wins = r->etag == expected;
        int64_t etag = r->etag;
        if (wins) {
            told_by_save(s, job, r, rec);
            keep(r, rec);
            etag = r->etag = sim_etag(s);
        }
        if (call_back(h, SERVICE_STORAGE)) {
            if (!wins)
                return was_ours(h, job, rec) ? OK : ERR_CONFLICT;
            num_put(rec->etag, etag);
            return OK;
        }
        if (sim_chance(s, 300)) /* else the same request once more, which meets its own effect */
            return ERR_UNREACHABLE;
    }
    return ERR_UNREACHABLE;
}

bool store_marker(struct handler *h, int job, bool put)
{
    struct job *j = &h->sim->job[job];

    if (!call_out(h, SERVICE_STORAGE))
        return false;
    if (put || j->marker.etag != 0)
        sim_note(h->sim, put ? EVENT_MARKER_PUT : EVENT_MARKER_GONE, job, 0, 0, 0);
    j->marker.etag = put ? sim_etag(h->sim) : 0;
    j->marker_ms = h->sim->now_ms;
    return call_back(h, SERVICE_STORAGE);
}

bool store_is_over(struct handler *h, int job)
{
    const struct stored *r = &h->sim->job[job].record;

    if (!call_out(h, SERVICE_STORAGE))
        return false;
    bool over = r->etag != 0 && r->state.machine == MACHINE_CLOSED;
    return call_back(h, SERVICE_STORAGE) && over;
}

static int position(const int8_t *list, int count, int job)
{
    for (int i = 0; i < count; i++)
        if (list[i] == job)
            return i + 1;
    return 0;
}

static int without(int8_t *list, int count, int job)
{
    int kept = 0;

    for (int i = 0; i < count; i++)
        if (list[i] != job)
            list[kept++] = list[i];
    return kept;
}

static enum err_code read_slots(struct handler *h, struct slots *now)
{
    if (!call_out(h, SERVICE_STORAGE))
        return ERR_UNREACHABLE;
    *now = h->sim->slots;
    return call_back(h, SERVICE_STORAGE) ? OK : ERR_UNREACHABLE;
}

static enum err_code write_slots(struct handler *h, int job, struct slots *next)
{
    struct sim *s = h->sim;

    if (!call_out(h, SERVICE_STORAGE))
        return ERR_UNREACHABLE;
    bool wins = s->slots.etag == next->etag;
    if (wins) {
        bool had = position(s->slots.holder, s->slots.holders, job) > 0, has = position(next->holder, next->holders, job) > 0;
        int waited = position(s->slots.wait, s->slots.waiting, job), waits = position(next->wait, next->waiting, job);
        if (had != has || waited != waits)
            sim_note(s, has ? EVENT_SLOT : waits > 0 ? EVENT_SLOT_WAIT : EVENT_SLOT_FREE, job, 0, waits > 0 ? waits : next->holders, 0);
        next->etag = sim_etag(s);
        next->since_ms = s->now_ms;
        s->slots = *next;
    }
    if (!call_back(h, SERVICE_STORAGE))
        return ERR_UNREACHABLE;
    return wins ? OK : ERR_CONFLICT;
}

static enum err_code free_slot_once(struct handler *h, int job)
{
    struct slots now;
    enum err_code code = read_slots(h, &now);

    if (code != OK || (position(now.holder, now.holders, job) == 0 && position(now.wait, now.waiting, job) == 0))
        return code;
    now.holders = without(now.holder, now.holders, job);
    now.waiting = without(now.wait, now.waiting, job);
    return write_slots(h, job, &now);
}

bool store_free_slot(struct handler *h, int job)
{
    enum err_code code = ERR_CONFLICT;

    for (int i = 0; i < TRIES && code == ERR_CONFLICT; i++)
        code = free_slot_once(h, job);
    return code == OK;
}

/* Neither record nor marker: taken for a job that was never saved. */
static bool is_nobodys(struct handler *h, int job)
{
    const struct job *j = &h->sim->job[job];

    if (!call_out(h, SERVICE_STORAGE))
        return false;
    bool absent = j->record.etag == 0;
    if (!call_back(h, SERVICE_STORAGE) || !absent || !call_out(h, SERVICE_STORAGE))
        return false;
    absent = j->marker.etag == 0;
    return call_back(h, SERVICE_STORAGE) && absent;
}

static bool free_of_closed(struct handler *h, const struct slots *now, const int8_t *list, int count)
{
    bool old = h->sim->now_ms >= now->since_ms + NOBODY_MS, any = false;

    for (int i = 0; i < count; i++)
        if (store_is_over(h, list[i]) || (old && is_nobodys(h, list[i])))
            any |= store_free_slot(h, list[i]);
    return any;
}

static enum err_code take_slot_once(struct handler *h, int job, int64_t *place)
{
    struct slots now;
    int max = h->sim->p.max_jobs;
    enum err_code code = read_slots(h, &now);

    *place = 0;
    if (code != OK || position(now.holder, now.holders, job) > 0)
        return code;
    int at = position(now.wait, now.waiting, job), turn = at > 0 ? at : now.waiting + 1;
    bool mine = turn <= max - now.holders;
    if (!mine &&
        (free_of_closed(h, &now, now.holder, now.holders < max ? now.holders : max) || free_of_closed(h, &now, now.wait, now.waiting > 0)))
        return ERR_CONFLICT;
    if (!mine)
        *place = turn;
    if (!mine && at > 0)
        return OK;
    now.waiting = without(now.wait, now.waiting, job);
    if (mine)
        now.holder[now.holders++] = (int8_t)job;
    else
        now.wait[now.waiting++] = (int8_t)job;
    return write_slots(h, job, &now);
}

bool store_take_slot(struct handler *h, int job, int64_t *place)
{
    enum err_code code = ERR_CONFLICT;

    for (int i = 0; i < TRIES && code == ERR_CONFLICT; i++)
        code = take_slot_once(h, job, place);
    return code == OK;
}

static enum err_code read_line(struct handler *h, struct line *now)
{
    if (!call_out(h, SERVICE_STORAGE))
        return ERR_UNREACHABLE;
    *now = h->sim->line;
    return call_back(h, SERVICE_STORAGE) ? OK : ERR_UNREACHABLE;
}

static enum err_code write_line(struct handler *h, int job, struct line *next)
{
    struct sim *s = h->sim;

    if (!call_out(h, SERVICE_STORAGE))
        return ERR_UNREACHABLE;
    bool wins = s->line.etag == next->etag;
    if (wins) {
        if (next->job >= 0)
            sim_note(s, EVENT_LINE, job, 0, next->taken, s->job[job].wishes * WISHES + s->job[job].record.baseline);
        else
            sim_note(s, EVENT_LINE_FREE, job, 0, next->version, 0);
        next->etag = sim_etag(s);
        s->line = *next;
    }
    if (!call_back(h, SERVICE_STORAGE))
        return ERR_UNREACHABLE;
    return wins ? OK : ERR_CONFLICT;
}

enum err_code store_take_line(struct handler *h, int job, const struct record *rec, int64_t pointed, int64_t *version)
{
    enum err_code code = ERR_CONFLICT;

    for (int i = 0; i < TRIES && code == ERR_CONFLICT; i++) {
        struct line now;
        code = read_line(h, &now);
        if (code != OK)
            return code;
        if (!publish_passes(h->sim, job, rec->baseline, now.version > pointed ? now.version : pointed))
            return ERR_REFUSED;
        *version = now.taken;
        if (now.job == job)
            return OK;
        if (now.job >= 0 && !store_is_over(h, now.job))
            return ERR_CONFLICT;
        now.job = job;
        now.taken = (now.taken > pointed ? now.taken : pointed) + 1;
        *version = now.taken;
        code = write_line(h, job, &now);
    }
    return code;
}

bool store_free_line(struct handler *h, int job, int64_t published)
{
    enum err_code code = ERR_CONFLICT;

    for (int i = 0; i < TRIES && code == ERR_CONFLICT; i++) {
        struct line now;
        code = read_line(h, &now);
        if (code != OK || now.job != job)
            break;
        now.job = -1;
        if (published > now.version)
            now.version = published;
        code = write_line(h, job, &now);
    }
    return code == OK;
}
