/* js-queue-items: a message becomes a job, an answer, or a refusal that a person can act on. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "controller/ledger.h"
#include "controller/rounds.h"
#include "controller/tell.h"
#include "functions/functions.h"
#include "functions/intake.h"
#include "functions/orders.h"
#include "functions/releases.h"
#include "job/notice.h"

#define PROPOSALS 8 /* after so many used ids the next one is proposed unseen */

/* What is saved needs no second delivery: when this look fails, job-watch goes on with it. */
static void drive_saved(const struct app *app, const struct invocation *inv, const char *job_id)
{
    struct err err = {0};

    if (app_drive(app, inv, job_id, &err) != OK)
        log_line(LOG_WARN, "%s", err.msg);
}

/* A refused message is a job born with its outcome: the same loop tells people and closes it. It is kept under the default job_id, so the
 * one it asked for stays free. */
static enum err_code refuse(const struct app *app, struct invocation *inv, struct message *m, struct str *said, struct err *err)
{
    AUTO_RECORD rec = {0}, before = {0};
    AUTO_STR faults = STR_MAX(sizeof rec.refused - 1);

    ahead_forget(); /* what was asked ahead was for a good message */
    message_default_job_id(m->request.zip, inv->message_id, m->request.job_id);
    str_copy(m->request.job_name, sizeof m->request.job_name, m->request.job_id);
    enum err_code code = intake_record(app, inv, m, &(struct intake){0}, &rec, err);
    if (code != OK)
        return code;
    rec.state = job_rejected(rec.state.accepted_s);
    notice_faults(m, &faults);
    str_copy(rec.refused, sizeof rec.refused, str_c(&faults) != NULL ? str_c(&faults) : m->fault[0].text);
    str_copy(rec.shown, sizeof rec.shown, m->shown);
    str_copy(rec.corrected, sizeof rec.corrected, m->corrected);
    code = ledger_accept(&app->controller->storage, &rec, err);
    if (code == ERR_CONFLICT && ledger_load(&app->controller->storage, rec.job_id, &before, NULL) == OK)
        code = OK; /* delivered before */
    if (code != OK)
        return code;
    str_addf(said, "refused: %s", rec.refused);
    drive_saved(app, inv, rec.job_id);
    return OK;
}

/* The same message, or the same content: the same job. */
static enum err_code meet(const struct app *app, struct invocation *inv, const struct request *asked, const struct record *there,
                          struct str *said)
{
    AUTO_STR text = STR_MAX(NOTICE_MAX);

    ahead_forget(); /* what was asked ahead was for a new job */
    if (!str_is(there->message_id, inv->message_id)) {
        notice_repeated(there, asked, controller_now_s(app->controller), &text);
        tell_once(app->controller, str_c(&text) != NULL ? str_c(&text) : "");
    }
    str_addf(said, "job %s is known (%s)", there->job_id, job_machine_words[there->state.machine]);
    if (there->state.machine != MACHINE_CLOSED)
        drive_saved(app, inv, there->job_id);
    return OK;
}

/* The job_id asked for is used up; so may be the ones that would be proposed. */
static enum err_code fault_used(const struct storage *s, struct message *m, const struct record *there, struct err *err)
{
    char since[DATE_ISO], next[JOB_ID_MAX], name[JOB_ID_MAX];
    enum err_code code = OK;

    str_copy(name, sizeof name, there->request.job_name);
    for (int tries = 0; tries < PROPOSALS && code == OK; tries++) {
        AUTO_RECORD used = {0};
        str_copy(m->corrected_job_id, sizeof m->corrected_job_id, name);
        message_next_job_id(m->corrected_job_id, name);
        str_copy(next, sizeof next, name);
        str_lower(next);
        code = ledger_load(s, next, &used, err);
    }
    if (code != OK && code != ERR_ABSENT)
        return code;
    date_iso(there->state.accepted_s, since);
    message_fault(m, "E10", "job_id", "`%s` belongs to another request (%s, accepted %s)", there->request.job_name,
                  job_machine_words[there->state.machine], since);
    return OK;
}

/* Whether this very message was refused before: what is allowed may have changed since, its outcome has not. */
static enum err_code look_refused(const struct storage *s, const struct message *m, const char *asked, struct record *rec, struct err *err)
{
    if (m->default_job_id[0] == '\0' || str_is(asked, m->default_job_id))
        return ERR_ABSENT;
    return ledger_load(s, m->default_job_id, rec, err);
}

/* Nobody has heard of it yet. ERR_CONFLICT: another delivery was first. */
static enum err_code accept_new(const struct app *app, struct invocation *inv, const struct message *m, const struct intake *found,
                                struct rounds *r, struct str *said, struct err *err)
{
    AUTO_RECORD rec = {0};
    enum err_code code = intake_record(app, inv, m, found, &rec, err);

    if (code != OK)
        return code;
    rounds_prepare(r, &rec);
    code = app_drive_new(app, inv, &rec, err);
    if (rec.etag[0] == '\0')
        return code;
    str_addf(said, "job %s is accepted", rec.job_id);
    if (code != OK) /* what is saved needs no second delivery */
        log_line(LOG_WARN, "%s", err->msg);
    return OK;
}

static enum err_code train(const struct app *app, struct invocation *inv, struct message *m, struct str *said, struct err *err)
{
    const struct storage *s = &app->controller->storage;
    char asked[JOB_ID_MAX];
    __attribute__((cleanup(rounds_end))) struct rounds r = {.c = app->controller, .job_id = asked};

    str_copy(asked, sizeof asked, m->corrected_job_id[0] != '\0' ? m->corrected_job_id : m->request.job_id);
    str_lower(asked);
    rounds_look(&r, m);
    for (int tries = 0; tries < 2; tries++) { /* a second time when another delivery is first */
        AUTO_RECORD there = {0}, refused = {0};
        struct intake found;
        enum err_code code = ledger_load(s, asked, &there, err);
        bool used = code == OK;
        if (used && r.slot_ahead)
            rounds_give_back(&r, &there);
        if (used && (str_is(there.message_id, inv->message_id) || (m->faults == 0 && intake_same_content(app, m, &there))))
            return meet(app, inv, &m->request, &there, said);
        if (used || code == ERR_ABSENT)
            code = look_refused(s, m, asked, &refused, err);
        if (code == OK && str_is(refused.message_id, inv->message_id))
            return meet(app, inv, &m->request, &refused, said);
        if (code == OK || code == ERR_ABSENT)
            code = used ? fault_used(s, m, &there, err) : OK;
        if (code == OK) /* with other faults too: all are told in one answer */
            code = intake_look(app, m, &found, err);
        if (code != OK)
            return code;
        intake_look_cost(app, m, &found);
        if (m->faults > 0)
            return refuse(app, inv, m, said, err);
        code = accept_new(app, inv, m, &found, &r, said, err);
        if (code != ERR_CONFLICT)
            return code;
        ahead_end(&r.box); /* what was asked is out of date */
    }
    return err->code;
}

/* A file whose name has full-width characters wins over fields typed with a Japanese keyboard. */
static enum err_code prefer_literal(const struct app *app, const struct invocation *inv, struct message *m, struct err *err)
{
    struct file_info info;
    AUTO_STR again = STR_MAX(1024);

    if (m->literal[0] == '\0' || files_head(&app->controller->storage, SHARE_TRAIN, m->literal, &info, NULL) != OK)
        return OK;
    json_open(&again, NULL, '{');
    json_put_int(&again, "v", 1);
    json_put_text(&again, "dataset", m->literal);
    json_close(&again, '}');
    message_done(m);
    return message_read(again.p, again.len, inv->message_id, &app->defaults, m, err);
}

static enum err_code retry(const struct app *app, struct invocation *inv, struct message *m, struct str *said, struct err *err)
{
    bool done = false;
    enum err_code code = orders_retry(app, inv, m, &done, said, err);

    return code != OK || done ? code : train(app, inv, m, said, err);
}

static enum err_code take(const struct app *app, struct invocation *inv, struct str *said, struct err *err)
{
    __attribute__((cleanup(message_done))) struct message m = {0};

    http_scope(inv->deadline_ms);
    if (inv->message_id[0] == '\0')
        return err_set(err, ERR_INPUT, "the host sent no message Id: a repeated delivery could not be told from a new message");
    enum err_code code = message_read(inv->text.p, inv->text.len, inv->message_id, &app->defaults, &m, err);
    if (code == OK)
        code = prefer_literal(app, inv, &m, err);
    if (code != OK)
        return code;
    log_scope(NULL, m.action == ACTION_TRAIN ? m.request.job_id : m.target_job_id);
    if (m.action == ACTION_TRAIN)
        return train(app, inv, &m, said, err);
    if (m.faults > 0)
        return refuse(app, inv, &m, said, err);
    switch (m.action) {
    case ACTION_CANCEL:
        return orders_cancel(app, inv, &m, said, err);
    case ACTION_EXTEND:
        return orders_extend(app, inv, &m, said, err);
    case ACTION_RETRY:
        return retry(app, inv, &m, said, err);
    case ACTION_PUBLISH:
    case ACTION_ROLLBACK:
        return releases_take(app, inv, &m, said, err);
    default:
        return orders_status(app, &m, said, err);
    }
}

enum err_code js_queue_items(void *ctx, struct invocation *inv, struct str *said, struct err *err)
{
    const struct app *app = ctx;
    enum err_code code = take(app, inv, said, err);

    if (code != OK) /* it comes again, and at last to the poison queue: what is told then says why */
        failures_note(app->failures, &inv->text, err);
    return code;
}
