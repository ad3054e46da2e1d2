#include "controller/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "azure/blob.h"
#include "base/crypto.h"

#define NAME_MAX_ 128

static void record_name(const char *job_id, char out[NAME_MAX_])
{
    snprintf(out, NAME_MAX_, "record/%s.json", job_id);
}

static void marker_name(const char *job_id, char out[NAME_MAX_])
{
    snprintf(out, NAME_MAX_, "live/%s", job_id);
}

enum err_code ledger_load(const struct storage *s, const char *job_id, struct record *rec, struct err *err)
{
    char name[NAME_MAX_];
    struct blob_info info;
    struct err own;
    AUTO_STR text = STR_MAX(RECORD_BYTES_MAX);

    if (err == NULL)
        err = &own; /* which error it was must come out all the same */
    record_name(job_id, name);
    enum err_code code = blob_get(s, CONTAINER_JOBS, name, &text, &info, err);
    if (code == OK)
        code = record_read(text.p, text.len, rec, err);
    if (code != OK)
        return err_context(err, "job %s", job_id);
    str_copy(rec->etag, sizeof rec->etag, info.etag);
    return OK;
}

/* After a conflict: a reply of our own may have been lost, and the repeated attempt met our own save. */
static bool was_ours(const struct storage *s, struct record *rec)
{
    AUTO_RECORD now = {0};

    if (ledger_load(s, rec->job_id, &now, NULL) != OK || !str_is(now.saved_by, rec->saved_by))
        return false;
    str_copy(rec->etag, sizeof rec->etag, now.etag);
    return true;
}

static enum err_code put_record(const struct storage *s, struct record *rec, enum blob_condition condition, struct err *err)
{
    char name[NAME_MAX_];
    AUTO_STR text = STR_MAX(RECORD_BYTES_MAX);

    record_name(rec->job_id, name);
    snprintf(rec->saved_by, sizeof rec->saved_by, "%08x%08x", crypto_random(), crypto_random());
    record_write(&text, rec);
    enum err_code code = str_check(&text, "record", err);
    if (code == OK)
        code = blob_put(s, CONTAINER_JOBS, name, text.p, text.len, "application/json", condition, rec->etag, rec->etag, err);
    if (code == ERR_CONFLICT && was_ours(s, rec))
        return OK;
    return code == OK ? OK : err_context(err, "job %s", rec->job_id);
}

enum err_code ledger_save(const struct storage *s, struct record *rec, struct err *err)
{
    return put_record(s, rec, BLOB_IF_MATCH, err);
}

enum err_code ledger_unchanged(const struct storage *s, const struct record *rec, struct err *err)
{
    char name[NAME_MAX_];
    struct blob_info info;

    record_name(rec->job_id, name);
    enum err_code code = blob_head(s, CONTAINER_JOBS, name, &info, err);
    if (code == OK && !str_is(info.etag, rec->etag))
        code = err_set(err, ERR_CONFLICT, "others have moved it on since it was looked at");
    return code == OK ? OK : err_context(err, "job %s", rec->job_id);
}

enum err_code ledger_mark(const struct storage *s, const char *job_id, struct err *err)
{
    char marker[NAME_MAX_];

    marker_name(job_id, marker);
    enum err_code code =
        blob_put(s, CONTAINER_JOBS, marker, "", 0, "text/plain", BLOB_ANY, NULL, NULL, err); /* a new ETag: no orphan any more */
    return code == OK ? OK : err_context(err, "job %s: marker", job_id);
}

enum err_code ledger_accept(const struct storage *s, struct record *rec, struct err *err)
{
    enum err_code code = ledger_mark(s, rec->job_id, err);

    return code == OK ? put_record(s, rec, BLOB_IF_ABSENT, err) : code;
}

enum err_code ledger_forget(const struct storage *s, const char *job_id, struct err *err)
{
    char marker[NAME_MAX_];

    marker_name(job_id, marker);
    return blob_delete(s, CONTAINER_JOBS, marker, "", err);
}

struct visit {
    ledger_visit visit;
    void *ctx;
};

static bool visit_record(void *ctx, const char *name, const struct blob_info *info)
{
    const struct visit *v = ctx;
    char job_id[JOB_ID_MAX];
    size_t len = strlen(name), head = strlen("record/"), tail = strlen(".json");

    if (len <= head + tail || len - head - tail >= sizeof job_id || !str_ends_nocase(name, ".json"))
        return true;
    memcpy(job_id, name + head, len - head - tail);
    job_id[len - head - tail] = '\0';
    return v->visit(v->ctx, job_id, info->modified_s);
}

enum err_code ledger_list(const struct storage *s, const char *prefix, ledger_visit visit, void *ctx, struct err *err)
{
    char name[NAME_MAX_];
    struct visit v = {.visit = visit, .ctx = ctx};

    snprintf(name, sizeof name, "record/%s", prefix);
    return blob_list(s, CONTAINER_JOBS, name, visit_record, &v, err);
}

struct live_list {
    struct live_job *job;
    size_t count, room;
    bool failed;
};

static bool add_live(void *ctx, const char *name, const struct blob_info *info)
{
    struct live_list *list = ctx;

    if (list->count == list->room) {
        size_t room = list->room == 0 ? 32 : list->room * 2;
        struct live_job *more = realloc(list->job, room * sizeof *more);
        if (more == NULL) {
            list->failed = true;
            return false;
        }
        list->job = more;
        list->room = room;
    }
    struct live_job *job = &list->job[list->count++];
    *job = (struct live_job){.since_s = info->modified_s};
    str_copy(job->job_id, sizeof job->job_id, name + strlen("live/"));
    str_copy(job->etag, sizeof job->etag, info->etag);
    return true;
}

enum err_code ledger_live(const struct storage *s, struct live_job **ret, size_t *count, struct err *err)
{
    struct live_list list = {0};
    enum err_code code = blob_list(s, CONTAINER_JOBS, "live/", add_live, &list, err);

    if (code == OK && list.failed)
        code = err_set(err, ERR_MEMORY, "live jobs: no memory");
    if (code != OK) {
        free(list.job);
        return code;
    }
    *ret = list.job;
    *count = list.count;
    return OK;
}

enum err_code ledger_drop_orphan(const struct storage *s, const struct live_job *job, struct err *err)
{
    char marker[NAME_MAX_];

    marker_name(job->job_id, marker);
    enum err_code code = blob_delete(s, CONTAINER_JOBS, marker, job->etag, err);
    /* Last: a delivery that comes now has renewed the marker, and keeps the slot. */
    return code == OK ? ledger_free_slot(s, job->job_id, err) : code;
}

bool ledger_is_over(const struct storage *s, const char *job_id)
{
    AUTO_RECORD rec = {0};

    return ledger_load(s, job_id, &rec, NULL) == OK && rec.state.machine == MACHINE_CLOSED;
}

bool ledger_is_unmarked(const struct storage *s, const char *job_id)
{
    char marker[NAME_MAX_];
    struct blob_info info;

    marker_name(job_id, marker);
    return blob_head(s, CONTAINER_JOBS, marker, &info, NULL) == ERR_ABSENT;
}
