/* delete-resources: only a bell. Nothing in it is believed; the job it names (for the old word `done`: every live one) is looked at now. */
#include "base/log.h"
#include "controller/ledger.h"
#include "functions/functions.h"

bool delete_resources_bell(const struct str *text, char job_id[JOB_ID_MAX], int64_t *attempt)
{
    AUTO_JSON doc = NULL;

    if (json_parse(text->p, text->len, 4, &doc, NULL) != OK || json_get_int(doc, "v", 0) != 1)
        return false;
    str_copy(job_id, JOB_ID_MAX, json_get_text(doc, "job_id"));
    str_lower(job_id);
    *attempt = json_get_int(doc, "attempt", 0);
    return names_is_job_id(job_id);
}

bool delete_resources_is_done(const struct str *text)
{
    AUTO_STR word = STR_MAX(64);

    str_add_n(&word, text->p, text->len);
    char *end = word.p != NULL ? word.p + word.len : NULL;
    while (end != NULL && end > word.p && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' '))
        *--end = '\0';
    return str_c(&word) != NULL && (str_is(str_c(&word), "done") || str_is(str_c(&word), "ZG9uZQ=="));
}

enum err_code delete_resources(void *ctx, struct invocation *inv, struct str *said, struct err *err)
{
    const struct app *app = ctx;
    char job_id[JOB_ID_MAX];
    int64_t attempt;
    AUTO_RECORD rec = {0};

    if (delete_resources_is_done(&inv->text))
        return job_watch(ctx, inv, said, err);
    if (!delete_resources_bell(&inv->text, job_id, &attempt)) {
        log_line(LOG_WARN, "a message that is no bell; nothing was done");
        str_add(said, "not understood; nothing was done");
        return OK;
    }
    log_scope(NULL, job_id);
    enum err_code code = ledger_load(&app->controller->storage, job_id, &rec, err);
    if (code == ERR_ABSENT)
        str_addf(said, "no job %s", job_id);
    else if (code == OK && rec.state.machine == MACHINE_CLOSED)
        str_addf(said, "job %s is closed", job_id);
    else if (code == OK && rec.state.attempt != attempt)
        str_addf(said, "job %s is at attempt %d; the bell was for %lld", job_id, rec.state.attempt, (long long)attempt);
    else {
        if (code == OK)
            code = app_drive(app, inv, job_id, err);
        if (code == OK)
            str_addf(said, "looked at job %s", job_id);
        return code;
    }
    log_line(LOG_INFO, "%s", str_c(said));
    return OK;
}
