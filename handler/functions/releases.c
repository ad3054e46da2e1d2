#include "functions/releases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "controller/ledger.h"
#include "controller/pointer.h"
#include "controller/traces.h"
#include "functions/intake.h"
#include "functions/orders.h"
#include "job/notice.h"

#define MANIFEST_MAX (256 * 1024)
#define VERSIONS_SHOWN 10

/* A record for the message, which has its files named next. `task` and `zip` are those of what is published. */
static enum err_code begin(const struct app *app, const struct invocation *inv, struct message *m, const char *job_id, enum task task,
                           const char *line, const char *zip, struct record *rec, struct err *err)
{
    struct request *q = &m->request;

    str_copy(q->job_id, sizeof q->job_id, job_id);
    str_copy(q->job_name, sizeof q->job_name, job_id);
    str_copy(q->line, sizeof q->line, line);
    str_copy(q->zip, sizeof q->zip, zip);
    q->task = task;
    q->publish = PUBLISH_UNGATED; /* it is a person's will */
    enum err_code code = intake_record(app, inv, m, &(struct intake){0}, rec, err);
    rec->model_name[0] = rec->corrected[0] = '\0'; /* nothing is trained */
    rec->input_size = 0;
    rec->state = job_released(rec->state.accepted_s);
    return code;
}

/* The line that asks for the same once more. */
static void keep_line_again(struct record *rec)
{
    AUTO_STR line = STR_MAX(sizeof rec->corrected - 1);

    json_open(&line, NULL, '{');
    json_put_int(&line, "v", 1);
    json_put_text(&line, "action", rec->release == RELEASE_ROLLBACK ? "rollback" : "publish");
    if (rec->release == RELEASE_PUBLISH)
        json_put_text(&line, "job_id", rec->maker_name);
    else {
        json_put_text(&line, "line", rec->request.line);
        json_put_int(&line, "version", rec->from_version);
    }
    json_close(&line, '}');
    str_copy(rec->corrected, sizeof rec->corrected, str_c(&line));
}

/* ---- publish: the files of a job whose model was kept ---- */

/* Why its model cannot be published; nothing when it can. */
static void judge_kept(const struct record *kept, struct str *why)
{
    const struct job_state *s = &kept->state;
    const char *name = kept->request.job_name;

    if (kept->release != RELEASE_NONE)
        str_addf(why, "Job `%s` made no model of its own: name the job that trained it", name);
    else if (kept->published_version > 0 || s->model == MODEL_CURRENT)
        str_addf(why, "The model of job `%s` was published already: line `%s`, version %lld", name, kept->request.line,
                 (long long)(s->model == MODEL_CURRENT ? s->version : kept->published_version));
    else if (s->model == MODEL_KEPT && kept->files > 0)
        return;
    else if (s->outcome == OUTCOME_NONE)
        str_addf(why, "Job `%s` is not over yet (%s)", name,
                 s->model != MODEL_NONE ? "its model is on its way" : job_machine_words[s->machine]);
    else
        str_addf(why, "Job `%s` has left no model that could be published (%s)", name, job_outcome_words[s->outcome]);
    str_add(why, "; nothing was published.");
}

static enum err_code from_kept(const struct app *app, const struct invocation *inv, struct message *m, const char *job_id,
                               struct record *rec, struct str *why, struct err *err)
{
    AUTO_RECORD kept = {0};
    enum err_code code = ledger_load(&app->controller->storage, m->target_job_id, &kept, err);

    if (code == ERR_ABSENT) {
        str_addf(why, "There is no job `%s`; nothing was published.", m->target_job_id);
        return OK;
    }
    if (code == OK)
        judge_kept(&kept, why);
    if (code != OK || why->len > 0)
        return code;
    code = begin(app, inv, m, job_id, kept.request.task, kept.request.line, kept.request.zip, rec, err);
    rec->release = RELEASE_PUBLISH;
    str_copy(rec->maker, sizeof rec->maker, kept.job_id);
    str_copy(rec->maker_name, sizeof rec->maker_name, kept.request.job_name);
    rec->maker_attempt = kept.state.attempt;
    memcpy(rec->file, kept.file, sizeof rec->file); /* with the ETags at which they were verified */
    rec->files = kept.files;
    str_copy(rec->manifest_etag, sizeof rec->manifest_etag, kept.manifest_etag);
    str_copy(rec->manifest_sha256, sizeof rec->manifest_sha256, kept.manifest_sha256);
    str_copy(rec->metric, sizeof rec->metric, kept.metric);
    str_copy(rec->classes, sizeof rec->classes, kept.classes);
    rec->value = kept.value;
    rec->images = kept.images;
    rec->images_train = kept.images_train;
    rec->epochs_done = kept.epochs_done;
    return code;
}

/* ---- rollback: the files of a former version ---- */
struct versions {
    size_t skip;   /* letters of "<line>/" */
    int64_t below; /* only versions under this one count: what is above was never current */
    int64_t shown[VERSIONS_SHOWN];
    int64_t wanted, found; /* wanted 0: the highest under `before` */
    int64_t before;
};

/* A version is whole when its manifest is there, which comes last. */
static bool note_version(void *ctx, const char *name, const struct blob_info *info)
{
    struct versions *v = ctx;
    char *end = NULL;
    int64_t n = strtoll(name + v->skip, &end, 10);

    (void)info;
    if (n < 1 || n >= v->below || !str_is(end, "/manifest.json"))
        return true;
    if (v->wanted > 0 ? n == v->wanted : n < v->before && n > v->found)
        v->found = n;
    for (size_t i = 0; i < VERSIONS_SHOWN; i++) /* highest first */
        if (n > v->shown[i]) {
            int64_t lower = v->shown[i];
            v->shown[i] = n;
            n = lower;
        }
    return true;
}

static void add_versions(const struct versions *v, struct str *to)
{
    str_add(to, v->shown[0] > 0 ? "; there are " : "; there is none before");
    for (size_t i = 0; i < VERSIONS_SHOWN && v->shown[i] > 0; i++)
        str_addf(to, "%s%lld", i > 0 ? ", " : "", (long long)v->shown[i]);
}

/* *version becomes the one whose files it has: a version that was rolled back to has those of an earlier one. */
static enum err_code find_origin(const struct storage *s, const char *line, int64_t *version, struct err *err)
{
    for (bool back = true; back;) {
        char name[BLOB_NAME_MAX];
        struct blob_info info = {0};
        AUTO_RECORD by = {0};

        snprintf(name, sizeof name, "%s/%lld/manifest.json", line, (long long)*version);
        enum err_code code = blob_head(s, CONTAINER_MODEL, name, &info, err);
        if (code == OK && names_is_job_id(info.meta_job))
            code = ledger_load(s, info.meta_job, &by, err);
        if (code != OK && code != ERR_ABSENT)
            return code;
        back =
            by.release == RELEASE_ROLLBACK && str_is(by.request.line, line) && by.state.version == *version && by.from_version < *version;
        if (back)
            *version = by.from_version;
    }
    return OK;
}

/* Which version is meant; 0 with the reason why none is. After a rollback, the one before is counted from the version whose files are
 * current, so that a second message goes further back, and not to the model that was left a moment ago. */
static enum err_code choose_version(const struct storage *s, const struct message *m, int64_t *version, struct str *why, struct err *err)
{
    struct pointer now;
    const char *line = m->request.line;
    char prefix[LINE_MAX_ + 1];
    enum err_code code = pointer_read(s, line, &now, err);
    struct versions v = {.skip = strlen(line) + 1, .wanted = m->version, .below = now.version};

    *version = 0;
    if (code != OK)
        return code;
    v.before = now.from_version > 0 ? now.from_version : now.version;
    if (now.from_version > 0 && m->version == 0)
        code = find_origin(s, line, &v.before, err);
    if (code != OK)
        return code;
    snprintf(prefix, sizeof prefix, "%s/", line);
    if (now.version == 0)
        str_addf(why, "Line `%s` has no published model; nothing was rolled back.", line);
    else if (m->version > 0 && (m->version == now.version || m->version == now.from_version))
        str_addf(why, "Version %lld of line `%s` is what devices get already (the current version is %lld); nothing was rolled back.",
                 (long long)m->version, line, (long long)now.version);
    else {
        code = blob_list(s, CONTAINER_MODEL, prefix, note_version, &v, err);
        if (code == OK && v.found == 0) {
            if (m->version > 0)
                str_addf(why, "Line `%s` has no version %lld", line, (long long)m->version);
            else
                str_addf(why, "Line `%s` has no version before %lld", line, (long long)v.before);
            add_versions(&v, why);
            str_add(why, ". Nothing was rolled back.");
        }
    }
    *version = v.found;
    return code;
}

static void name_maker(const struct storage *s, struct record *rec)
{
    AUTO_RECORD maker = {0};

    str_copy(rec->maker_name, sizeof rec->maker_name, ledger_load(s, rec->maker, &maker, NULL) == OK ? maker.request.job_name : rec->maker);
}

static enum err_code from_version(const struct app *app, const struct invocation *inv, struct message *m, const char *job_id,
                                  struct record *rec, struct str *why, struct err *err)
{
    const struct storage *s = &app->controller->storage;
    char name[BLOB_NAME_MAX], line[LINE_MAX_];
    struct blob_info info = {0};
    int64_t version = 0;
    AUTO_STR text = STR_MAX(MANIFEST_MAX);
    AUTO_JSON doc = NULL;
    AUTO_MANIFEST manifest = {0};

    str_copy(line, sizeof line, m->request.line);
    enum err_code code = choose_version(s, m, &version, why, err);
    if (code != OK || why->len > 0)
        return code;
    snprintf(name, sizeof name, "%s/%lld/manifest.json", line, (long long)version);
    code = blob_get(s, CONTAINER_MODEL, name, &text, &info, err);
    if (code == OK)
        code = json_parse(text.p, text.len, 16, &doc, err);
    const char *maker = json_get_text(doc, "job_id"), *task = json_get_text(doc, "task");
    int32_t attempt = (int32_t)json_get_int(doc, "attempt", 0);
    if (code == OK)
        code = manifest_read(text.p, text.len, maker, attempt, line, task, &manifest, err);
    if (code == ERR_INPUT || code == ERR_TOO_LARGE || (code == OK && (!names_is_job_id(maker) || task_parse(task) == TASK_NONE))) {
        str_addf(why, "The manifest of version %lld of line `%s` cannot be read (%.160s); nothing was rolled back.", (long long)version,
                 line, code != OK ? err->msg : "no job or task");
        return OK;
    }
    if (code != OK)
        return code;
    code = begin(app, inv, m, job_id, task_parse(task), line, "", rec, err);
    rec->release = RELEASE_ROLLBACK;
    rec->from_version = version;
    str_copy(rec->maker, sizeof rec->maker, maker);
    rec->maker_attempt = attempt;
    name_maker(s, rec);
    traces_keep_manifest(rec, &manifest, &text, &info);
    return code;
}

/* ---- both ---- */
static void drive_saved(const struct app *app, const struct invocation *inv, const char *job_id)
{
    struct err err = {0};

    if (app_drive(app, inv, job_id, &err) != OK)
        log_line(LOG_WARN, "%s", err.msg); /* job-watch goes on with it */
}

/* Delivered before: the same job. */
static enum err_code meet(const struct app *app, const struct invocation *inv, const struct record *there, struct str *said)
{
    AUTO_STR text = STR_MAX(NOTICE_MAX);

    if (!str_is(there->message_id, inv->message_id)) {
        str_addf(&text, "Another job is called `%s`, as this message's would be; nothing was published. Send the message once more.",
                 there->job_id);
        orders_answer(app, &text, said);
        return OK;
    }
    str_addf(said, "job %s is known (%s)", there->job_id, job_machine_words[there->state.machine]);
    if (there->state.machine != MACHINE_CLOSED)
        drive_saved(app, inv, there->job_id);
    return OK;
}

enum err_code releases_take(const struct app *app, const struct invocation *inv, struct message *m, struct str *said, struct err *err)
{
    char job_id[JOB_ID_MAX];
    AUTO_RECORD there = {0}, rec = {0};
    AUTO_STR why = STR_MAX(NOTICE_MAX);

    message_release_job_id(m->action, inv->message_id, job_id);
    enum err_code code = ledger_load(&app->controller->storage, job_id, &there, err);
    if (code == OK)
        return meet(app, inv, &there, said);
    if (code == ERR_ABSENT)
        code = (m->action == ACTION_PUBLISH ? from_kept : from_version)(app, inv, m, job_id, &rec, &why, err);
    if (code == OK && why.len > 0) {
        orders_answer(app, &why, said);
        return OK;
    }
    if (code != OK)
        return code;
    keep_line_again(&rec);
    code = app_drive_new(app, inv, &rec, err);
    if (code == ERR_CONFLICT && rec.etag[0] == '\0' && ledger_load(&app->controller->storage, job_id, &there, NULL) == OK)
        return meet(app, inv, &there, said); /* another delivery was first */
    if (code != OK && rec.etag[0] == '\0')
        return code;
    if (code != OK) /* what is saved needs no second delivery */
        log_line(LOG_WARN, "%s", err->msg);
    str_addf(said, "job %s is accepted", job_id);
    return OK;
}
