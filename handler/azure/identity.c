#include "azure/identity.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define EARLY_S 300      /* refreshed so long before it expires */
#define AGAIN_S 30       /* after a failed refresh the living token is used for so long before the next try */
#define SIGN_IN_MS 30000 /* limit of one refresh with its retries */
#define TOKEN_MAX 15000  /* what a header takes */

struct identity {
    struct identity_settings settings;
    const struct http *http;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct secret token; /* from here on: guarded by lock */
    int64_t expires_s, next_refresh_s;
    bool refreshing;
    unsigned long rounds; /* refreshes that are over; tells a waiter that one ended while it waited */
    struct err last;      /* of the last round; code OK when it succeeded */
};

enum err_code identity_open(const struct identity_settings *settings, const struct http *http, struct identity **ret, struct err *err)
{
    const struct secret *secret = &settings->client_secret;
    if (!http_url_safe(settings->authority))
        return err_set(err, ERR_INPUT, "the authority (%s) must be an https address", settings->authority);
    if (!settings->tenant[0] || !settings->client_id[0] || !secret_len(secret))
        return err_set(err, ERR_INPUT, "tenant, client id and client secret are all needed to sign in");
    struct identity *id = calloc(1, sizeof *id);
    if (!id)
        return err_set(err, ERR_MEMORY, "no memory for the identity");
    id->settings = *settings;
    id->settings.client_secret = (struct secret){0};
    id->http = http;
    (void)pthread_mutex_init(&id->lock, NULL);
    (void)pthread_cond_init(&id->changed, NULL);
    enum err_code code = secret_set(&id->settings.client_secret, secret_reveal(secret), secret_len(secret), err);
    if (code) {
        identity_close(id);
        return code;
    }
    *ret = id;
    return OK;
}

void identity_close(struct identity *id)
{
    if (!id)
        return;
    secret_done(&id->settings.client_secret);
    secret_done(&id->token);
    (void)pthread_cond_destroy(&id->changed);
    (void)pthread_mutex_destroy(&id->lock);
    free(id);
}

static size_t trimmed(const char *text)
{
    size_t len = strlen(text);
    while (len && text[len - 1] == '/')
        len--;
    return len;
}

/* The request body holds the secret: AUTO_STR wipes it. */
static void write_form(const struct identity_settings *set, struct str *to)
{
    AUTO_STR scope = STR_MAX(sizeof set->resource + 16);
    str_add_n(&scope, set->resource, trimmed(set->resource));
    str_add(&scope, "/.default");
    str_add(to, "grant_type=client_credentials&client_id=");
    str_add_percent(to, set->client_id);
    str_add(to, "&scope=");
    str_add_percent(to, str_c(&scope));
    str_add(to, "&client_secret=");
    str_add_percent(to, secret_reveal(&set->client_secret));
}

/* A number, or the digits of one as text: both occur. */
static bool seconds_in(const struct json *v, int64_t *out)
{
    char *end = NULL;
    const char *text = json_text(v);
    if (!text)
        return json_int(v, out) && *out > 0;
    *out = strtoll(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && *out > 0 && *out < INT32_MAX;
}

static enum err_code refused(const struct identity *id, const struct http_response *res, struct err *err)
{
    AUTO_JSON answer = NULL;
    char reason[300] = "";
    int status = res->status;
    if (json_parse(str_c(&res->body), res->body.len, 16, &answer, NULL) == OK) {
        str_copy(reason, sizeof reason, json_get_text(answer, "error_description"));
        if (!reason[0])
            str_copy(reason, sizeof reason, json_get_text(answer, "error"));
        reason[strcspn(reason, "\r\n")] = '\0'; /* behind it: trace ids and times */
    }
    if (reason[0])
        (void)err_set(err, ERR_REFUSED, "cannot sign in as app %s: %s", id->settings.client_id, reason);
    else
        (void)err_set(err, ERR_REFUSED, "cannot sign in as app %s: HTTP %d", id->settings.client_id, status);
    if (err) {
        err->http_status = status;
        str_copy(err->remote, sizeof err->remote, "sign_in");
    }
    return ERR_REFUSED;
}

/* Asks for a token. Written only when all of the answer is good. */
static enum err_code sign_in(const struct identity *id, int64_t deadline_ms, struct secret *token, int64_t *lifetime_s, struct err *err)
{
    const struct identity_settings *set = &id->settings;
    AUTO_STR body = STR_MAX(4096);
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    AUTO_JSON answer = NULL;
    int64_t limit_ms = clock_mono_ms(id->http->clock) + SIGN_IN_MS;
    http_request_init(&req, "POST", limit_ms < deadline_ms ? limit_ms : deadline_ms);
    str_add_n(&req.url, set->authority, trimmed(set->authority));
    str_add(&req.url, "/");
    str_add_percent(&req.url, set->tenant);
    str_add(&req.url, "/oauth2/v2.0/token");
    write_form(set, &body);
    enum err_code code = str_check(&body, "the sign-in", err);
    if (code)
        return code;
    http_set(&req.headers, "Content-Type", "application/x-www-form-urlencoded");
    http_set(&req.headers, "Accept", "application/json");
    req.body = body.p;
    req.body_len = body.len;
    req.repeatable = true; /* a second token does no harm */
    code = http_send(id->http, &req, &res, err);
    if (code) {
        (void)err_context(err, "cannot sign in as app %s", set->client_id);
        return code;
    }
    if (res.status != 200)
        return refused(id, &res, err);
    if (json_parse(str_c(&res.body), res.body.len, 16, &answer, NULL) || !seconds_in(json_get(answer, "expires_in"), lifetime_s) ||
        !json_get_text(answer, "access_token")[0] || strlen(json_get_text(answer, "access_token")) > TOKEN_MAX)
        return err_set(err, ERR_UNREACHABLE, "cannot sign in as app %s: the answer holds no token", set->client_id);
    const char *text = json_get_text(answer, "access_token");
    return secret_set(token, text, strlen(text), err);
}

/* Called with the lock held, which is given up while the request runs. */
static void refresh(struct identity *id, int64_t deadline_ms)
{
    AUTO_SECRET token = {0};
    int64_t lifetime_s = 0;
    struct err err = {0};
    id->refreshing = true;
    (void)pthread_mutex_unlock(&id->lock);
    /* The life of a token is counted from before the question: it is never thought to live too long. */
    int64_t asked_s = clock_now_s(id->http->clock);
    enum err_code code = sign_in(id, deadline_ms, &token, &lifetime_s, &err);
    (void)pthread_mutex_lock(&id->lock);
    if (code == OK) {
        secret_done(&id->token);
        id->token = token;
        token = (struct secret){0};
        id->expires_s = asked_s + lifetime_s;
        id->next_refresh_s = lifetime_s > 2 * EARLY_S ? id->expires_s - EARLY_S : asked_s + lifetime_s / 2;
        id->last = (struct err){0};
    } else {
        id->next_refresh_s = asked_s + AGAIN_S;
        id->last = err;
    }
    id->refreshing = false;
    id->rounds++;
    (void)pthread_cond_broadcast(&id->changed);
}

/* With the lock held: makes sure of a living token, by waiting or asking when there is none. */
static enum err_code ensure_token(struct identity *id, int64_t now_s, int64_t deadline_ms, struct err *err)
{
    bool living = secret_len(&id->token) > 0 && now_s < id->expires_s;
    if (living && (now_s < id->next_refresh_s || id->refreshing))
        return OK;
    if (id->refreshing) {
        unsigned long round = id->rounds;
        while (id->rounds == round) /* ends: the refresher has a deadline of its own */
            (void)pthread_cond_wait(&id->changed, &id->lock);
    } else {
        refresh(id, deadline_ms);
    }
    now_s = clock_now_s(id->http->clock);
    if (secret_len(&id->token) > 0 && now_s < id->expires_s)
        return OK;
    if (err)
        *err = id->last;
    if (id->last.code)
        return id->last.code;
    return err_set(err, ERR_UNREACHABLE, "the token ran out while it was waited for");
}

static void bearer(const struct identity *id, struct str *to)
{
    str_add(to, "Bearer ");
    str_add(to, secret_reveal(&id->token));
}

static enum err_code authorize(void *ctx, struct http_request *req, int64_t now_s, struct err *err)
{
    struct identity *id = ctx;
    AUTO_STR value = STR_MAX(TOKEN_MAX + 16);
    (void)pthread_mutex_lock(&id->lock);
    enum err_code code = ensure_token(id, now_s, req->deadline_ms, err);
    if (!code)
        bearer(id, &value);
    (void)pthread_mutex_unlock(&id->lock);
    if (!code)
        http_set(&req->headers, "Authorization", str_c(&value));
    return code;
}

/* Drops the token that this request carried, if it is still the cached one; another thread may have a newer one by now. */
static bool renew(void *ctx, const struct http_request *req)
{
    struct identity *id = ctx;
    AUTO_STR value = STR_MAX(TOKEN_MAX + 16);
    (void)pthread_mutex_lock(&id->lock);
    bearer(id, &value);
    if (str_is(str_c(&value), http_get(&req->headers, "Authorization")))
        secret_done(&id->token);
    (void)pthread_mutex_unlock(&id->lock);
    return true;
}

enum err_code identity_check(struct identity *id, struct err *err)
{
    const struct clock *clock = id->http->clock;
    (void)pthread_mutex_lock(&id->lock);
    enum err_code code = ensure_token(id, clock_now_s(clock), clock_mono_ms(clock) + SIGN_IN_MS, err);
    (void)pthread_mutex_unlock(&id->lock);
    return code;
}

enum err_code identity_last(struct identity *id, struct err *err)
{
    (void)pthread_mutex_lock(&id->lock);
    *err = id->last;
    (void)pthread_mutex_unlock(&id->lock);
    return err->code;
}

struct http_authorizer identity_authorizer(struct identity *id)
{
    return (struct http_authorizer){.authorize = authorize, .renew = renew, .ctx = id};
}
