#include "controller/tell.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "controller/preflight.h"
#include "job/notice.h"

#define SLACK_MS 5000
#define RESULT_SUFFIX ".RESULT.txt"
#define FILE_NAME_MAX 255 /* of Azure Files */

/* Slack's own three escapes. */
static void add_slack(struct str *to, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '&')
            str_add(to, "&amp;");
        else if (*text == '<')
            str_add(to, "&lt;");
        else if (*text == '>')
            str_add(to, "&gt;");
        else
            str_add_n(to, text, 1);
    }
}

static enum err_code post_slack(const struct controller *c, const char *text, struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    AUTO_STR escaped = STR_MAX(8 * NOTICE_MAX), body = STR_MAX(16 * NOTICE_MAX);

    add_slack(&escaped, text);
    json_open(&body, NULL, '{');
    json_put_text(&body, "text", str_c(&escaped));
    json_close(&body, '}');
    enum err_code code = str_check(&body, "Slack message", err);
    if (code != OK)
        return code;
    http_request_init(&req, "POST", clock_mono_ms(c->clock) + SLACK_MS);
    req.secret_path = true; /* the URL itself is the password */
    req.max_attempts = 1;
    str_add(&req.url, secret_reveal(&c->slack_url));
    http_set(&req.headers, "Content-Type", "application/json; charset=utf-8");
    req.body = str_c(&body);
    req.body_len = body.len;
    code = http_send(c->http, &req, &res, err);
    if (code == OK && (res.status < 200 || res.status > 299))
        code = err_set(err, ERR_REFUSED, "Slack answered %d", res.status);
    return code;
}

static bool has_slack(const struct controller *c)
{
    return secret_len(&c->slack_url) > 0;
}

/* True also when there is no Slack to be told. */
static bool slack_knows(const struct controller *c, const char *text)
{
    struct err err = {0};
    bool told = !has_slack(c) || post_slack(c, text, &err) == OK;

    if (!told)
        log_line(LOG_WARN, "Slack: %s", err.msg);
    return told;
}

static bool told_slack(const struct controller *c, const struct record *rec, enum job_notice notice)
{
    struct err err = {0};
    AUTO_STR text = STR_MAX(NOTICE_MAX);

    if (!has_slack(c))
        return true;
    notice_text(rec, notice, &text);
    if (str_check(&text, "notice", &err) == OK && post_slack(c, str_c(&text), &err) == OK)
        return true;
    log_line(LOG_WARN, "Slack: %s", err.msg);
    return false;
}

static bool has_file(const char *zip)
{
    return zip[0] != '\0' && strlen(zip) + strlen(RESULT_SUFFIX) <= FILE_NAME_MAX;
}

static enum err_code write_file(const struct controller *c, const char *zip, const char *text, struct err *err)
{
    AUTO_STR path = STR_MAX(512);

    str_addf(&path, "%s" RESULT_SUFFIX, zip);
    return files_write(&c->storage, SHARE_TRAIN, str_c(&path), text, strlen(text), err);
}

static bool told_file(const struct controller *c, const struct record *rec)
{
    struct err err = {0};
    AUTO_STR text = STR_MAX(NOTICE_MAX);

    if (!has_file(rec->request.zip))
        return true; /* nowhere to put it */
    notice_text(rec, NOTICE_RESULT_FILE, &text);
    if (str_check(&text, "notice", &err) == OK && write_file(c, rec->request.zip, str_c(&text), &err) == OK)
        return true;
    log_line(LOG_WARN, "RESULT.txt: %s", err.msg);
    return false;
}

void tell_due(const struct errand *e, struct record *rec, struct job_seen *seen)
{
    static const enum job_notice slack[] = {NOTICE_ACCEPTED, NOTICE_STARTED, NOTICE_AGAIN, NOTICE_RESULT, NOTICE_STUCK};
    uint32_t due = job_untold(&rec->state);

    if ((due & NOTICE_ACCEPTED) != 0 && has_slack(e->c))
        preflight_quote(e->c, rec);
    if ((due & NOTICE_RESULT_FILE) != 0 && told_file(e->c, rec))
        seen->told |= NOTICE_RESULT_FILE;
    for (size_t i = 0; i < sizeof slack / sizeof *slack; i++) {
        if ((due & slack[i]) == 0)
            continue;
        if (!told_slack(e->c, rec, slack[i]))
            return; /* in order, or later */
        seen->told |= slack[i];
    }
}

bool tell_once(const struct controller *c, const char *text)
{
    bool told = slack_knows(c, text);

    log_line(LOG_INFO, "%s", text);
    return told;
}

static bool set_sign_in_told(struct controller *c, bool told)
{
    pthread_mutex_lock(&c->lock);
    bool before = c->sign_in_told;
    c->sign_in_told = told;
    pthread_mutex_unlock(&c->lock);
    return before;
}

void tell_sign_in(struct controller *c)
{
    struct err err = {0};
    AUTO_STR text = STR_MAX(NOTICE_MAX);

    if (identity_last(c->arm.identity, &err) == OK) {
        if (set_sign_in_told(c, false))
            log_line(LOG_INFO, "the app can sign in to Azure again");
        return;
    }
    if (!str_is(err.remote, "sign_in") || set_sign_in_told(c, true))
        return; /* no answer is no refusal: that passes, and the log has it */
    notice_sign_in(err.msg, &text);
    if (!tell_once(c, str_c(&text)))
        set_sign_in_told(c, false);
}

bool tell_lost(const struct controller *c, const char *zip, const char *text)
{
    struct err err = {0};

    log_line(LOG_ERROR, "%s", text);
    bool told = slack_knows(c, text);
    if (has_file(zip)) {
        bool written = write_file(c, zip, text, &err) == OK;
        if (!written)
            log_line(LOG_WARN, "RESULT.txt: %s", err.msg);
        told = told || written;
    }
    return told;
}

void tell_status_file(const struct controller *c, const char *text)
{
    struct err err = {0};

    if (files_write(&c->storage, SHARE_LOGS, "status.txt", text, strlen(text), &err) != OK)
        log_line(LOG_WARN, "status.txt: %s", err.msg);
}
