#include "functions/intake.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "controller/ledger.h"
#include "controller/trained.h"
#include "job/models.h"

#define CREATE_WAIT_S 3600    /* for ARM to answer at all */
#define CAPACITY_WAIT_S 86400 /* for a machine that Azure can give */
#define BOOT_WAIT_S 900
#define EVICTIONS_MAX 3
#define SILENCE_S 900
#define PUBLISH_WAIT_S 1800
#define TELL_WAIT_S 86400
#define POINTER_MAX (64 * 1024)

/* `auto`: the job whose model the line shows now; a line without one starts afresh. */
static enum err_code resolve_auto(const struct storage *s, const char *line, char parent[JOB_ID_MAX], struct err *err)
{
    AUTO_STR name = STR_MAX(128), text = STR_MAX(POINTER_MAX);
    AUTO_JSON doc = NULL;

    str_addf(&name, "%s/current.json", line);
    parent[0] = '\0';
    enum err_code code = blob_get(s, CONTAINER_MODEL, str_c(&name), &text, NULL, err);
    if (code == OK && json_parse(text.p, text.len, 4, &doc, err) == OK)
        str_copy(parent, JOB_ID_MAX, json_get_text(doc, "job_id"));
    return code == ERR_ABSENT ? OK : code;
}

/* Its classes must begin with those of the former job: a checkpoint's rows keep their meaning. */
static bool extends(const struct request *now, const struct request *former)
{
    if (now->classes == NULL || former->classes == NULL)
        return true; /* read from the zip: judged on the machine */
    if (now->classes_count < former->classes_count)
        return false;
    for (int32_t i = 0; i < former->classes_count; i++)
        if (!str_is(now->classes[i], former->classes[i]))
            return false;
    return true;
}

static enum err_code look_checkpoint(const struct storage *s, struct message *m, const struct record *former, struct err *err)
{
    AUTO_STR path = STR_MAX(256);
    struct file_info info;

    str_addf(&path, "%s/latest.pth", former->request.job_name);
    enum err_code code = files_head(s, SHARE_LOGS, str_c(&path), &info, err);
    if (code != ERR_ABSENT)
        return code;
    message_fault(m, "E09", "continue_from", "`%s` has no latest.pth in share logs; leave the field empty, or name another job",
                  former->request.job_name);
    return OK;
}

/* Whether a checkpoint of the former job fits what is asked for now; `kind` is the former model, in words. */
static bool same_kind(const char *trainer, const struct request *now, const struct record *former, struct str *kind)
{
    const char *name = former->model_name[0] != '\0' ? former->model_name : former->trainer;
    const struct model_kind *wanted = models_of(trainer, now);

    str_add(kind, name);
    if (former->input_size > 0)
        str_addf(kind, " at %lld", (long long)former->input_size);
    return now->task == former->request.task && str_is(trainer, former->trainer) && wanted != NULL && str_is(wanted->name, name) &&
           wanted->input_size == former->input_size;
}

/* parent is a job_id; its folder's name comes back. */
static enum err_code look_parent(const struct app *app, struct message *m, const char *parent, char parent_name[JOB_ID_MAX],
                                 struct err *err)
{
    const struct storage *s = &app->controller->storage;
    const char *trainer = app->controller->trainer;
    const struct request *r = &m->request;
    AUTO_STR kind = STR_MAX(80);
    AUTO_RECORD former = {0};
    enum err_code code = ledger_load(s, parent, &former, err);

    if (code == ERR_ABSENT) {
        message_fault(m, "E09", "continue_from", "`%s` is no job of this system (made by the former one?); leave the field empty", parent);
        return OK;
    }
    if (code != OK)
        return code;
    if (former.state.outcome != OUTCOME_SUCCEEDED)
        message_fault(m, "E09", "continue_from", "`%s` has not succeeded (%s)", former.request.job_name,
                      former.state.outcome == OUTCOME_NONE ? job_machine_words[former.state.machine]
                                                           : job_outcome_words[former.state.outcome]);
    else if (!same_kind(trainer, r, &former, &kind))
        message_fault(m, "E09", "continue_from", "`%s` is another kind of model (%s, %s)", former.request.job_name,
                      task_name(former.request.task), str_c(&kind) != NULL ? str_c(&kind) : former.trainer);
    else if (!extends(r, &former.request))
        message_fault(m, "E09", "continue_from", "the classes must begin with those of `%s`, in its order", former.request.job_name);
    else {
        str_copy(parent_name, JOB_ID_MAX, former.request.job_name);
        return look_checkpoint(s, m, &former, err);
    }
    return OK;
}

static enum err_code look_line(const struct storage *s, struct message *m, int64_t *version, struct err *err)
{
    AUTO_LINE line = {0};
    enum err_code code = ledger_line(s, m->request.line, &line, err);

    if (code == OK && line.task[0] != '\0' && !str_is(line.task, task_name(m->request.task)))
        message_fault(m, "E19", "line", "line `%s` carries %s models and this job is for %s; name another line", m->request.line, line.task,
                      task_name(m->request.task));
    *version = line.version;
    return code;
}

/* Whether the request is what its corrected line asks for, but for the job_id: with other faults too, all are told in one answer. */
static bool is_as_corrected(const struct message *m)
{
    return m->request.zip[0] != '\0' && m->corrected_zip[0] == '\0' && m->corrected_line[0] == '\0' && !m->corrected_fresh &&
           !m->corrected_task && !m->corrected_model;
}

/* The same data again costs the same again: people are asked whether they mean it. */
static enum err_code look_trained(const struct storage *s, struct message *m, struct err *err)
{
    struct trained before;
    struct file_info zip;
    enum err_code code = trained_find(s, &m->request, &before, err);

    if (code == OK && files_head(s, SHARE_TRAIN, m->request.zip, &zip, NULL) == OK && str_is(zip.etag, before.zip_etag) &&
        zip.size == before.zip_size)
        message_fault_again(m, before.job_name, before.succeeded_s);
    return code == ERR_ABSENT ? OK : code;
}

/* Images that every job of the line is measured on; most lines have none. */
static enum err_code look_validation(const struct storage *s, const char *line, int64_t *there, struct err *err)
{
    char path[BLOB_NAME_MAX];
    struct file_info info;

    controller_validation(line, path);
    enum err_code code = files_head(s, SHARE_TRAIN, path, &info, err);
    *there = code == OK;
    return code == ERR_ABSENT ? OK : code;
}

/* What the trainer of the settings cannot do. The rest is judged as the corrected line will be. */
static void look_trainer(const char *trainer, struct message *m)
{
    struct request *r = &m->request;

    if (models_of(trainer, r) != NULL)
        return;
    if (r->task == TASK_INSTANCE_SEGMENTATION && str_is(trainer, TRAINER_TINY)) {
        message_fault(m, "E08", "dl_type",
                      "%s cannot be trained here: the trainer `tiny` does classification and detection; the operator may set TRAINER to "
                      "getitune, which does all three",
                      task_name(r->task));
        r->task = TASK_DETECTION;
    } else
        message_fault(m, "E08", "model",
                      "`%s` cannot be trained here: the trainer `%s` has one small model of its own; leave the field out, or the operator "
                      "may set TRAINER to getitune",
                      r->model_name, trainer);
    r->model = 1;
    r->model_name[0] = '\0';
}

enum err_code intake_look(const struct app *app, struct message *m, struct intake *found, struct err *err)
{
    const struct storage *s = &app->controller->storage;
    char parent[JOB_ID_MAX];
    enum err_code code = OK;

    *found = (struct intake){0};
    str_copy(parent, sizeof parent, m->request.continue_from);

    look_trainer(app->controller->trainer, m);
    if (str_is(parent, "auto"))
        code = resolve_auto(s, m->request.line, parent, err);
    if (code == OK && parent[0] != '\0')
        code = look_parent(app, m, parent, found->parent_name, err);
    if (code == OK)
        code = look_line(s, m, &found->baseline, err);
    if (code == OK && !m->request.force && is_as_corrected(m))
        code = look_trained(s, m, err);
    if (code == OK && m->faults == 0)
        code = look_validation(s, m->request.line, &found->validation, err);
    return code;
}

bool intake_same_content(const struct app *app, const struct message *m, const struct record *there)
{
    struct file_info zip;

    if (!request_same(&m->request, &there->request))
        return false;
    if (there->zip_etag[0] == '\0')
        return true; /* not seen whole yet: the name is all there is */
    enum err_code code = files_head(&app->controller->storage, SHARE_TRAIN, m->request.zip, &zip, NULL);
    return code != OK || (str_is(zip.etag, there->zip_etag) && zip.size == there->zip_size);
}

static void keep_remark(const struct message *m, const char *more, struct record *rec)
{
    AUTO_STR all = STR_MAX(sizeof rec->remark - 1);

    for (int32_t i = 0; i < m->notes_count; i++)
        str_addf(&all, "%s%s", i > 0 ? "; " : "", m->notes[i]);
    if (more != NULL)
        str_addf(&all, "%s%s", all.len > 0 ? "; " : "", more);
    str_copy(rec->remark, sizeof rec->remark, str_c(&all) != NULL ? str_c(&all) : m->notes[0]);
}

/* What is trained, in the trainer's words, and how the message was read. */
static void keep_model(const struct message *m, struct record *rec)
{
    const struct model_kind *kind = models_of(rec->trainer, &m->request);

    keep_remark(m, kind != NULL ? kind->remark : NULL, rec);
    if (kind == NULL)
        return; /* of a refused message */
    str_copy(rec->model_name, sizeof rec->model_name, kind->name);
    rec->input_size = kind->input_size;
}

/* The line that asks for the same once more. A job_id is used up once it was accepted. */
static void keep_line_again(const struct app *app, const struct message *m, struct record *rec)
{
    struct request again = m->request; /* borrows the classes */
    AUTO_STR line = STR_MAX(sizeof rec->corrected - 1);

    if (again.job_id_given)
        message_next_job_id(m->request.job_name, again.job_name);
    message_line(&again, &app->defaults, &line);
    str_copy(rec->corrected, sizeof rec->corrected, str_c(&line) != NULL ? str_c(&line) : "");
}

enum err_code intake_record(const struct app *app, const struct invocation *inv, const struct message *m, const struct intake *found,
                            struct record *rec, struct err *err)
{
    const struct controller *c = app->controller;

    if (!request_copy(&rec->request, &m->request))
        return err_set(err, ERR_MEMORY, "no memory");
    str_copy(rec->job_id, sizeof rec->job_id, m->request.job_id);
    str_copy(rec->parent_name, sizeof rec->parent_name, found->parent_name);
    rec->baseline = found->baseline;
    rec->validation = found->validation;
    rec->dearest_micro_usd = found->dearest_micro_usd;
    str_copy(rec->message_id, sizeof rec->message_id, inv->message_id);
    str_copy(rec->owner, sizeof rec->owner, c->owner);
    names_slug(rec->owner, rec->job_id, rec->slug);
    str_copy(rec->group_prefix, sizeof rec->group_prefix, c->group_prefix);
    str_copy(rec->location, sizeof rec->location, places_first(&m->request.regions));
    str_copy(rec->trainer, sizeof rec->trainer, c->trainer);
    str_copy(rec->scripts_sha256, sizeof rec->scripts_sha256, c->assets.scripts_sha256);
    keep_model(m, rec);
    rec->state = job_accepted(controller_now_s(c));
    rec->next_look_s = rec->state.accepted_s + LOOK_AGAIN_S; /* this invocation looks first */
    rec->terms = (struct job_terms){
        .upload_wait_s = c->upload_wait_s,
        .create_wait_s = CREATE_WAIT_S,
        .silence_s = SILENCE_S,
        .run_s = m->request.max_minutes * 60,
        .run_max_s = c->max_job_minutes * 60,
        .publish_wait_s = PUBLISH_WAIT_S,
        .tell_wait_s = TELL_WAIT_S,
        .capacity_wait_s = CAPACITY_WAIT_S,
        .boot_wait_s = BOOT_WAIT_S,
        .evictions_max = EVICTIONS_MAX,
        .sizes = m->request.vm_sizes.count,
        .regions = m->request.regions.count,
        .spot = (int32_t)m->request.spot,
    };
    if (m->faults == 0)
        keep_line_again(app, m, rec);
    return OK;
}
