#include "controller/legacy.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

#define MANIFEST_MAX (256 * 1024)
#define IO_MAX (64 * 1024)
#define LINE "default"
#define BOTH "model/model.bin and model/model.xml"
static const char *const NAMES[] = {"model.bin", "model.xml"}; /* in the order in which they are written */
#define COUNT (sizeof NAMES / sizeof *NAMES)

struct root {
    bool there, done;
    int64_t version; /* whose copy it is; 0: not one of ours */
    char etag[ETAG_MAX];
};

/* Its number alone does not make it a copy of this line's version: people copy files of other lines here, with their metadata, and begin a
 * line anew. A version not above ours is judged by its form. */
static enum err_code know(const struct errand *e, const struct record *rec, const char *job, struct root *out, struct err *err)
{
    char name[BLOB_NAME_MAX];
    struct blob_info info = {0};

    if (out->version == rec->state.version && !str_is(job, rec->job_id))
        out->version = 0;
    if (out->version <= rec->state.version)
        return OK;
    snprintf(name, sizeof name, LINE "/%lld/manifest.json", (long long)out->version);
    enum err_code code = blob_head(&e->c->storage, CONTAINER_MODEL, name, &info, err);
    if (code == ERR_ABSENT || (code == OK && !str_is(info.meta_job, job)))
        out->version = 0;
    return code == ERR_ABSENT ? OK : code;
}

static enum err_code look(const struct errand *e, const struct record *rec, const char *name, struct root *out, struct err *err)
{
    struct blob_info info = {0};
    enum err_code code = blob_head(&e->c->storage, CONTAINER_MODEL, name, &info, err);

    *out = (struct root){.there = code == OK};
    if (code != OK)
        return code == ERR_ABSENT ? OK : code;
    str_copy(out->etag, sizeof out->etag, info.etag);
    if (info.meta_job[0] != '\0')
        out->version = strtoll(info.meta_version, NULL, 10);
    out->done = out->version == rec->state.version && str_is(info.meta_job, rec->job_id) && str_is(info.copy_status, "success");
    return know(e, rec, info.meta_job, out, err);
}

/* The inputs and outputs of a version, as one text. The threshold is left out: it is a figure of each training, which such a device does
 * not know, and no part of the form. */
static enum err_code read_io(const struct errand *e, int64_t version, struct str *to, struct err *err)
{
    char name[BLOB_NAME_MAX];
    AUTO_STR text = STR_MAX(MANIFEST_MAX);
    AUTO_JSON doc = NULL;

    snprintf(name, sizeof name, LINE "/%lld/manifest.json", (long long)version);
    enum err_code code = blob_get(&e->c->storage, CONTAINER_MODEL, name, &text, NULL, err);
    if (code == OK)
        code = json_parse(text.p, text.len, 16, &doc, err);
    if (code != OK)
        return code;
    const struct json *io = json_get(doc, "io");
    json_open(to, NULL, '{');
    for (size_t i = 0; i < json_len(io); i++)
        if (!str_is(json_name(json_at(io, i)), "threshold"))
            json_put_value(to, json_name(json_at(io, i)), json_at(io, i));
    json_close(to, '}');
    return str_check(to, name, err);
}

/* *same is false also when the former one can no longer be read: then nobody knows what those devices can read. */
static enum err_code same_io(const struct errand *e, int64_t former, int64_t now, bool *same, struct err *err)
{
    AUTO_STR a = STR_MAX(IO_MAX), b = STR_MAX(IO_MAX);
    enum err_code code = read_io(e, now, &b, err);

    *same = false;
    if (code != OK)
        return code;
    code = read_io(e, former, &a, err);
    if (code == ERR_ABSENT || code == ERR_INPUT || code == ERR_TOO_LARGE)
        return OK;
    *same = code == OK && str_is(str_c(&a), str_c(&b));
    return code;
}

static void note_left(struct record *rec, int64_t version)
{
    if (version > 0)
        snprintf(rec->legacy_note, sizeof rec->legacy_note,
                 BOTH
                 ", for devices of the former system, stay at version %lld: version %lld has other inputs or outputs. The operator may "
                 "set LEGACY_ROOT to replace",
                 (long long)version, (long long)rec->state.version);
    else
        snprintf(rec->legacy_note, sizeof rec->legacy_note,
                 BOTH ", for devices of the former system, were not written by this one and stay as they are: those devices may not read "
                      "version %lld. The operator may set LEGACY_ROOT to replace",
                 (long long)rec->state.version);
    log_line(LOG_INFO, "%s", rec->legacy_note);
}

/* Whether the pair may be written. One alone never is: a .bin beside the .xml of another model is neither. */
static enum err_code may_write(const struct errand *e, struct record *rec, const struct root root[COUNT], bool *may, struct err *err)
{
    *may = false;
    for (size_t i = 0; i < COUNT; i++)
        if (root[i].version > rec->state.version)
            return OK; /* never back */
    *may = true;
    for (size_t i = 0; i < COUNT && *may && !e->c->legacy_replace; i++) {
        if (!root[i].there || root[i].version == rec->state.version || (i > 0 && root[i].version > 0 && root[i].version == root[0].version))
            continue; /* ours already, or just judged */
        enum err_code code = root[i].version > 0 ? same_io(e, root[i].version, rec->state.version, may, err) : OK;
        if (code != OK)
            return code;
        *may = *may && root[i].version > 0;
        if (!*may)
            note_left(rec, root[i].version);
    }
    return OK;
}

static enum err_code write_one(const struct errand *e, const struct record *rec, const char *name, const struct root *root, struct err *err)
{
    char from[BLOB_NAME_MAX], version[24], status[16] = "";
    struct blob_info info = {0};

    snprintf(version, sizeof version, "%lld", (long long)rec->state.version);
    snprintf(from, sizeof from, LINE "/%s/%s", version, name);
    enum err_code code = blob_head(&e->c->storage, CONTAINER_MODEL, from, &info, err);
    if (code == OK)
        code = blob_copy(&e->c->storage, CONTAINER_MODEL, from, info.etag, CONTAINER_MODEL, name,
                         root->there ? BLOB_IF_MATCH : BLOB_IF_ABSENT, root->etag, rec->job_id, version, status, err);
    if (code == OK && !str_is(status, "success"))
        return err_set(err, ERR_UNREACHABLE, "the copy to %s is still going on", name);
    return code;
}

static enum err_code renew(const struct errand *e, struct record *rec, struct err *err)
{
    struct root root[COUNT];
    enum err_code code = OK;
    bool may = false, done = true;

    for (size_t i = 0; code == OK && i < COUNT; i++) {
        code = look(e, rec, NAMES[i], &root[i], err);
        done = done && code == OK && root[i].done;
    }
    if (code == OK && !done)
        code = may_write(e, rec, root, &may, err);
    for (size_t i = 0; code == OK && may && i < COUNT; i++)
        if (!root[i].done)
            code = write_one(e, rec, NAMES[i], &root[i], err);
    return code;
}

enum err_code legacy_renew(const struct errand *e, struct record *rec, struct err *err)
{
    struct err local = {0};

    if (!str_is(rec->request.line, LINE))
        return OK;
    enum err_code code = renew(e, rec, &local);
    if (code == ERR_CONFLICT) /* perhaps our own copy, whose reply was lost: half a pair must not wait for its other half */
        code = renew(e, rec, &local);
    if (code == OK)
        return OK;
    if (code != ERR_REFUSED && controller_now_s(e->c) < rec->state.model_since_s + rec->terms.publish_wait_s) {
        if (err != NULL)
            *err = local;
        return code;
    }
    snprintf(rec->legacy_note, sizeof rec->legacy_note, BOTH ", for devices of the former system, could not be renewed: %.200s", local.msg);
    log_line(LOG_WARN, "%s", rec->legacy_note);
    return OK;
}
