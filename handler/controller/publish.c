#include "controller/publish.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "controller/ledger.h"
#include "controller/trained.h"

#define MANIFEST_MAX (256 * 1024)
#define POINTER_MAX (64 * 1024)
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
        controller_out(rec, f->name, name);
        enum err_code code = blob_hash(&patient, CONTAINER_FILES, name, &info, hex, &err);
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

/* The version that model/<line>/current.json names; 0 when there is none, or it cannot be read. etag is that of the file, "" when absent.
 */
static enum err_code read_pointer(const struct errand *e, const struct record *rec, int64_t *version, char etag[ETAG_MAX], struct err *err)
{
    char name[BLOB_NAME_MAX];
    struct blob_info info = {0};
    AUTO_STR text = STR_MAX(POINTER_MAX);
    AUTO_JSON doc = NULL;

    snprintf(name, sizeof name, "%s/current.json", rec->request.line);
    enum err_code code = blob_get(&e->c->storage, CONTAINER_MODEL, name, &text, &info, err);
    *version = 0;
    etag[0] = '\0';
    if (code == ERR_ABSENT)
        return OK;
    if (code != OK)
        return code;
    str_copy(etag, ETAG_MAX, info.etag);
    if (json_parse(text.p, text.len, 4, &doc, NULL) == OK)
        *version = json_get_int(doc, "version", 0);
    return OK;
}

/* As it was offered: what is verified, judged and copied is one and the same. ERR_CONFLICT: it is another one now. */
static enum err_code offered_manifest(const struct errand *e, const struct record *rec, struct manifest *m, struct err *err)
{
    char name[BLOB_NAME_MAX];
    struct blob_info info = {0};
    AUTO_STR text = STR_MAX(MANIFEST_MAX);

    controller_out(rec, "manifest.json", name);
    enum err_code code = blob_get(&e->c->storage, CONTAINER_FILES, name, &text, &info, err);
    if (code == ERR_ABSENT || (code == OK && !str_is(info.etag, rec->manifest_etag)))
        return err_set(err, ERR_CONFLICT, "%s is not what it was", name);
    if (code != OK)
        return code;
    return manifest_read(text.p, text.len, rec->job_id, rec->state.attempt, rec->request.line, task_name(rec->request.task), m, err);
}

struct gate_visit {
    const struct record *rec;
    const struct manifest *m;
    int64_t pointed; /* what the line's pointer says: ahead of the line's file while another job publishes, or when that was lost */
    struct gate_verdict verdict;
    bool asked;
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

    gate_decide(&q, &v->verdict);
    v->asked = true;
    return v->verdict.publish;
}

static void keep(struct job_seen *seen, enum job_reason why)
{
    seen->model = MODEL_KEPT;
    seen->kept = why;
}

void publish_take_line(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    struct err err = {0};
    char etag[ETAG_MAX];
    AUTO_MANIFEST m = {0};
    struct gate_visit visit = {.rec = rec, .m = &m};
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
        code = read_pointer(e, rec, &visit.pointed, etag, &err);
    taking.above = visit.pointed; /* a line file that was lost must not give a version out twice */
    if (code == OK)
        code = ledger_take_line(&e->c->storage, &taking, &seen->version, &err);
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

enum copied { COPY_DONE, COPY_LATER, COPY_CHANGED };

static bool source_changed(const struct errand *e, const char *from, const char *etag)
{
    struct blob_info info = {0};
    enum err_code code = blob_head(&e->c->storage, CONTAINER_FILES, from, &info, NULL);

    return code == ERR_ABSENT || (code == OK && !str_is(info.etag, etag));
}

/* Somebody was first at the target, or the source is no longer what was verified: a look at both decides. */
static enum copied copy_again(const struct errand *e, const struct record *rec, const char *from, const char *etag, const char *to,
                              const char *version, int64_t size)
{
    struct blob_info there = {0};
    struct err err = {0};
    char status[16] = "";

    if (source_changed(e, from, etag))
        return COPY_CHANGED;
    enum err_code code = blob_head(&e->c->storage, CONTAINER_MODEL, to, &there, &err);
    if (code == OK && str_is(there.meta_job, rec->job_id) && str_is(there.copy_status, "pending"))
        return COPY_LATER;
    if (code == OK && str_is(there.meta_job, rec->job_id) && there.size == size && str_is(there.copy_status, "success"))
        return COPY_DONE;
    if (code == OK)
        code = blob_copy(&e->c->storage, CONTAINER_FILES, from, etag, CONTAINER_MODEL, to, BLOB_IF_MATCH, there.etag, rec->job_id, version,
                         status, &err);
    if (code == OK && str_is(status, "success"))
        return COPY_DONE;
    log_line(LOG_WARN, "copy to %s: %s", to, code == OK ? "still going on" : err.msg);
    return COPY_LATER;
}

static enum copied copy_file(const struct errand *e, const struct record *rec, const char *file, const char *etag, int64_t size)
{
    char from[BLOB_NAME_MAX], to[BLOB_NAME_MAX], version[24], status[16] = "";
    struct err err = {0};

    controller_out(rec, file, from);
    snprintf(version, sizeof version, "%lld", (long long)rec->state.version);
    snprintf(to, sizeof to, "%s/%s/%s", rec->request.line, version, file);
    enum err_code code = blob_copy(&e->c->storage, CONTAINER_FILES, from, etag, CONTAINER_MODEL, to, BLOB_IF_ABSENT, NULL, rec->job_id,
                                   version, status, &err);
    if (code == OK && str_is(status, "success"))
        return COPY_DONE;
    if (code == ERR_CONFLICT || code == OK)
        return copy_again(e, rec, from, etag, to, version, size);
    if (code == ERR_ABSENT && source_changed(e, from, etag))
        return COPY_CHANGED;
    log_line(LOG_WARN, "copy to %s: %s", to, err.msg);
    return COPY_LATER;
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
                all = copy_file(e, rec, file, rec->file[i].etag, rec->file[i].size);
            }
    if (all == COPY_DONE) {
        file = "manifest.json";
        controller_out(rec, file, manifest);
        all = blob_head(&e->c->storage, CONTAINER_FILES, manifest, &info, NULL) == OK ? COPY_DONE : COPY_LATER;
        if (all == COPY_DONE)
            all = copy_file(e, rec, file, rec->manifest_etag, info.size);
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
    return manifest_read(text.p, text.len, rec->job_id, rec->state.attempt, rec->request.line, task_name(rec->request.task), m, err);
}

static void write_pointer(const struct errand *e, const struct record *rec, const struct manifest *m, struct str *to)
{
    json_open(to, NULL, '{');
    json_put_int(to, "v", 1);
    json_put_text(to, "line", rec->request.line);
    json_put_int(to, "version", rec->state.version);
    json_put_text(to, "job_id", rec->job_id);
    json_put_text(to, "task", task_name(rec->request.task));
    json_open(to, "classes", '[');
    for (int32_t i = 0; i < m->classes_count; i++)
        json_put_text(to, NULL, m->class_name[i]);
    json_close(to, ']');
    json_put_bool(to, "breaking", rec->breaking != 0);
    json_put_text(to, "manifest_sha256", rec->manifest_sha256);
    json_put_int(to, "published_s", controller_now_s(e->c));
    json_close(to, '}');
}

void publish_point(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    char name[BLOB_NAME_MAX], etag[ETAG_MAX];
    struct err err = {0};
    int64_t current;
    AUTO_MANIFEST m = {0};
    AUTO_STR pointer = STR_MAX(POINTER_MAX);

    snprintf(name, sizeof name, "%s/current.json", rec->request.line);
    enum err_code code = read_pointer(e, rec, &current, etag, &err);
    bool there = code == OK && current >= rec->state.version; /* ours already, or a newer one: never back */
    if (code == OK && !there)
        code = published_manifest(e, rec, &m, &err);
    if (code == OK && !there) {
        write_pointer(e, rec, &m, &pointer);
        code = str_check(&pointer, name, &err);
    }
    if (code == OK && !there)
        code = blob_put(&e->c->storage, CONTAINER_MODEL, name, str_c(&pointer), pointer.len, "application/json",
                        *etag == '\0' ? BLOB_IF_ABSENT : BLOB_IF_MATCH, etag, NULL, &err);
    if (code == ERR_CONFLICT) /* our own lost reply, or another's: the content decides */
        code = read_pointer(e, rec, &current, etag, &err) == OK && current >= rec->state.version ? OK : ERR_CONFLICT;
    if (code == OK)
        code = trained_keep(&e->c->storage, rec, controller_now_s(e->c), &err);
    if (code == OK) {
        seen->model = MODEL_CURRENT;
        log_line(LOG_INFO, "published: line %s, version %lld", rec->request.line, (long long)rec->state.version);
    } else
        log_line(LOG_WARN, "%s: %s", name, err.msg);
}

void publish_free_line(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    struct err err = {0};
    AUTO_MANIFEST m = {0};
    struct line published = {.version = rec->state.version};
    bool current = rec->state.model == MODEL_CURRENT;
    enum err_code code = current ? published_manifest(e, rec, &m, &err) : OK;

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
