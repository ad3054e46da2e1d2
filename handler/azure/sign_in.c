#include "azure/sign_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define LIMIT_MS 30000 /* of one sign-in with its retries */
#define VM_ATTEMPTS 8  /* IMDS may be away for a minute while it is updated */
#define APP_QUERY "api-version=2019-08-01"
#define VM_PATH "/metadata/identity/oauth2/token?api-version=2018-02-01"

/* ---- settings ---- */

void sign_in_who(const struct identity_settings *set, char out[SIGN_IN_WHO])
{
    if (set->kind == IDENTITY_PRINCIPAL)
        (void)snprintf(out, SIGN_IN_WHO, "as app %s", set->client_id);
    else
        (void)snprintf(out, SIGN_IN_WHO, "with the managed identity %s%sof this %s", set->client_id, set->client_id[0] ? " " : "",
                       set->kind == IDENTITY_APP ? "app" : "machine");
}

static enum err_code check_principal(const struct identity_settings *set, struct err *err)
{
    if (!http_url_safe(set->authority))
        return err_set(err, ERR_INPUT, "the authority (%s) must be an https address", set->authority);
    if (!set->tenant[0] || !set->client_id[0] || !secret_len(&set->client_secret))
        return err_set(err, ERR_INPUT, "tenant, client id and client secret are all needed to sign in");
    return OK;
}

enum err_code sign_in_check(const struct identity_settings *set, struct err *err)
{
    const char *at = set->endpoint;
    switch (set->kind) {
    case IDENTITY_PRINCIPAL:
        return check_principal(set, err);
    case IDENTITY_APP:
        if (!http_url_safe(at) && !http_url_near(at))
            return err_set(err, ERR_INPUT,
                           "the platform's identity endpoint must be an https address, or http to this machine's own network");
        if (!secret_len(&set->header))
            return err_set(err, ERR_INPUT, "the platform's identity header is needed to sign in");
        return OK;
    case IDENTITY_VM:
        if (!http_url_safe(at) && !str_is(at, IMDS_ENDPOINT))
            return err_set(err, ERR_INPUT, "the machine's identity endpoint must be " IMDS_ENDPOINT);
        return OK;
    }
    return err_set(err, ERR_INTERNAL, "an unknown kind of identity");
}

/* ---- the question ---- */

static size_t trimmed(const char *text)
{
    size_t len = strlen(text);
    while (len && text[len - 1] == '/')
        len--;
    return len;
}

/* The request body holds the secret: it is wiped with its str. */
static void ask_authority(const struct identity_settings *set, struct http_request *req, struct str *body)
{
    AUTO_STR scope = STR_MAX(sizeof set->resource + 16);
    str_add_n(&req->url, set->authority, trimmed(set->authority));
    str_add(&req->url, "/");
    str_add_percent(&req->url, set->tenant);
    str_add(&req->url, "/oauth2/v2.0/token");
    str_add_n(&scope, set->resource, trimmed(set->resource));
    str_add(&scope, "/.default");
    str_add(body, "grant_type=client_credentials&client_id=");
    str_add_percent(body, set->client_id);
    str_add(body, "&scope=");
    str_add_percent(body, str_c(&scope));
    str_add(body, "&client_secret=");
    str_add_percent(body, secret_reveal(&set->client_secret));
    http_set(&req->headers, "Content-Type", "application/x-www-form-urlencoded");
}

/* Behind the address and its version: for which service, and as whom when there are several. */
static void add_wish(const struct identity_settings *set, struct str *url)
{
    AUTO_STR resource = STR_MAX(sizeof set->resource + 4);
    str_add_n(&resource, set->resource, trimmed(set->resource));
    str_add(&resource, "/");
    str_add(url, "&resource=");
    str_add_percent(url, str_c(&resource));
    if (set->client_id[0]) {
        str_add(url, "&client_id=");
        str_add_percent(url, set->client_id);
    }
}

static void ask_app(const struct identity_settings *set, struct http_request *req)
{
    str_add(&req->url, set->endpoint);
    str_add(&req->url, strchr(set->endpoint, '?') ? "&" APP_QUERY : "?" APP_QUERY);
    add_wish(set, &req->url);
    http_set(&req->headers, "X-IDENTITY-HEADER", secret_reveal(&set->header));
    req->in_clear = set->endpoint;
    req->again[0] = 404; /* not there yet, right after a start */
}

static void ask_vm(const struct identity_settings *set, struct http_request *req)
{
    str_add_n(&req->url, set->endpoint, trimmed(set->endpoint));
    str_add(&req->url, VM_PATH);
    add_wish(set, &req->url);
    http_set(&req->headers, "Metadata", "true"); /* exactly so: it proves that no careless page sends this */
    req->in_clear = IMDS_ENDPOINT;
    req->again[0] = 404;
    req->again[1] = 410; /* it is being updated */
    req->max_attempts = VM_ATTEMPTS;
}

static void ask(const struct identity_settings *set, struct http_request *req, struct str *body)
{
    http_set(&req->headers, "Accept", "application/json");
    switch (set->kind) {
    case IDENTITY_PRINCIPAL:
        ask_authority(set, req, body);
        break;
    case IDENTITY_APP:
        ask_app(set, req);
        break;
    case IDENTITY_VM:
        ask_vm(set, req);
        break;
    }
    req->body = body->p;
    req->body_len = body->len;
    req->repeatable = true; /* a second token does no harm */
}

/* ---- the answer ---- */

/* A number, or the digits of one as text: both occur. */
static bool seconds_in(const struct json *v, int64_t *out)
{
    char *end = NULL;
    const char *text = json_text(v);
    if (!text)
        return json_int(v, out) && *out > 0;
    *out = strtoll(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && *out > 0 && *out < (int64_t)1 << 40;
}

/* A managed identity's token comes from a cache: the moment at which it ends is true, a length need not be. */
static bool lifetime_in(const struct json *answer, int64_t now_s, int64_t *out)
{
    const struct json *at = json_get(answer, "expires_on");
    int64_t end_s = 0;
    if (at && (seconds_in(at, &end_s) || date_parse_iso(json_text(at), &end_s)))
        *out = end_s - now_s;
    else if (at || !seconds_in(json_get(answer, "expires_in"), out))
        return false;
    return *out > 0;
}

/* One of the shapes in which the three services say why: {error, error_description}, {error: {code, message}}, {statusCode, message}. */
static void read_reason(const struct http_response *res, char *reason, size_t size)
{
    AUTO_JSON answer = NULL;
    reason[0] = '\0';
    if (json_parse(str_c(&res->body), res->body.len, 16, &answer, NULL) != OK)
        return;
    const char *said[] = {json_get_text(answer, "error_description"), json_text(json_path(answer, "error.message")),
                          json_get_text(answer, "message"), json_get_text(answer, "error")};
    for (size_t i = 0; !reason[0] && i < sizeof said / sizeof *said; i++)
        str_copy(reason, size, said[i]);
    reason[strcspn(reason, "\r\n")] = '\0'; /* behind it: trace ids and times */
}

static enum err_code refused(const char *who, const struct http_response *res, struct err *err)
{
    char reason[300];
    read_reason(res, reason, sizeof reason);
    if (reason[0])
        (void)err_set(err, ERR_REFUSED, "cannot sign in %s: %s", who, reason);
    else
        (void)err_set(err, ERR_REFUSED, "cannot sign in %s: HTTP %d", who, res->status);
    if (err) {
        err->http_status = res->status;
        str_copy(err->remote, sizeof err->remote, "sign_in");
    }
    return ERR_REFUSED;
}

enum err_code sign_in_token(const struct identity_settings *set, const struct http *http, int64_t deadline_ms, struct secret *token,
                            int64_t *lifetime_s, struct err *err)
{
    AUTO_STR body = STR_MAX(4096);
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    AUTO_JSON answer = NULL;
    char who[SIGN_IN_WHO];
    int64_t limit_ms = clock_mono_ms(http->clock) + LIMIT_MS;
    http_request_init(&req, set->kind == IDENTITY_PRINCIPAL ? "POST" : "GET", limit_ms < deadline_ms ? limit_ms : deadline_ms);
    sign_in_who(set, who);
    ask(set, &req, &body);
    enum err_code code = str_check(&body, "the sign-in", err);
    if (code)
        return code;
    code = http_send(http, &req, &res, err);
    if (code) {
        (void)err_context(err, "cannot sign in %s", who);
        return code;
    }
    if (res.status != 200)
        return refused(who, &res, err);
    if (json_parse(str_c(&res.body), res.body.len, 16, &answer, NULL) || !lifetime_in(answer, clock_now_s(http->clock), lifetime_s) ||
        !json_get_text(answer, "access_token")[0] || strlen(json_get_text(answer, "access_token")) > TOKEN_MAX)
        return err_set(err, ERR_UNREACHABLE, "cannot sign in %s: the answer holds no token", who);
    const char *text = json_get_text(answer, "access_token");
    return secret_set(token, text, strlen(text), err);
}
