#include "controller/copies.h"

#include <stdio.h>

#include "base/log.h"

const char *copies_source(const struct record *rec, const char *file, char out[BLOB_NAME_MAX])
{
    if (rec->release == RELEASE_ROLLBACK) {
        snprintf(out, BLOB_NAME_MAX, "%s/%lld/%s", rec->request.line, (long long)rec->from_version, file);
        return CONTAINER_MODEL;
    }
    snprintf(out, BLOB_NAME_MAX, "out/%s/%d/%s", record_maker(rec), record_maker_attempt(rec), file);
    return CONTAINER_FILES;
}

static bool source_changed(const struct errand *e, const char *container, const char *from, const char *etag)
{
    struct blob_info info = {0};
    enum err_code code = blob_head(&e->c->storage, container, from, &info, NULL);

    return code == ERR_ABSENT || (code == OK && !str_is(info.etag, etag));
}

struct copy {
    const char *container, *from, *etag, *to, *version;
    int64_t size;
};

/* Somebody was first at the target, or the source is no longer what was verified: a look at both decides. */
static enum copied copy_again(const struct errand *e, const struct record *rec, const struct copy *c)
{
    struct blob_info there = {0};
    struct err err = {0};
    char status[16] = "";

    if (source_changed(e, c->container, c->from, c->etag))
        return COPY_CHANGED;
    enum err_code code = blob_head(&e->c->storage, CONTAINER_MODEL, c->to, &there, &err);
    if (code == OK && str_is(there.meta_job, rec->job_id) && str_is(there.copy_status, "pending"))
        return COPY_LATER;
    if (code == OK && str_is(there.meta_job, rec->job_id) && there.size == c->size && str_is(there.copy_status, "success"))
        return COPY_DONE;
    if (code == OK)
        code = blob_copy(&e->c->storage, c->container, c->from, c->etag, CONTAINER_MODEL, c->to, BLOB_IF_MATCH, there.etag, rec->job_id,
                         c->version, status, &err);
    if (code == OK && str_is(status, "success"))
        return COPY_DONE;
    log_line(LOG_WARN, "copy to %s: %s", c->to, code == OK ? "still going on" : err.msg);
    return COPY_LATER;
}

enum copied copies_file(const struct errand *e, const struct record *rec, const char *file, const char *etag, int64_t size)
{
    char from[BLOB_NAME_MAX], to[BLOB_NAME_MAX], version[24], status[16] = "";
    struct err err = {0};
    struct copy c = {.container = copies_source(rec, file, from), .from = from, .etag = etag, .to = to, .version = version, .size = size};

    snprintf(version, sizeof version, "%lld", (long long)rec->state.version);
    snprintf(to, sizeof to, "%s/%s/%s", rec->request.line, version, file);
    enum err_code code =
        blob_copy(&e->c->storage, c.container, from, etag, CONTAINER_MODEL, to, BLOB_IF_ABSENT, NULL, rec->job_id, version, status, &err);
    if (code == OK && str_is(status, "success"))
        return COPY_DONE;
    if (code == ERR_CONFLICT || code == OK)
        return copy_again(e, rec, &c);
    if (code == ERR_ABSENT && source_changed(e, c.container, from, etag))
        return COPY_CHANGED;
    log_line(LOG_WARN, "copy to %s: %s", to, err.msg);
    return COPY_LATER;
}
