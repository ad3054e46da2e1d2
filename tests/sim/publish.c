/* From a machine's files to the line's current model, call by call as in controller/publish. */
#include "sim.h"

static struct attempt *attempt_of(struct sim *s, int job, const struct record *rec)
{
    return &s->job[job].attempt[rec->state.attempt < ATTEMPTS ? rec->state.attempt : ATTEMPTS];
}

static const struct blob *source_of(const struct attempt *a, int file)
{
    return file == MODEL_FILES ? &a->manifest : &a->file[file];
}

void publish_verify(struct handler *h, int job, struct record *rec, struct job_seen *seen)
{
    for (int i = 0; i < rec->files; i++) {
        const struct attempt *a = attempt_of(h->sim, job, rec);
        if (!call_out(h, SERVICE_STORAGE))
            return;
        struct blob b = a->file[i];
        if (!call_back(h, SERVICE_STORAGE))
            return;
        if (b.etag == 0 || b.content != rec->file[i].size) {
            seen->model = MODEL_BROKEN;
            return;
        }
        num_put(rec->file[i].etag, b.etag);
    }
    seen->model = MODEL_VERIFIED;
}

static bool read_pointer(struct handler *h, int64_t *version, int64_t *etag)
{
    if (!call_out(h, SERVICE_STORAGE))
        return false;
    *version = h->sim->pointer_version;
    *etag = h->sim->pointer.etag;
    return call_back(h, SERVICE_STORAGE);
}

/* The product's own gate; what the machine has measured is as the job's wish says. */
bool publish_passes(const struct sim *s, int job, int64_t baseline, int64_t current)
{
    int wish = s->job[job].wishes;
    struct gate_facts facts = {.measured = true,
                               .baseline = baseline,
                               .images = 40,
                               .score = wish == WISH_TIE ? 0.6 : 0.7,
                               .floor = 0.05,
                               .compared = baseline > 0,
                               .former = 0.6,
                               .sd = 0.004};
    struct gate_question q = {.policy = wish == WISH_ALWAYS  ? PUBLISH_ALWAYS
                                        : wish == WISH_NEVER ? PUBLISH_NEVER
                                                             : PUBLISH_IF_BETTER,
                              .facts = &facts,
                              .metric = "map",
                              .current = current};
    struct gate_verdict verdict;

    gate_decide(&q, &verdict);
    return verdict.publish;
}

void publish_take_line(struct handler *h, int job, struct record *rec, struct job_seen *seen)
{
    int64_t pointed, etag;

    if (!call_out(h, SERVICE_STORAGE)) /* its manifest */
        return;
    if (!call_back(h, SERVICE_STORAGE) || !read_pointer(h, &pointed, &etag))
        return;
    enum err_code code = store_take_line(h, job, rec, pointed, &seen->version);
    if (code == OK)
        seen->line = YES;
    else if (code == ERR_REFUSED) {
        seen->model = MODEL_KEPT;
        seen->kept = REASON_GATE;
    } else if (code == ERR_CONFLICT)
        seen->line = NO;
}

enum copying { COPY_DONE, COPY_LATER, COPY_CHANGED };

static bool source_changed(struct handler *h, const struct blob *from, int64_t etag)
{
    if (!call_out(h, SERVICE_STORAGE))
        return false;
    bool changed = from->etag != etag;
    return call_back(h, SERVICE_STORAGE) && changed;
}

/* Copy Blob: x-ms-source-if-match, and either If-None-Match: * (if_etag 0) or If-Match. */
static enum err_code copy_blob(struct handler *h, int job, const struct blob *from, int64_t etag, int64_t version, int file,
                               int64_t if_etag, bool *success)
{
    struct sim *s = h->sim;
    struct copied *to = &s->model[version][file];
    enum err_code code = OK;

    *success = false;
    if (!call_out(h, SERVICE_STORAGE))
        return ERR_UNREACHABLE;
    if (from->etag == 0)
        code = ERR_ABSENT;
    else if (from->etag != etag || to->blob.etag != if_etag || (to->blob.etag != 0 && s->now_ms < to->pending_until_ms))
        code = ERR_CONFLICT;
    else {
        *to = (struct copied){.blob = {.etag = sim_etag(s), .content = from->content}, .job = job};
        to->pending_until_ms = sim_trouble(s, s->p.model_trouble) ? s->now_ms + sim_between(s, SECOND, 3 * MINUTE) : s->now_ms;
        sim_note(s, EVENT_COPY, job, 0, version * 8 + file, from->content);
        *success = to->pending_until_ms <= s->now_ms;
    }
    return call_back(h, SERVICE_STORAGE) ? code : ERR_UNREACHABLE;
}

static enum copying copy_again(struct handler *h, int job, const struct blob *from, int64_t etag, int64_t version, int file)
{
    struct sim *s = h->sim;
    bool success;

    if (source_changed(h, from, etag))
        return COPY_CHANGED;
    if (!call_out(h, SERVICE_STORAGE))
        return COPY_LATER;
    struct copied there = s->model[version][file];
    bool pending = s->now_ms < there.pending_until_ms;
    if (!call_back(h, SERVICE_STORAGE) || there.blob.etag == 0)
        return COPY_LATER;
    if (there.job == job)
        return pending ? COPY_LATER : COPY_DONE;
    enum err_code code = copy_blob(h, job, from, etag, version, file, there.blob.etag, &success);
    return code == OK && success ? COPY_DONE : COPY_LATER;
}

static enum copying copy_file(struct handler *h, int job, const struct blob *from, int64_t etag, int64_t version, int file)
{
    bool success;
    enum err_code code = copy_blob(h, job, from, etag, version, file, 0, &success);

    if (code == OK && success)
        return COPY_DONE;
    if (code == ERR_CONFLICT || code == OK)
        return copy_again(h, job, from, etag, version, file);
    if (code == ERR_ABSENT && source_changed(h, from, etag))
        return COPY_CHANGED;
    return COPY_LATER;
}

void publish_copy(struct handler *h, int job, struct record *rec, struct job_seen *seen)
{
    struct attempt *a = attempt_of(h->sim, job, rec);
    int64_t version = rec->state.version < VERSIONS ? rec->state.version : 0;
    enum copying all = COPY_DONE;

    for (int i = 0; i <= MODEL_FILES && all == COPY_DONE; i++)
        all = copy_file(h, job, source_of(a, i), num_get(i == MODEL_FILES ? rec->manifest_etag : rec->file[i].etag), version, i);
    if (all == COPY_CHANGED)
        seen->model = MODEL_BROKEN;
    else if (all == COPY_DONE)
        seen->model = MODEL_COPIED;
}

static bool published_manifest(struct handler *h)
{
    return call_out(h, SERVICE_STORAGE) && call_back(h, SERVICE_STORAGE);
}

void publish_point(struct handler *h, int job, struct record *rec, struct job_seen *seen)
{
    struct sim *s = h->sim;
    int64_t current, etag;
    bool wins = false, heard = false;

    if (!read_pointer(h, &current, &etag))
        return;
    if (current >= rec->state.version) {
        seen->model = MODEL_CURRENT;
        return;
    }
    if (!published_manifest(h) || !call_out(h, SERVICE_STORAGE))
        return;
    wins = s->pointer.etag == etag;
    if (wins) {
        s->pointer.etag = sim_etag(s);
        s->pointer_version = rec->state.version;
        sim_note(s, EVENT_POINT, job, 0, rec->state.version, 0);
    }
    heard = call_back(h, SERVICE_STORAGE);
    if (heard && !wins)
        wins = read_pointer(h, &current, &etag) && current >= rec->state.version;
    if (heard && wins)
        seen->model = MODEL_CURRENT;
}

void publish_free_line(struct handler *h, int job, const struct record *rec, struct job_seen *seen)
{
    bool current = rec->state.model == MODEL_CURRENT;

    if (current && !published_manifest(h))
        return;
    if (store_free_line(h, job, current ? rec->state.version : 0))
        seen->line = NO;
}
