#include "functions/orders.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "controller/ledger.h"
#include "controller/tell.h"
#include "functions/intake.h"
#include "job/notice.h"

#define STATUS_MAX 16000

static enum err_code status_of_all(const struct app *app, struct str *text, struct err *err)
{
    struct live_job *live = NULL;
    size_t count = 0;
    const struct storage *s = &app->controller->storage;
    enum err_code code = ledger_live(s, &live, &count, err);

    for (size_t i = 0; code == OK && i < count; i++) {
        AUTO_RECORD rec = {0};
        if (ledger_load(s, live[i].job_id, &rec, NULL) != OK)
            continue;
        notice_status(&rec, controller_now_s(app->controller), text);
        str_add(text, "\n");
    }
    if (code == OK && text->len == 0)
        str_add(text, "Nothing is running, and nothing waits.\n");
    free(live);
    return code;
}

enum err_code orders_status(const struct app *app, const struct message *m, struct str *said, struct err *err)
{
    AUTO_STR text = STR_MAX(STATUS_MAX);
    AUTO_RECORD rec = {0};
    enum err_code code;

    if (m->target_job_id[0] == '\0')
        code = status_of_all(app, &text, err);
    else {
        code = ledger_load(&app->controller->storage, m->target_job_id, &rec, err);
        if (code == OK)
            notice_status(&rec, controller_now_s(app->controller), &text);
        if (code == ERR_ABSENT) {
            str_addf(&text, "There is no job `%s`.", m->target_job_id);
            code = OK;
        }
    }
    if (code != OK)
        return code;
    const char *words = str_c(&text) != NULL ? str_c(&text) : "Too many jobs for one answer: ask for one by its job_id.";
    tell_once(app->controller, words);
    tell_status_file(app->controller, words);
    str_add(said, "status was told");
    return OK;
}

void orders_answer(const struct app *app, const struct str *text, struct str *said)
{
    const char *words = str_c(text) != NULL ? str_c(text) : "";

    tell_once(app->controller, words);
    str_addf(said, "%.200s", words);
}

/* The job that is meant, if it can still be asked for something. *over: it cannot, and people are told why; `nothing` says what was not
 * done. */
static enum err_code load_job(const struct app *app, const struct message *m, const char *nothing, struct record *rec, bool *over,
                              struct str *said, struct err *err)
{
    AUTO_STR text = STR_MAX(NOTICE_MAX);
    enum err_code code = ledger_load(&app->controller->storage, m->target_job_id, rec, err);

    if (code != OK && code != ERR_ABSENT)
        return code;
    *over = code == ERR_ABSENT || rec->state.outcome != OUTCOME_NONE || rec->state.model != MODEL_NONE;
    if (code == ERR_ABSENT)
        str_addf(&text, "There is no job `%s`; %s.", m->target_job_id, nothing);
    else if (rec->state.outcome != OUTCOME_NONE)
        str_addf(&text, "Job `%s` is over (%s); %s.", rec->request.job_name, job_outcome_words[rec->state.outcome], nothing);
    else if (rec->state.model != MODEL_NONE)
        str_addf(&text, "Job `%s` is done and its model is on its way; %s.", rec->request.job_name, nothing);
    if (*over)
        orders_answer(app, &text, said);
    return OK;
}

enum err_code orders_cancel(const struct app *app, const struct invocation *inv, const struct message *m, struct str *said, struct err *err)
{
    AUTO_RECORD rec = {0};
    bool over = false;
    enum err_code code = load_job(app, m, "nothing was cancelled", &rec, &over, said, err);

    if (code == OK && !over)
        code = app_order(app, inv, m->target_job_id, ORDER_CANCEL, 0, err); /* what came of it is the job's own notice */
    if (code == OK && !over)
        str_addf(said, "job %s is to be cancelled", m->target_job_id);
    return code;
}

enum err_code orders_extend(const struct app *app, const struct invocation *inv, const struct message *m, struct str *said, struct err *err)
{
    AUTO_RECORD before = {0}, after = {0};
    AUTO_STR text = STR_MAX(NOTICE_MAX), why = STR_MAX(400);
    char until[DATE_ISO];
    bool over = false;
    enum err_code code = load_job(app, m, "nothing was extended", &before, &over, said, err);

    if (code == OK && !over && !intake_may_take(app, &before, m->extend_minutes, &why)) {
        str_addf(&text, "Job `%s` is not extended: %s.", before.request.job_name, str_c(&why) != NULL ? str_c(&why) : "it costs too much");
        orders_answer(app, &text, said);
        return OK;
    }
    if (code == OK && !over)
        code = app_order(app, inv, m->target_job_id, ORDER_EXTEND, (int64_t)m->extend_minutes * 60, err);
    if (code == OK && !over)
        code = ledger_load(&app->controller->storage, m->target_job_id, &after, err);
    if (code != OK || over)
        return code;
    int64_t run_s = after.state.run_s > 0 ? after.state.run_s : after.terms.run_s;
    bool longer = after.state.run_s != before.state.run_s;
    str_addf(&text, "Job `%s` may %s take %g hours once started", after.request.job_name, longer ? "now" : "already", (double)run_s / 3600);
    date_iso(after.state.deadline_s, until);
    if (after.state.started_s > 0)
        str_addf(&text, ": until %s", until);
    str_add(&text, longer ? "." : "; nothing was changed.");
    orders_answer(app, &text, said);
    return OK;
}

enum err_code orders_retry(const struct app *app, const struct invocation *inv, struct message *m, bool *done, struct str *said,
                           struct err *err)
{
    AUTO_RECORD rec = {0};
    AUTO_STR text = STR_MAX(NOTICE_MAX);
    char name[JOB_ID_MAX];
    enum err_code code = ledger_load(&app->controller->storage, m->target_job_id, &rec, err);

    if (code != OK && code != ERR_ABSENT)
        return code;
    bool release = rec.release != RELEASE_NONE;
    *done = code == ERR_ABSENT || release || rec.state.outcome == OUTCOME_NONE || rec.request.zip[0] == '\0';
    if (code == ERR_ABSENT)
        str_addf(&text, "There is no job `%s`; nothing was started.", m->target_job_id);
    else if (release)
        str_addf(&text, "Job `%s` trained nothing; to publish once more, send:\n%s", m->target_job_id, rec.corrected);
    else if (rec.state.outcome == OUTCOME_NONE) {
        str_add(&text, "It is not over yet; nothing was started. ");
        notice_status(&rec, controller_now_s(app->controller), &text);
    } else if (rec.request.zip[0] == '\0')
        str_addf(&text, "The message of `%s` was refused and names no zip; nothing was started.", m->target_job_id);
    if (*done) {
        orders_answer(app, &text, said);
        return OK;
    }
    message_retry_job_id(rec.request.job_name, inv->message_id, name);
    return message_from_request(m, &rec.request, name, inv->message_id, err);
}
