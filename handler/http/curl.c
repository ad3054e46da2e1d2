#include "http/curl.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#define IDLE_MAX 16       /* handles kept for later; more may be at work at once */
#define CONNECT_MS 10000L /* facts: an address that does not answer should cost little of an attempt */
#define STALL_BYTES 100L  /* fewer bytes a second than this ... */
#define STALL_SECONDS 30L /* ... for so long is a dead peer */
#define IDLE_SECONDS 60L  /* below the idle timeouts of Azure's front ends */

#define HOST_MAX 256

/* A handle speaks to one host only ("https://name:port"), so its connection is the one that is needed next time. */
struct line {
    CURL *handle;
    char host[HOST_MAX];
};

/* Most recently used last: what is taken is the handle whose connection is most likely still alive; what is given up is the oldest. */
struct curl_pool {
    pthread_mutex_t lock;
    struct line idle[IDLE_MAX];
    size_t count;
};

struct exchange {
    CURL *handle;
    const struct http_request *req;
    struct http_response *res;
    bool too_large, sink_refused;
};

enum err_code curl_start(struct curl_pool **ret, struct err *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, ERR_INTERNAL, "libcurl cannot be started");
    struct curl_pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        curl_global_cleanup();
        return err_set(err, ERR_MEMORY, "no memory for HTTP");
    }
    (void)pthread_mutex_init(&pool->lock, NULL);
    *ret = pool;
    return OK;
}

void curl_stop(struct curl_pool *pool)
{
    if (!pool)
        return;
    while (pool->count)
        curl_easy_cleanup(pool->idle[--pool->count].handle);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
    curl_global_cleanup();
}

/* Scheme, name and port; false for an address that has none, or one that is too long. */
static bool host_of(const char *url, char host[HOST_MAX])
{
    const char *name = strstr(url, "://");
    size_t len = name ? (size_t)(name + 3 - url) + strcspn(name + 3, "/?#") : 0;
    if (len == 0 || len >= HOST_MAX)
        return false;
    memcpy(host, url, len);
    host[len] = '\0';
    return true;
}

static void remove_idle(struct curl_pool *pool, size_t at)
{
    memmove(&pool->idle[at], &pool->idle[at + 1], (--pool->count - at) * sizeof pool->idle[0]);
}

static CURL *take(struct curl_pool *pool, const char *host)
{
    CURL *handle = NULL;
    (void)pthread_mutex_lock(&pool->lock);
    for (size_t at = pool->count; at-- > 0 && !handle;) {
        if (str_is_nocase(pool->idle[at].host, host)) {
            handle = pool->idle[at].handle;
            remove_idle(pool, at);
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return handle ? handle : curl_easy_init();
}

static void give_back(struct curl_pool *pool, CURL *handle, const char *host)
{
    CURL *oldest = NULL;
    curl_easy_reset(handle); /* forgets the borrowed pointers, keeps connections and TLS sessions */
    (void)pthread_mutex_lock(&pool->lock);
    if (pool->count == IDLE_MAX) {
        oldest = pool->idle[0].handle;
        remove_idle(pool, 0);
    }
    struct line *line = &pool->idle[pool->count++];
    line->handle = handle;
    str_copy(line->host, sizeof line->host, host);
    (void)pthread_mutex_unlock(&pool->lock);
    if (oldest)
        curl_easy_cleanup(oldest);
}

/* Header lines hold tokens and signatures: wiped before they go back. */
static void lines_cleanup(struct curl_slist **lines)
{
    for (struct curl_slist *line = *lines; line; line = line->next)
        explicit_bzero(line->data, strlen(line->data));
    curl_slist_free_all(*lines);
    *lines = NULL;
}

static bool add_line(struct curl_slist **lines, const char *text)
{
    struct curl_slist *longer = text ? curl_slist_append(*lines, text) : NULL;
    if (longer)
        *lines = longer;
    return longer != NULL;
}

static bool add_header_lines(const struct http_request *req, struct curl_slist **lines)
{
    for (size_t i = 0; i < req->headers.count; i++) {
        const struct http_header *header = &req->headers.item[i];
        const char *value = str_c(&header->value);
        AUTO_STR line = STR_MAX(header->value.max + sizeof header->name + 4);
        /* "Name:" would remove a header, "Name;" sends an empty one. */
        str_addf(&line, value && value[0] ? "%s: %s" : "%s;%s", header->name, value ? value : "");
        if (!add_line(lines, str_c(&line)))
            return false;
    }
    /* curl would call every body a form, and the signature would not match. */
    if (!http_get(&req->headers, "Content-Type") && !add_line(lines, "Content-Type:"))
        return false;
    return add_line(lines, "Expect:");
}

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
    struct exchange *x = data;
    size_t len = size * count;
    long status = 0;
    (void)curl_easy_getinfo(x->handle, CURLINFO_RESPONSE_CODE, &status);
    if (x->req->sink && status >= 200 && status < 300) {
        if (len && !x->req->sink(x->req->sink_ctx, bytes, len)) {
            x->sink_refused = true;
            return CURL_WRITEFUNC_ERROR;
        }
        return len;
    }
    str_add_n(&x->res->body, bytes, len);
    if (x->res->body.failed) {
        x->too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    return len;
}

static bool is_read(const char *name)
{
    static const char *const names[] = {"etag",
                                        "last-modified",
                                        "date",
                                        "content-length",
                                        "content-range",
                                        "content-type",
                                        "retry-after",
                                        "x-ms-retry-after-ms",
                                        "retry-after-ms",
                                        "x-ms-request-id",
                                        "x-ms-error-code",
                                        "x-ms-copy-status",
                                        "content-encoding",
                                        "x-ms-meta-job",
                                        "x-ms-meta-version",
                                        "location",
                                        "www-authenticate",
                                        "azure-asyncoperation"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_is_nocase(name, names[i]))
            return true;
    return false;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *data)
{
    struct exchange *x = data;
    size_t len = size * count;
    char name[48];
    const char *colon = memchr(bytes, ':', len);
    if (!colon || (size_t)(colon - bytes) >= sizeof name)
        return len;
    memcpy(name, bytes, (size_t)(colon - bytes));
    name[colon - bytes] = '\0';
    const char *from = colon + 1, *to = bytes + len;
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && strchr(" \t\r\n", to[-1]))
        to--;
    if (!is_read(name) || memchr(from, '\0', (size_t)(to - from)))
        return len;
    AUTO_STR value = STR_MAX(8192);
    str_add_n(&value, from, (size_t)(to - from));
    if (!value.failed)
        http_set(&x->res->headers, name, str_c(&value));
    return len;
}

/* The options of every request, whatever it asks for. */
static void set_rules(CURL *handle, const struct http_request *req, int64_t limit_ms)
{
    const char *url = str_c(&req->url);
    (void)curl_easy_setopt(handle, CURLOPT_URL, url);
    (void)curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    /* http_send let http through for very few addresses; here curl is told the same. */
    (void)curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, str_starts(url, "https:") || !http_may_send(req) ? "https" : "http");
    (void)curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L); /* what was signed is what is sent */
    (void)curl_easy_setopt(handle, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(handle, CURLOPT_USERAGENT, "retrain/" RETRAIN_VERSION);
    (void)curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    (void)curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)(limit_ms > 0 ? limit_ms : 1));
    (void)curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES);
    (void)curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
    (void)curl_easy_setopt(handle, CURLOPT_MAXAGE_CONN, IDLE_SECONDS);
}

static void set_request(CURL *handle, const struct http_request *req)
{
    bool wants_body = req->body_len > 0 || str_is(req->method, "PUT") || str_is(req->method, "POST");
    if (str_is(req->method, "HEAD")) {
        (void)curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
    } else if (wants_body) {
        /* Without POSTFIELDS a PUT has no Content-Length at all, and Azure answers 411. */
        (void)curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
        (void)curl_easy_setopt(handle, CURLOPT_POSTFIELDS, req->body_len ? req->body : "");
        (void)curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, req->method);
    } else if (str_is(req->method, "GET")) {
        (void)curl_easy_setopt(handle, CURLOPT_HTTPGET, 1L);
    } else {
        (void)curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, req->method);
    }
    /* A request that asks for bytes as they are stored says so itself ("identity"); curl must not decode then. */
    if (!http_get(&req->headers, "Accept-Encoding"))
        (void)curl_easy_setopt(handle, CURLOPT_ACCEPT_ENCODING, "");
}

static enum err_code outcome(const struct exchange *x, CURLcode result, const char *detail, struct err *err)
{
    long status = 0;
    if (x->too_large)
        return err_set(err, ERR_TOO_LARGE, "answer too large (more than %zu bytes)", x->req->answer_max);
    if (x->sink_refused)
        return err_set(err, ERR_INTERNAL, "the answer could not be taken in");
    switch (result) {
    case CURLE_OK:
        break;
    case CURLE_OUT_OF_MEMORY:
        return err_set(err, ERR_MEMORY, "no memory for HTTP");
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return err_set(err, ERR_INPUT, "not an address that can be used");
    default:
        return err_set(err, ERR_UNREACHABLE, "%s", detail[0] ? detail : curl_easy_strerror(result));
    }
    (void)curl_easy_getinfo(x->handle, CURLINFO_RESPONSE_CODE, &status);
    if (status < 100 || status > 599)
        return err_set(err, ERR_UNREACHABLE, "not an HTTP answer");
    x->res->status = (int)status;
    return OK;
}

static enum err_code send_one(void *ctx, const struct http_request *req, int64_t limit_ms, struct http_response *res, struct err *err)
{
    char detail[CURL_ERROR_SIZE] = "";
    __attribute__((cleanup(lines_cleanup))) struct curl_slist *lines = NULL;
    const char *url = str_c(&req->url);
    char host[HOST_MAX];
    if (!url || !add_header_lines(req, &lines))
        return err_set(err, ERR_MEMORY, "no memory for a request");
    if (!host_of(url, host))
        return err_set(err, ERR_INPUT, "not an address that can be used");
    struct exchange x = {.handle = take(ctx, host), .req = req, .res = res};
    if (!x.handle)
        return err_set(err, ERR_MEMORY, "no memory for HTTP");
    set_rules(x.handle, req, limit_ms);
    set_request(x.handle, req);
    (void)curl_easy_setopt(x.handle, CURLOPT_ERRORBUFFER, detail);
    (void)curl_easy_setopt(x.handle, CURLOPT_HTTPHEADER, lines);
    (void)curl_easy_setopt(x.handle, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(x.handle, CURLOPT_WRITEDATA, &x);
    (void)curl_easy_setopt(x.handle, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(x.handle, CURLOPT_HEADERDATA, &x);
    enum err_code code = outcome(&x, curl_easy_perform(x.handle), detail, err);
    give_back(ctx, x.handle, host);
    return code;
}

struct http_transport curl_transport(struct curl_pool *pool)
{
    return (struct http_transport){.send = send_one, .ctx = pool};
}
