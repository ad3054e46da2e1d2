#include "controller/traces.h"

#include <stdio.h>
#include <string.h>

#include "base/crypto.h"
#include "base/log.h"
#include "job/text.h"

#define NAME_SHOWN 97        /* bytes of a name in a sentence; cut between characters */
#define TAIL_MAX (64 * 1024) /* where a zip's end-of-central-directory record must be */
#define SMALL_MAX (128 * 1024)
#define MANIFEST_MAX (256 * 1024)

/* The record's signature, with a comment length that fits what follows. */
static bool has_zip_end(const struct str *tail)
{
    const unsigned char *p = (const unsigned char *)tail->p;

    for (size_t at = tail->len >= 22 ? tail->len - 22 + 1 : 0; at-- > 0;)
        if (memcmp(p + at, "PK\5\6", 4) == 0 && at + 22 + (size_t)(p[at + 20] | p[at + 21] << 8) == tail->len)
            return true;
    return false;
}

struct nearest {
    const char *wanted;
    int distance; /* a name must be closer than this */
    char found[ZIP_MAX];
    int64_t modified_s;
};

/* The share itself ignores case, so what is similar differs in letters. */
static bool compare_name(void *ctx, const char *name, int64_t modified_s)
{
    struct nearest *n = ctx;
    int distance = text_distance(n->wanted, name);

    if (distance < n->distance && str_ends_nocase(name, ".zip")) {
        n->distance = distance;
        str_copy(n->found, sizeof n->found, name);
        n->modified_s = modified_s;
    }
    return true;
}

static void note_missing(const struct errand *e, struct record *rec)
{
    struct nearest n = {.wanted = rec->request.zip, .distance = (int)strlen(rec->request.zip) / 3 + 1};
    struct err err = {0};
    char shown[NAME_SHOWN];
    AUTO_STR note = STR_MAX(sizeof rec->zip_note - 1);

    str_copy(shown, sizeof shown, rec->request.zip);
    str_addf(&note, "E16 zip: `%s` is not in share `train`", shown);
    if (files_list(&e->c->storage, SHARE_TRAIN, "", "", compare_name, &n, &err) == OK && n.found[0] != '\0') {
        str_copy(shown, sizeof shown, n.found);
        str_addf(&note, " (seen: `%s`", shown);
        if (n.modified_s > 0)
            str_addf(&note, ", %lld min ago", (long long)(controller_now_s(e->c) - n.modified_s) / 60);
        str_add(&note, ")");
    }
    if (str_c(&note) != NULL)
        str_copy(rec->zip_note, sizeof rec->zip_note, str_c(&note));
}

enum err_code traces_read_tail(const struct storage *s, const char *zip, int64_t size, struct str *tail, struct file_info *info,
                               struct err *err)
{
    int64_t from = size > TAIL_MAX ? size - TAIL_MAX : 0;

    str_done(tail);
    *tail = STR_MAX(TAIL_MAX);
    return files_read(s, SHARE_TRAIN, zip, from, size - from, tail, info, err);
}

void traces_look_zip(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    const struct storage *s = &e->c->storage;
    const char *zip = rec->request.zip;
    struct file_info first = {0}, second = {0};
    struct err err = {0};
    char shown[NAME_SHOWN];
    AUTO_STR tail = STR_MAX(0);

    enum err_code code = files_head(s, SHARE_TRAIN, zip, &first, &err);
    if (code == ERR_ABSENT) {
        seen->zip = NO;
        note_missing(e, rec);
        return;
    }
    if (code == OK && first.size > 0)
        code = traces_read_tail(s, zip, first.size, &tail, &second, &err);
    if (code != OK) {
        snprintf(rec->zip_note, sizeof rec->zip_note, "E17 zip: share `train` does not let it be read (%.120s)", err.msg);
        log_line(LOG_WARN, "zip: %s", err.msg);
        return;
    }
    seen->zip = NO;
    str_copy(shown, sizeof shown, zip);
    if (first.size == 0)
        snprintf(rec->zip_note, sizeof rec->zip_note, "E17 zip: `%s` is empty (still uploading?)", shown);
    else if (!str_is(first.etag, second.etag) || second.answered_s - second.modified_s < TRACES_STILL_S)
        snprintf(rec->zip_note, sizeof rec->zip_note, "E17 zip: `%s` is still being uploaded", shown);
    else if (!has_zip_end(&tail))
        snprintf(rec->zip_note, sizeof rec->zip_note, "E17 zip: `%s` cannot be opened (still uploading, or not a zip?)", shown);
    else {
        seen->zip = YES;
        rec->zip_note[0] = '\0';
        rec->zip_size = first.size;
        str_copy(rec->zip_etag, sizeof rec->zip_etag, first.etag);
    }
}

void traces_look_claim(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    char name[BLOB_NAME_MAX];
    struct err err = {0};
    struct blob_info info;

    controller_claim(rec, name);
    enum err_code code = blob_head(&e->c->storage, CONTAINER_FILES, name, &info, &err);
    if (code == OK)
        seen->claim = YES;
    else if (code == ERR_ABSENT)
        seen->claim = NO;
    else
        log_line(LOG_WARN, "claim: %s", err.msg);
}

void traces_look_status(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    char name[BLOB_NAME_MAX];
    struct err err = {0};
    AUTO_STR text = STR_MAX(SMALL_MAX);

    controller_status(rec, name);
    enum err_code code = blob_get(&e->c->storage, CONTAINER_FILES, name, &text, NULL, &err);
    if (code == OK) {
        seen->status = YES;
        seen->heartbeat_s = status_beat(text.p, text.len);
        if (seen->heartbeat_s > 0 && seen->vm != NO && seen->off != YES) /* of one that is gone or off it is known why */
            snprintf(rec->trouble, sizeof rec->trouble, "The machine's last sign of life was %lld min ago.",
                     (long long)(controller_now_s(e->c) - seen->heartbeat_s) / 60);
    } else if (code == ERR_ABSENT)
        seen->status = NO;
    else
        log_line(LOG_WARN, "status: %s", err.msg);
}

static void look_report(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    char name[BLOB_NAME_MAX];
    struct err err = {0};
    AUTO_STR text = STR_MAX(SMALL_MAX);

    controller_out(rec, "report.json", name);
    enum err_code code = blob_get(&e->c->storage, CONTAINER_FILES, name, &text, NULL, &err);
    if (code == ERR_ABSENT)
        seen->reported = NO;
    if (code != OK && code != ERR_ABSENT && code != ERR_TOO_LARGE)
        log_line(LOG_WARN, "report: %s", err.msg);
    if (code != OK && code != ERR_TOO_LARGE)
        return;
    seen->reported = YES; /* also one that is too large to be read: it must not hold the job up */
    if (code == ERR_TOO_LARGE || report_read(text.p, text.len, rec->job_id, rec->state.attempt, &rec->report, &err) != OK) {
        rec->report = (struct report){.outcome = OUTCOME_FAILED, .exit_code = -1};
        str_copy(rec->report.reason, sizeof rec->report.reason, err.msg);
    }
    seen->report = rec->report.outcome;
}

void traces_keep_manifest(struct record *rec, const struct manifest *m, const struct str *text, const struct blob_info *info)
{
    memcpy(rec->file, m->file, sizeof rec->file);
    rec->files = m->files;
    str_copy(rec->metric, sizeof rec->metric, m->metric);
    str_copy(rec->classes, sizeof rec->classes, m->classes);
    str_copy(rec->manifest_etag, sizeof rec->manifest_etag, info->etag);
    sha256_of(text->p, text->len, rec->manifest_sha256);
    rec->value = m->value;
    rec->images = m->images;
    rec->images_train = m->images_train;
    rec->epochs_done = m->epochs_done;
}

static void look_manifest(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    char name[BLOB_NAME_MAX];
    struct err err = {0};
    struct blob_info info;
    AUTO_STR text = STR_MAX(MANIFEST_MAX);
    AUTO_MANIFEST m = {0};

    controller_out(rec, "manifest.json", name);
    enum err_code code = blob_get(&e->c->storage, CONTAINER_FILES, name, &text, &info, &err);
    if (code != OK && code != ERR_ABSENT && code != ERR_TOO_LARGE) {
        log_line(LOG_WARN, "manifest: %s", err.msg);
        return;
    }
    seen->manifest = NO;
    if (code == ERR_ABSENT)
        return;
    if (code == OK)
        code = manifest_read(text.p, text.len, rec->job_id, rec->state.attempt, rec->request.line, task_name(rec->request.task), &m, &err);
    if (code != OK) {
        str_copy(rec->trouble, sizeof rec->trouble, err.msg);
        log_line(LOG_ERROR, "%s", err.msg);
        return;
    }
    traces_keep_manifest(rec, &m, &text, &info);
    seen->manifest = YES;
}

void traces_look_result(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    look_report(e, rec, seen);
    look_manifest(e, rec, seen);
}
