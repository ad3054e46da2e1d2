/* http.h - one way to send a request: built, authorized, tried again by one policy, within a deadline.
 *
 * A request is described once. For each attempt the authorizer is asked to add its headers (date, signature, token), so every attempt is
 * signed anew. Tried again: no connection, timeout, broken answer, 408, 429, 500, 502, 503, 504; for requests that are not `repeatable`
 * only 429 and 503. Retry-After (seconds, HTTP date, x-ms-retry-after-ms, retry-after-ms) is obeyed, else full jitter over 0.4 s * 2^n, at
 * most 20 s; at most 5 attempts, never past deadline_ms. A 401 is tried once more if the authorizer has a `renew` that says yes. The answer
 * to a request that was sent more than once may be to an earlier one: `attempts` tells, and callers with conditions read back. Redirects
 * are never followed. Thread rule: http and its transport are shared by all threads; request and response belong to one. What was asked
 * ahead (http/ahead.h) is answered from there. */
#ifndef HTTP_H
#define HTTP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"

#define HTTP_HEADERS_MAX 24

struct http_header {
    char name[48];
    struct str value; /* max set by http_set; wiped by http_request_done */
};
struct http_headers {
    struct http_header item[HTTP_HEADERS_MAX];
    size_t count;
    bool failed; /* too many, or a name or value that holds CR, LF or NUL */
};
/* Replaces or adds; names compare without case. */
void http_set(struct http_headers *h, const char *name, const char *value);
const char *http_get(const struct http_headers *h, const char *name); /* NULL when absent */

struct http_request;
struct http_authorizer {
    /* Adds headers for this attempt. now_s is the wall clock of the attempt. */
    enum err_code (*authorize)(void *ctx, struct http_request *req, int64_t now_s, struct err *err);
    bool (*renew)(void *ctx, const struct http_request *req); /* after a 401 to req: true if another attempt makes sense; NULL: never */
    void *ctx;
};

struct http_request {
    const char *method; /* literal */
    struct str url;     /* absolute, already escaped; may carry a SAS: logs cut the query */
    struct http_headers headers;
    const void *body; /* borrowed; NULL with body_len 0 sends Content-Length: 0 on PUT and POST */
    size_t body_len;
    bool repeatable;    /* harmless when done twice */
    bool secret_path;   /* the path is a password too (Slack): texts name only the host */
    bool secret_answer; /* so is the answer (a token): no copy of it is kept by ahead.h */
    size_t answer_max;  /* bytes of answer body kept; more is ERR_TOO_LARGE */
    /* When set, a 2xx body goes here piece by piece instead of into the response (a retried attempt starts again with restart()). */
    bool (*sink)(void *ctx, const void *bytes, size_t len);
    void (*restart)(void *ctx);
    void *sink_ctx;
    struct http_authorizer auth;
    /* Borrowed: an address of the platform around this machine (its identity service, which has no TLS). Its host and port, and they alone,
     * may be asked in clear by this request; NULL: none. */
    const char *in_clear;
    int again[2];        /* statuses, 0 for none, that are an outage too for this service: tried again like 503 if repeatable */
    int64_t attempt_ms;  /* limit of one attempt; 0: 30 s */
    int64_t deadline_ms; /* clock_mono_ms by which all must be over */
    int max_attempts;    /* 0: 5 */
};
struct http_response {
    int status;
    struct http_headers headers; /* an allowlist of those that the program reads; the transport keeps no others */
    struct str body;
    int attempts;
};
#define AUTO_REQUEST __attribute__((cleanup(http_request_done))) struct http_request
#define AUTO_RESPONSE __attribute__((cleanup(http_response_done))) struct http_response
void http_request_init(struct http_request *req, const char *method,
                       int64_t deadline_ms); /* url max 8 KiB, answer_max 1 MiB, repeatable for all but POST */
void http_request_done(struct http_request *req);
void http_response_done(struct http_response *res);

/* The seam: sends one attempt. http/curl.c is the product's; tests have a scripted one. ERR_UNREACHABLE when no complete answer came. */
struct http_transport {
    enum err_code (*send)(void *ctx, const struct http_request *req, int64_t limit_ms, struct http_response *res, struct err *err);
    void *ctx;
};
struct http {
    struct http_transport transport;
    const struct clock *clock;
};
/* Any complete answer is OK with its status in res (4xx too); ERR_UNREACHABLE when there was none, or the last was 408, 429, 5xx or one of
 * `again` after all attempts (then res holds it); other codes when the request could not be built or authorized. */
enum err_code http_send(const struct http *http, struct http_request *req, struct http_response *res, struct err *err) MUST_CHECK;

/* Bounds every http_send of the calling thread from now on, whatever its own deadline: the budget of an invocation. 0 lifts it. */
void http_scope(int64_t deadline_ms);
int64_t http_scope_ends(void); /* 0: not bounded */

/* How long to wait before attempt n+1 (n from 1), from the answer's headers or by jitter; exposed for tests. */
int64_t http_backoff_ms(const struct http_response *res, int attempt, int64_t now_s, uint32_t random);
/* https to anywhere, or http to a loopback address: a token or signature must not travel in clear. */
bool http_url_safe(const char *url);
/* http to an address, written as a number, that no router passes on: loopback, link-local (169.254/16) or private. What in_clear may be. */
bool http_url_near(const char *url);
/* The URL is safe, or has host and port of in_clear, which is near. http_send refuses every other request (ERR_INPUT). */
bool http_may_send(const struct http_request *req);
/* "PUT https://host/path" without the query: for logs and errors. */
void http_describe(const struct http_request *req, struct str *to);
#endif
