#include "http/http.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "http/ahead.h"

#define URL_MAX 8192
#define HEADER_VALUE_MAX 16384 /* tokens with many groups are long */
#define ANSWER_MAX (1024 * 1024)
#define ATTEMPT_MS 30000
#define ATTEMPTS 5
#define WAIT_MAX_MS 60000 /* whatever the other side asks for */
#define JITTER_BASE_MS 400
#define JITTER_MAX_MS 20000

static struct http_header *find(const struct http_headers *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++)
        if (str_is_nocase(h->item[i].name, name))
            return (struct http_header *)&h->item[i];
    return NULL;
}

void http_set(struct http_headers *h, const char *name, const char *value)
{
    struct http_header *item = NULL;
    if (!name || !value || !name[0] || strlen(name) >= sizeof item->name || strpbrk(name, "\r\n: ;") || strpbrk(value, "\r\n")) {
        h->failed = true;
        return;
    }
    item = find(h, name);
    if (!item) {
        if (h->count == HTTP_HEADERS_MAX) {
            h->failed = true;
            return;
        }
        item = &h->item[h->count++];
        *item = (struct http_header){.value = STR_MAX(HEADER_VALUE_MAX)};
        str_copy(item->name, sizeof item->name, name);
    }
    str_clear(&item->value);
    str_add(&item->value, value);
    if (item->value.failed)
        h->failed = true;
}

const char *http_get(const struct http_headers *h, const char *name)
{
    const struct http_header *item = find(h, name);
    return item ? str_c(&item->value) : NULL;
}

static void headers_done(struct http_headers *h)
{
    for (size_t i = 0; i < h->count; i++)
        str_done(&h->item[i].value);
    h->count = 0;
    h->failed = false;
}

void http_request_init(struct http_request *req, const char *method, int64_t deadline_ms)
{
    *req = (struct http_request){.method = method,
                                 .url = STR_MAX(URL_MAX),
                                 .repeatable = !str_is(method, "POST"),
                                 .answer_max = ANSWER_MAX,
                                 .deadline_ms = deadline_ms};
}

void http_request_done(struct http_request *req)
{
    str_done(&req->url);
    headers_done(&req->headers);
}

void http_response_done(struct http_response *res)
{
    str_done(&res->body);
    headers_done(&res->headers);
    res->status = 0;
}

/* The host of an http URL with nothing doubtful about it; false for every other URL. */
static bool clear_host(const char *url, char name[64])
{
    if (!str_starts(url, "http://"))
        return false;
    const char *host = url + strlen("http://");
    size_t len = str_starts(host, "[::1]") ? strlen("[::1]") : strcspn(host, ":/?#@\\");
    if (len >= 64 || (host[len] && !strchr(":/?", host[len])))
        return false;
    memcpy(name, host, len);
    name[len] = '\0';
    /* "http://127.0.0.1:x@elsewhere/": what looks like a port would be a password. */
    return host[len] != ':' || strspn(host + len + 1, "0123456789") == strcspn(host + len + 1, "/?");
}

static bool is_loopback(const char *name)
{
    struct in_addr address;
    return str_is(name, "[::1]") || str_is_nocase(name, "localhost") ||
           (inet_pton(AF_INET, name, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

bool http_url_safe(const char *url)
{
    char name[64];
    return str_starts(url, "https://") || (clear_host(url, name) && is_loopback(name));
}

bool http_url_near(const char *url)
{
    char name[64];
    struct in_addr address;
    if (!clear_host(url, name))
        return false;
    if (is_loopback(name))
        return true;
    if (inet_pton(AF_INET, name, &address) != 1)
        return false; /* a name may be answered with any address */
    uint32_t ip = ntohl(address.s_addr);
    return ip >> 16 == 0xA9FE || ip >> 24 == 10 || ip >> 20 == 0xAC1 || ip >> 16 == 0xC0A8;
}

/* Scheme, host and port. */
static size_t origin_len(const char *url)
{
    const char *host = strstr(url, "://");
    return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
}

bool http_may_send(const struct http_request *req)
{
    const char *url = str_c(&req->url);
    if (http_url_safe(url))
        return true;
    if (!url || !http_url_near(req->in_clear) || !http_url_near(url))
        return false;
    size_t len = origin_len(url);
    return len == origin_len(req->in_clear) && strncmp(url, req->in_clear, len) == 0;
}

void http_describe(const struct http_request *req, struct str *to)
{
    const char *url = str_c(&req->url);
    str_addf(to, "%s ", req->method);
    if (url && req->secret_path) {
        const char *host = strstr(url, "://");
        host = host ? host + 3 : url;
        str_add_n(to, url, (size_t)(host - url) + strcspn(host, "/?#"));
    } else if (url)
        str_add_n(to, url, strcspn(url, "?#"));
    else
        str_add(to, "(an address that is too long)");
}

/* A count of seconds or milliseconds; -1 when it is not one. */
static int64_t whole_number(const char *text)
{
    char *end = NULL;
    if (!text || text[0] < '0' || text[0] > '9')
        return -1;
    long long value = strtoll(text, &end, 10);
    return *end ? -1 : value;
}

/* What the answer asks for in ms, or -1. */
static int64_t asked_ms(const struct http_response *res, int64_t now_s)
{
    int64_t at_s = 0;
    int64_t ms = whole_number(http_get(&res->headers, "x-ms-retry-after-ms"));
    if (ms < 0)
        ms = whole_number(http_get(&res->headers, "retry-after-ms"));
    if (ms >= 0)
        return ms;
    const char *after = http_get(&res->headers, "retry-after");
    int64_t seconds = whole_number(after);
    if (seconds < 0 && date_parse_http(after, &at_s))
        seconds = at_s > now_s ? at_s - now_s : 0;
    if (seconds < 0)
        return -1;
    return seconds > WAIT_MAX_MS ? WAIT_MAX_MS : seconds * 1000;
}

int64_t http_backoff_ms(const struct http_response *res, int attempt, int64_t now_s, uint32_t random)
{
    int64_t asked = res ? asked_ms(res, now_s) : -1;
    if (asked >= 0)
        return asked > WAIT_MAX_MS ? WAIT_MAX_MS : asked;
    int shift = attempt < 1 ? 1 : attempt > 10 ? 10 : attempt;
    int64_t span = (int64_t)JITTER_BASE_MS << shift;
    if (span > JITTER_MAX_MS)
        span = JITTER_MAX_MS;
    return random % (span + 1);
}

/* An outage, not an answer. */
static bool is_outage(const struct http_request *req, int status)
{
    return status == 408 || status == 429 || status >= 500 || (status != 0 && (status == req->again[0] || status == req->again[1]));
}

/* The outages after which the same request may succeed. */
static bool may_try_again(const struct http_request *req, int status)
{
    switch (status) {
    case 429:
    case 503: /* both say that nothing was done */
        return true;
    case 0: /* no answer: it may have been done */
    case 408:
    case 500:
    case 502:
    case 504:
        return req->repeatable;
    default:
        return req->repeatable && status < 500 && is_outage(req, status);
    }
}

static enum err_code prepare(const struct http *http, struct http_request *req, struct err *err)
{
    enum err_code code = str_check(&req->url, "the address of a request", err);
    if (code)
        return code;
    AUTO_STR what = STR_MAX(URL_MAX + 64);
    http_describe(req, &what);
    if (!http_may_send(req))
        return err_set(err, ERR_INPUT, "%.200s: refused, only https may be used (http for this machine itself)", str_c(&what));
    if (req->auth.authorize) {
        code = req->auth.authorize(req->auth.ctx, req, clock_now_s(http->clock), err);
        if (code)
            return code;
    }
    if (req->headers.failed)
        return err_set(err, ERR_INPUT, "%.200s: a header cannot be sent (too many, too long or with a line end)", str_c(&what));
    return OK;
}

/* One attempt. *sent stays false when it failed before anything went out; err is complete then. */
static enum err_code attempt(const struct http *http, struct http_request *req, struct http_response *res, bool *sent, struct err *err)
{
    *sent = false;
    enum err_code code = prepare(http, req, err);
    if (code)
        return code;
    /* Looked at now, because authorizing may have taken its time (a sign-in). */
    int64_t limit = req->attempt_ms > 0 ? req->attempt_ms : ATTEMPT_MS, rest = req->deadline_ms - clock_mono_ms(http->clock);
    if (rest <= 0) {
        AUTO_STR what = STR_MAX(URL_MAX + 64);
        http_describe(req, &what);
        return err_set(err, ERR_UNREACHABLE, "%.300s: no time was left to ask", str_c(&what));
    }
    http_response_done(res);
    res->body.max = req->answer_max;
    if (res->attempts++ > 0 && req->sink && req->restart)
        req->restart(req->sink_ctx);
    *sent = true;
    code = http->transport.send(http->transport.ctx, req, limit < rest ? limit : rest, res, err);
    if (code) /* half an answer is none */
        res->status = 0;
    return code;
}

/* The error after the last attempt, with the request in front; what the transport said is in err. */
static enum err_code give_up(const struct http_request *req, const struct http_response *res, enum err_code code, struct err *err)
{
    AUTO_STR what = STR_MAX(URL_MAX + 64);
    struct err cause = err ? *err : (struct err){0};
    http_describe(req, &what);
    const char *shown = str_c(&what) ? str_c(&what) : req->method;
    if (code == ERR_UNREACHABLE) {
        (void)err_set(err, code, "%.300s: no answer (%.150s)", shown, cause.msg);
    } else if (code) {
        (void)err_set(err, code, "%.300s: %.180s", shown, cause.msg);
    } else {
        code = err_set(err, ERR_UNREACHABLE, "%.300s: HTTP %d%s", shown, res->status, res->attempts > 1 ? " again and again" : "");
        if (err) {
            err->http_status = res->status;
            str_copy(err->remote, sizeof err->remote, http_get(&res->headers, "x-ms-error-code"));
        }
    }
    return code;
}

static _Thread_local int64_t scope_deadline_ms;

void http_scope(int64_t deadline_ms)
{
    scope_deadline_ms = deadline_ms;
}

int64_t http_scope_ends(void)
{
    return scope_deadline_ms;
}

enum err_code http_send(const struct http *http, struct http_request *req, struct http_response *res, struct err *err)
{
    const int most = ahead_is_early(req) ? 1 : req->max_attempts > 0 ? req->max_attempts : ATTEMPTS;
    bool renewed = false, sent = false;
    struct err local;
    if (!err)
        err = &local;
    if (scope_deadline_ms > 0 && req->deadline_ms > scope_deadline_ms)
        req->deadline_ms = scope_deadline_ms;
    res->attempts = 0;
    if (ahead_take(req, res))
        return OK;
    for (int n = 1;; n++) {
        enum err_code code = attempt(http, req, res, &sent, err);
        if (!sent)
            return code;
        if (code != OK && code != ERR_UNREACHABLE)
            return give_up(req, res, code, err);
        if (code == OK && res->status == 401 && !renewed && req->auth.renew && req->auth.renew(req->auth.ctx, req)) {
            renewed = true;
            n--; /* a token that ran out is not a failure of the service */
            continue;
        }
        if (code == OK && !is_outage(req, res->status)) {
            ahead_keep(req, res);
            return OK;
        }
        int64_t wait = http_backoff_ms(code ? NULL : res, n, clock_now_s(http->clock), http->clock->random(http->clock->ctx));
        if (n >= most || !may_try_again(req, res->status) || clock_mono_ms(http->clock) + wait >= req->deadline_ms)
            return give_up(req, res, code, err);
        clock_sleep_ms(http->clock, wait);
    }
}
