#include "server/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"

#define BODY_MAX (1024 * 1024)
#define ANSWER_MAX (16 * 1024)
#define CONNECTIONS_MAX 128u
#define IDLE_S 300u /* the host keeps idle connections for 60 s and does not send a POST again */

struct server {
    struct MHD_Daemon *daemon;
    const struct server_function *functions;
    void *ctx;
    const struct clock *clock;
    int64_t budget_ms;
    pthread_mutex_t lock; /* running, stopping */
    pthread_cond_t less;  /* running went down */
    int running;          /* requests that have begun and are not answered */
    bool stopping;
};

/* One HTTP request, from its first line to the end of its answer. */
struct call {
    struct server *server;
    char *path;      /* as sent, without the query; NULL without memory */
    struct str body; /* failed: too large */
    bool started;
};

static void *call_begin(void *cls, const char *uri, struct MHD_Connection *connection)
{
    (void)connection;
    struct server *s = cls;
    struct call *call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->server = s;
    call->path = strndup(uri, strcspn(uri, "?"));
    call->body = STR_MAX(BODY_MAX);
    pthread_mutex_lock(&s->lock);
    s->running++;
    pthread_mutex_unlock(&s->lock);
    return call;
}

static void call_end(void *cls, struct MHD_Connection *connection, void **req_cls, enum MHD_RequestTerminationCode why)
{
    (void)connection;
    (void)why;
    struct server *s = cls;
    struct call *call = *req_cls;
    if (!call)
        return;
    *req_cls = NULL;
    free(call->path);
    str_done(&call->body);
    free(call);
    pthread_mutex_lock(&s->lock);
    s->running--;
    pthread_cond_broadcast(&s->less);
    pthread_mutex_unlock(&s->lock);
}

static bool is_stopping(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    bool stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping;
}

static enum MHD_Result answer(struct MHD_Connection *connection, struct server *s, unsigned status, const struct str *json,
                              const char *allow)
{
    const char *text = str_c(json);
    if (!text || !*text)
        text = "{}";
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    bool good = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json") == MHD_YES;
    if (allow)
        good = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow) == MHD_YES && good;
    if (is_stopping(s))
        good = MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES && good;
    enum MHD_Result result = good ? MHD_queue_response(connection, status, response) : MHD_NO;
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_error(struct MHD_Connection *connection, struct server *s, unsigned status, const char *reason,
                                    const char *allow)
{
    AUTO_STR json = STR_MAX(ANSWER_MAX);
    json_open(&json, NULL, '{');
    json_put_text(&json, "error", reason);
    json_close(&json, '}');
    return answer(connection, s, status, &json, allow);
}

/* Calls the function; on failure the reason is in err and the HTTP status in *status. */
static enum err_code invoke(struct call *call, const struct server_function *function, struct invocation *inv, struct str *json,
                            unsigned *status, struct err *err)
{
    struct server *s = call->server;
    *status = MHD_HTTP_CONTENT_TOO_LARGE;
    if (call->body.failed)
        return err_set(err, ERR_INPUT, "the request is larger than %d bytes", BODY_MAX);
    *status = MHD_HTTP_SERVICE_UNAVAILABLE;
    if (is_stopping(s))
        return err_set(err, ERR_UNREACHABLE, "the handler is stopping");
    *status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    enum err_code code = invocation_parse(str_c(&call->body), call->body.len, function->binding, function->binary, inv, err);
    if (code != OK)
        return code;
    AUTO_STR said = STR_MAX(ANSWER_MAX / 4);
    code = function->call(s->ctx, inv, &said, err);
    if (code == OK)
        invocation_answer(json, said.len > 0 ? str_c(&said) : NULL);
    return code;
}

static enum MHD_Result serve(struct MHD_Connection *connection, struct call *call, const struct server_function *function)
{
    struct server *s = call->server;
    int64_t began_ms = clock_mono_ms(s->clock);
    struct invocation inv = {.deadline_ms = began_ms + s->budget_ms, .deadline_s = clock_now_s(s->clock) + s->budget_ms / 1000};
    str_copy(inv.id, sizeof inv.id, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X-Azure-Functions-InvocationId"));
    log_scope(inv.id, "");
    AUTO_STR json = STR_MAX(ANSWER_MAX);
    struct err err = {0};
    unsigned status = 0;
    enum err_code code = invoke(call, function, &inv, &json, &status, &err);
    int64_t took_ms = clock_mono_ms(s->clock) - began_ms;
    enum MHD_Result result = MHD_NO;
    if (code == OK) {
        log_line(LOG_INFO, "%s: done in %" PRId64 " ms", function->name, took_ms);
        result = answer(connection, s, MHD_HTTP_OK, &json, NULL);
    } else {
        const char *reason = err.msg[0] ? err.msg : err_name(code);
        log_line(LOG_ERROR, "%s: failed after %" PRId64 " ms: %s", function->name, took_ms, reason);
        result = answer_error(connection, s, status, reason, NULL);
    }
    invocation_done(&inv);
    log_scope("", "");
    return result;
}

static const struct server_function *find_function(const struct server *s, const char *path)
{
    for (const struct server_function *f = s->functions; f->name; f++)
        if (path[0] == '/' && str_is(path + 1, f->name))
            return f;
    return NULL;
}

static enum MHD_Result route(struct MHD_Connection *connection, struct call *call, const char *method)
{
    struct server *s = call->server;
    if (str_is(call->path, "/")) {
        if (!str_is(method, "GET") && !str_is(method, "HEAD"))
            return answer_error(connection, s, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET here", "GET, HEAD");
        AUTO_STR nothing = STR_MAX(8);
        return answer(connection, s, MHD_HTTP_OK, &nothing, NULL);
    }
    const struct server_function *function = find_function(s, call->path);
    if (!function) {
        log_line(LOG_WARN, "no function at %s %s", method, call->path);
        return answer_error(connection, s, MHD_HTTP_NOT_FOUND, "no such function", NULL);
    }
    if (!str_is(method, "POST"))
        return answer_error(connection, s, MHD_HTTP_METHOD_NOT_ALLOWED, "only POST here", "POST");
    return serve(connection, call, function);
}

/* Comes once for the headers, once for each piece of body, once at the end. Answers only at the end: an early answer is lost to a client
 * that is still sending. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                  const char *data, size_t *data_len, void **req_cls)
{
    (void)cls;
    (void)url; /* decoded and cut at NUL: the path is taken from the request line */
    (void)version;
    struct call *call = *req_cls;
    if (!call || !call->path)
        return MHD_NO;
    if (!call->started) {
        call->started = true;
        return MHD_YES;
    }
    if (*data_len > 0) {
        str_add_n(&call->body, data, *data_len);
        *data_len = 0;
        return MHD_YES;
    }
    return route(connection, call, method);
}

__attribute__((format(printf, 2, 0))) static void on_library_log(void *cls, const char *format, va_list args)
{
    (void)cls;
    char line[256];
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = '\0';
    log_line(LOG_INFO, "microhttpd: %s", line);
}

static int listen_on(uint16_t port, struct err *err)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    err_set(err, ERR_INTERNAL, "cannot listen on 127.0.0.1:%u: %s", (unsigned)port, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static void server_free(struct server *s)
{
    pthread_cond_destroy(&s->less);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static struct server *server_new(void)
{
    struct server *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->less, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

enum err_code server_start(uint16_t port, const struct server_function *functions, void *ctx, const struct clock *clock, int64_t budget_ms,
                           struct server **ret, struct err *err)
{
    int fd = listen_on(port, err);
    if (fd < 0)
        return ERR_INTERNAL;
    struct server *s = server_new();
    if (!s) {
        close(fd);
        return err_set(err, ERR_MEMORY, "no memory for the server");
    }
    s->functions = functions;
    s->ctx = ctx;
    s->clock = clock;
    s->budget_ms = budget_ms;
    s->daemon = MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC | MHD_USE_ERROR_LOG, port, NULL,
                                 NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
                                 MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
                                 MHD_OPTION_URI_LOG_CALLBACK, call_begin, s, MHD_OPTION_NOTIFY_COMPLETED, call_end, s, MHD_OPTION_END);
    if (!s->daemon) {
        close(fd);
        server_free(s);
        return err_set(err, ERR_INTERNAL, "the HTTP server on port %u does not start", (unsigned)port);
    }
    *ret = s;
    return OK;
}

/* Waits until nothing runs; returns what still runs after drain_ms. */
static int drain(struct server *s, int64_t drain_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(drain_ms / 1000);
    until.tv_nsec += (long)(drain_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    int waited = 0;
    while (s->running > 0 && waited == 0)
        waited = pthread_cond_timedwait(&s->less, &s->lock, &until);
    int left = s->running;
    pthread_mutex_unlock(&s->lock);
    return left;
}

int server_stop(struct server *s, int64_t drain_ms)
{
    if (!s)
        return 0;
    MHD_socket fd = MHD_quiesce_daemon(s->daemon);
    int left = drain(s, drain_ms);
    if (left > 0) {
        log_line(LOG_ERROR, "stopping cuts %d call%s after %" PRId64 " ms", left, left == 1 ? "" : "s", drain_ms);
        return left;
    }
    MHD_stop_daemon(s->daemon);
    if (fd != MHD_INVALID_SOCKET)
        close(fd);
    server_free(s);
    return 0;
}
