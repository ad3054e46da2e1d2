#include "http/ahead.h"

#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/log.h"

#define FRESH_MS 5000
#define CALL_MS 10000
#define STACK_BYTES ((size_t)256 * 1024)
#define KEPT_MAX ((size_t)1024 * 1024) /* of one answer's body */

struct kept {
    struct kept *next;
    struct str key;
    struct http_response res;
    int64_t at_ms;
    uint32_t seen_by; /* calls that have seen it, by number */
    int round;
};

static _Thread_local struct ahead *owned;      /* by the calling thread */
static _Thread_local struct ahead_call *early; /* what the calling thread runs for another */

/* Signing in is never among them: a token is kept by who asked for it, and one that was refused must not come back. */
static bool may_be_kept(const struct http_request *req)
{
    return !req->sink && !req->secret_answer && (str_is(req->method, "GET") || str_is(req->method, "HEAD") || str_is(req->method, "PUT"));
}

bool ahead_is_early(const struct http_request *req)
{
    return early && may_be_kept(req);
}

/* All that makes an answer the answer to this request. Left out: what is new with each attempt (date, signature, request id). */
static bool write_key(const struct http_request *req, struct str *to)
{
    static const char *const telling[] = {"range", "x-ms-range", "if-match", "if-none-match"};
    char hex[65] = "";
    if (req->body_len > 0 && !sha256_of(req->body, req->body_len, hex))
        return false;
    str_addf(to, "%s %s\n%s\n", req->method, str_c(&req->url) ? str_c(&req->url) : "", hex);
    for (size_t i = 0; i < sizeof telling / sizeof telling[0]; i++) {
        const char *value = http_get(&req->headers, telling[i]);
        str_addf(to, "%s\n", value ? value : "");
    }
    return !to->failed;
}

static void free_kept(struct kept *k)
{
    str_done(&k->key);
    http_response_done(&k->res);
    free(k);
}

/* False when it is too long for who asks; res is as it was then. */
static bool copy_answer(const struct http_response *from, size_t most, struct http_response *res)
{
    if (from->body.len > most)
        return false;
    http_response_done(res);
    res->status = from->status;
    for (size_t i = 0; i < from->headers.count; i++)
        http_set(&res->headers, from->headers.item[i].name, str_c(&from->headers.item[i].value));
    res->body = STR_MAX(most);
    if (from->body.len > 0)
        str_add_n(&res->body, from->body.p, from->body.len);
    res->attempts = 1;
    return !res->headers.failed && !res->body.failed;
}

/* What the owner finds: the oldest one. What a call finds: the oldest one of an earlier round that it has not seen yet. */
static bool suits(const struct kept *k, const struct str *key, const struct ahead_call *call, int64_t now_ms)
{
    if (now_ms - k->at_ms > FRESH_MS || !str_is(str_c(&k->key), str_c(key)))
        return false;
    return !call || (k->round < call->round && !(k->seen_by >> call->number & 1));
}

bool ahead_take(const struct http_request *req, struct http_response *res)
{
    struct ahead *box = early ? early->box : owned;
    AUTO_STR key = STR_MAX(32 * 1024);
    if (!box || !may_be_kept(req) || !write_key(req, &key))
        return false;
    int64_t now_ms = clock_mono_ms(box->clock);
    bool found = false;
    (void)pthread_mutex_lock(&box->lock);
    for (struct kept **at = &box->kept; *at && !found; at = &(*at)->next) {
        struct kept *k = *at;
        if (!suits(k, &key, early, now_ms) || !copy_answer(&k->res, req->answer_max, res))
            continue;
        found = true;
        if (early) {
            k->seen_by |= 1U << early->number;
        } else {
            *at = k->next;
            free_kept(k);
            break;
        }
    }
    (void)pthread_mutex_unlock(&box->lock);
    return found;
}

void ahead_keep(const struct http_request *req, const struct http_response *res)
{
    if (!ahead_is_early(req))
        return;
    struct ahead *box = early->box;
    struct kept *k = calloc(1, sizeof *k);
    if (!k)
        return;
    *k = (struct kept){.key = STR_MAX(32 * 1024), .round = early->round, .at_ms = clock_mono_ms(box->clock)};
    if (!write_key(req, &k->key) || !copy_answer(res, KEPT_MAX, &k->res)) {
        free_kept(k);
        return;
    }
    (void)pthread_mutex_lock(&box->lock);
    struct kept **at = &box->kept;
    while (*at)
        at = &(*at)->next;
    *at = k;
    (void)pthread_mutex_unlock(&box->lock);
}

void ahead_begin(struct ahead *box, const struct clock *clock)
{
    *box = (struct ahead){.clock = clock};
    (void)pthread_mutex_init(&box->lock, NULL);
    owned = box;
}

static void *run_early(void *ctx)
{
    struct ahead_call *call = ctx;
    early = call;
    http_scope(call->deadline_ms);
    log_scope(call->invocation, call->job);
    call->run(call->ctx);
    early = NULL;
    return NULL;
}

void ahead_ask(struct ahead *box, void (*run)(void *ctx), void *ctx)
{
    pthread_attr_t small;
    if (!box->clock || box->calls == AHEAD_CALLS || pthread_attr_init(&small) != 0)
        return;
    (void)pthread_attr_setstacksize(&small, STACK_BYTES);
    struct ahead_call *call = &box->call[box->calls];
    int64_t limit_ms = clock_mono_ms(box->clock) + CALL_MS, scope_ms = http_scope_ends();
    *call = (struct ahead_call){.box = box, .run = run, .ctx = ctx, .round = box->round, .number = box->calls};
    call->deadline_ms = scope_ms > 0 && scope_ms < limit_ms ? scope_ms : limit_ms;
    log_scope_now(call->invocation, call->job);
    if (pthread_create(&call->thread, &small, run_early, call) == 0)
        box->calls++;
    (void)pthread_attr_destroy(&small);
}

void ahead_wait(struct ahead *box)
{
    while (box->joined < box->calls)
        (void)pthread_join(box->call[box->joined++].thread, NULL);
    box->round++;
}

static void forget(struct ahead *box)
{
    (void)pthread_mutex_lock(&box->lock);
    while (box->kept) {
        struct kept *next = box->kept->next;
        free_kept(box->kept);
        box->kept = next;
    }
    (void)pthread_mutex_unlock(&box->lock);
}

void ahead_forget(void)
{
    if (owned)
        forget(owned);
}

void ahead_end(struct ahead *box)
{
    if (!box->clock)
        return;
    ahead_wait(box);
    forget(box);
    (void)pthread_mutex_destroy(&box->lock);
    box->clock = NULL;
    owned = NULL;
}
