#include "controller/publish.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "controller/copies.h"
#include "controller/ledger.h"
#include "controller/legacy.h"
#include "controller/pointer.h"
#include "controller/release.h"
#include "controller/trained.h"

#define MANIFEST_MAX (256 * 1024)
#define VERIFY_MS (100 * 1000)

static void broken(struct record *rec, struct job_seen *seen, const char *file, const char *what)
{
    seen->model = MODEL_BROKEN;
    snprintf(rec->trouble, sizeof rec->trouble, "%s %.400s; nothing was published", file, what);
    log_line(LOG_ERROR, "%s", rec->trouble);
}

void publish_verify(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    struct storage patient = e->c->storage; /* a large file takes its time; the invocation's budget still holds */

    patient.call_ms = VERIFY_MS;
    for (int32_t i = 0; i < rec->files; i++) {
        struct model_file *f = &rec->file[i];
        struct blob_info info = {0};
        struct err err = {0};
        char name[BLOB_NAME_MAX], hex[65];
        const char *container = copies_source(rec, f->name, name);
        if (rec->release != RELEASE_NONE) /* as it was verified when it was kept */
            str_copy(info.etag, sizeof info.etag, f->etag);
        enum err_code code = blob_hash(&patient, container, name, &info, hex, &err);
        if (code == ERR_CONFLICT && f->etag[0] != '\0') {
            broken(rec, seen, f->name, "was changed after it had been verified");
            return;
        }
        if (code == ERR_ABSENT) {
            broken(rec, seen, f->name, "is named in the manifest and is not there");
            return;
        }
        if (code != OK) {
            log_line(LOG_WARN, "%s: %s", f->name, err.msg);
            return;
        }
        if (info.size != f->size || !str_is(hex, f->sha256)) {
            broken(rec, seen, f->name, "is not what the manifest says (size or sha256 differ)");
            return;
        }
        if (info.encoding[0] != '\0') {
            broken(rec, seen, f->name, "is marked as compressed (Content-Encoding): a device would get other bytes");
            return;
        }
        str_copy(f->etag, sizeof f->etag, info.etag);
    }
    seen->model = MODEL_VERIFIED;
}

/* As it was offered: what is verified, judged and copied is one and the same. ERR_CONFLICT: it is another one now. */
static enum err_code offered_manifest(const struct errand *e, const struct record *rec, struct manifest *m, struct err *err)
{
    char name[BLOB_NAME_MAX];
    struct blob_info info = {0};
    AUTO_STR text = STR_MAX(MANIFEST_MAX);

    const char *container = copies_source(rec, "manifest.json", name);
    enum err_code code = blob_get(&e->c->storage, container, name, &text, &info, err);
    if (code == ERR_ABSENT || (code == OK && !str_is(info.etag, rec->manifest_etag)))
        return err_set(err, ERR_CONFLICT, "%s is not what it was", name);
    if (code != OK)
        return code;
    return manifest_read(text.p, text.len, record_maker(rec), record_maker_attempt(rec), rec->request.line, task_name(rec->request.task), m,
                         err);
}

struct gate_visit {
    const struct errand *e;
    const struct record *rec;
    const struct manifest *m;
    int64_t pointed; /* what the line's pointer says: ahead of the line's file while another job publishes, or when that was lost */
    struct gate_verdict verdict;
    bool asked;
    enum err_code answered; /* whether the record, and a release, could be asked about; ERR_CONFLICT: the record is out of date */
    struct err err;
    char why[320]; /* and why it is not done; "": it is */
};

static bool ask_gate(void *ctx, const struct line *now)
{
    struct gate_visit *v = ctx;
    struct gate_question q = {
        .policy = v->rec->request.publish,
        .facts = &v->m->gate,
        .metric = v->rec->metric,
        .current = now->version > v->pointed ? now->version : v->pointed,
        .line = {now->class_name, now->classes_count},
        .model = {v->m->class_name, v->m->classes_count},
    };

    AUTO_STR why = STR_MAX(sizeof v->why - 1);
    /* A drive that was slow may come when another has published and given the line back: it would take a version for nothing. Until a
     * record says that the line is taken nobody gives it back, so the line that was read is then still the one that can be taken. */
    v->answered = ledger_unchanged(&v->e->c->storage, v->rec, &v->err);
    if (v->answered == OK)
        v->answered = release_check(v->e, v->rec, &why, &v->err);
    str_copy(v->why, sizeof v->why, str_c(&why));
    if (v->answered != OK || v->why[0] != '\0')
        return false;
    gate_decide(&q, &v->verdict);
    v->asked = true;
    return v->verdict.publish;
}

/* A release is a person's will: it is done, or it has failed and they are told why. */
static void refuse_release(struct record *rec, struct job_seen *seen, const char *why)
{
    seen->model = MODEL_BROKEN;
    str_copy(rec->trouble, sizeof rec->trouble, why);
    log_line(LOG_INFO, "not published: %s", why);
}

static void keep(struct job_seen *seen, enum job_reason why)
{
    seen->model = MODEL_KEPT;
    seen->kept = why;
}

void publish_take_line(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    struct err err = {0};
    struct pointer now = {0};
    AUTO_MANIFEST m = {0};
    struct gate_visit visit = {.e = e, .rec = rec, .m = &m};
    struct line_taking taking = {
        .name = rec->request.line, .task = task_name(rec->request.task), .job_id = rec->job_id, .judge = ask_gate, .ctx = &visit};
    enum err_code code = offered_manifest(e, rec, &m, &err);

    if (code == ERR_CONFLICT)
        broken(rec, seen, "manifest.json", "was changed after it had been verified");
    else if (code == ERR_INPUT) /* it was good when it was offered: to another version of this program */
        broken(rec, seen, "the machine's", err.msg);
    if (code == ERR_CONFLICT || code == ERR_INPUT)
        return;
    if (code == OK)
        code = pointer_read(&e->c->storage, rec->request.line, &now, &err);
    taking.above = visit.pointed = now.version; /* a line file that was lost must not give a version out twice */
    if (code == OK)
        code = ledger_take_line(&e->c->storage, &taking, &seen->version, &err);
    if (visit.answered != OK) {
        log_line(LOG_WARN, "%s", visit.err.msg);
        return;
    }
    if (visit.why[0] != '\0' || (rec->release != RELEASE_NONE && code == ERR_INPUT)) {
        refuse_release(rec, seen, visit.why[0] != '\0' ? visit.why : err.msg);
        return;
    }
    if (visit.asked) {
        rec->gate = visit.verdict.code;
        rec->breaking = visit.verdict.breaking;
        str_copy(rec->gate_note, sizeof rec->gate_note, visit.verdict.text);
    }
    if (visit.asked && !visit.verdict.publish) {
        keep(seen, REASON_GATE);
        log_line(LOG_INFO, "not published: %s", rec->gate_note);
        return;
    }
    if (code == OK)
        seen->line = YES;
    else if (code == ERR_INPUT) {
        keep(seen, REASON_LINE_TASK);
        str_copy(rec->trouble, sizeof rec->trouble, err.msg);
    } else if (code == ERR_CONFLICT)
        seen->line = NO;
    if (code != OK)
        log_line(LOG_WARN, "%s", err.msg);
}

/* model.bin, then model.xml: a server that watches the folder must never find an .xml without its .bin. */
static int rank(const char *name)
{
    return str_is(name, "model.bin") ? 0 : str_is(name, "model.xml") ? 1 : 2;
}

void publish_copy(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    enum copied all = COPY_DONE;
    const char *file = "manifest.json";
    struct blob_info info = {0};
    char manifest[BLOB_NAME_MAX];

    for (int turn = 0; turn <= 2 && all == COPY_DONE; turn++)
        for (int32_t i = 0; i < rec->files && all == COPY_DONE; i++)
            if (rank(rec->file[i].name) == turn) {
                file = rec->file[i].name;
                all = copies_file(e, rec, file, rec->file[i].etag, rec->file[i].size);
            }
    if (all == COPY_DONE) {
        file = "manifest.json";
        const char *container = copies_source(rec, file, manifest);
        all = blob_head(&e->c->storage, container, manifest, &info, NULL) == OK ? COPY_DONE : COPY_LATER;
        if (all == COPY_DONE)
            all = copies_file(e, rec, file, rec->manifest_etag, info.size);
    }
    if (all == COPY_CHANGED)
        broken(rec, seen, file, "was changed after it had been verified");
    else if (all == COPY_DONE)
        seen->model = MODEL_COPIED;
}

/* The class names as the manifest that was just published has them. */
static enum err_code published_manifest(const struct errand *e, const struct record *rec, struct manifest *m, struct err *err)
{
    char name[BLOB_NAME_MAX];
    AUTO_STR text = STR_MAX(MANIFEST_MAX);

    snprintf(name, sizeof name, "%s/%lld/manifest.json", rec->request.line, (long long)rec->state.version);
    enum err_code code = blob_get(&e->c->storage, CONTAINER_MODEL, name, &text, NULL, err);
    if (code != OK)
        return code;
    return manifest_read(text.p, text.len, record_maker(rec), record_maker_attempt(rec), rec->request.line, task_name(rec->request.task), m,
                         err);
}

/* Somebody deleted the version between its copying and the pointer, which must not show what is not there. */
static enum err_code copied_again(const struct errand *e, struct record *rec, struct job_seen *seen, struct manifest *m, struct err *err)
{
    log_line(LOG_WARN, "line %s, version %lld: its manifest is gone; all is copied again", rec->request.line,
             (long long)rec->state.version);
    publish_copy(e, rec, seen);
    if (seen->model != MODEL_COPIED)
        return err_set(err, ERR_ABSENT, "the version was deleted and cannot be copied again now");
    return published_manifest(e, rec, m, err);
}

/* What follows the pointer, before the line is given back. */
static enum err_code after_point(const struct errand *e, struct record *rec, struct err *err)
{
    enum err_code code = release_mark(e, rec, err);

    if (code == OK && rec->release == RELEASE_NONE)
        code = trained_keep(&e->c->storage, rec, controller_now_s(e->c), err);
    return code == OK ? legacy_renew(e, rec, err) : code;
}

void publish_point(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    const struct storage *s = &e->c->storage;
    struct err err = {0};
    struct pointer now;
    AUTO_MANIFEST m = {0};

    enum err_code code = pointer_read(s, rec->request.line, &now, &err);
    bool there = code == OK && now.version >= rec->state.version; /* ours already, or a newer one: never back */
    if (code == OK && !there)
        code = published_manifest(e, rec, &m, &err);
    if (code == ERR_ABSENT)
        code = copied_again(e, rec, seen, &m, &err);
    if (code == OK && !there)
        code = pointer_write(s, rec, &m, controller_now_s(e->c), now.etag, &err);
    if (code == ERR_CONFLICT) /* our own lost reply, or another's: the content decides */
        code = pointer_read(s, rec->request.line, &now, &err) == OK && now.version >= rec->state.version ? OK : ERR_CONFLICT;
    if (code == OK)
        code = after_point(e, rec, &err);
    if (code == OK) {
        seen->model = MODEL_CURRENT;
        log_line(LOG_INFO, "published: line %s, version %lld", rec->request.line, (long long)rec->state.version);
    } else
        log_line(LOG_WARN, "line %s: %s", rec->request.line, err.msg);
}

void publish_free_line(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    struct err err = {0};
    AUTO_MANIFEST m = {0};
    struct line published = {.version = rec->state.version};
    bool current = rec->state.model == MODEL_CURRENT;
    enum err_code code = current ? published_manifest(e, rec, &m, &err) : OK;

    if (code == ERR_ABSENT) { /* somebody deleted it: the line keeps what it knew, its pointer tells the version */
        current = false;
        code = OK;
    }
    if (code == OK) {
        str_copy(published.task, sizeof published.task, task_name(rec->request.task));
        published.class_name = m.class_name;
        published.classes_count = m.classes_count;
        code = ledger_free_line(&e->c->storage, rec->request.line, rec->job_id, current ? &published : NULL, &err);
    }
    if (code == OK)
        seen->line = NO;
    else
        log_line(LOG_WARN, "%s", err.msg);
}
