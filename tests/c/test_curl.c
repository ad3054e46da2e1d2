/* What really goes over the wire: the transport of the product against a small server in a thread, on a loopback port. */
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/curl.h"

/* Serves `answers` one after another, over as few connections as the client wants, and keeps what came. */
struct server {
    int fd;
    int port;
    pthread_t thread;
    const char *const *answers;
    size_t count;
    char seen[4][4096];
    int connections;
};

/* Reads one request: headers, then as many bytes as Content-Length says. */
static bool read_request(int fd, char *to, size_t size)
{
    size_t len = 0;
    to[0] = '\0';
    while (len + 1 < size) {
        char *end = strstr(to, "\r\n\r\n");
        const char *length = strcasestr(to, "\r\nContent-Length:");
        if (end && (size_t)(end + 4 - to) + (length && length < end ? (size_t)strtoul(length + 17, NULL, 10) : 0) <= len)
            return true;
        ssize_t n = read(fd, to + len, size - 1 - len);
        if (n <= 0)
            return false;
        len += (size_t)n;
        to[len] = '\0';
    }
    return false;
}

static void *serve(void *arg)
{
    struct server *s = arg;
    for (size_t i = 0; i < s->count;) {
        int client = accept(s->fd, NULL, NULL);
        if (client < 0)
            return NULL;
        s->connections++;
        while (i < s->count && read_request(client, s->seen[i], sizeof s->seen[i])) {
            const char *answer = s->answers[i++];
            if (write(client, answer, strlen(answer)) < 0 || strcasestr(answer, "Connection: close"))
                break;
        }
        (void)close(client);
    }
    return NULL;
}

static void start(struct server *s, const char *const *answers, size_t count)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    *s = (struct server){.answers = answers, .count = count, .fd = socket(AF_INET, SOCK_STREAM, 0)};
    assert_true(s->fd >= 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(listen(s->fd, 8), 0);
    s->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop(struct server *s)
{
    (void)shutdown(s->fd, SHUT_RDWR);
    (void)pthread_join(s->thread, NULL);
    (void)close(s->fd);
}

static struct curl_pool *pool;
static struct http http;

static int set_up(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    if (curl_start(&pool, NULL))
        return -1;
    http = (struct http){.transport = curl_transport(pool), .clock = &clock_system};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    curl_stop(pool);
    return 0;
}

static void prepare(struct http_request *req, const struct server *s, const char *method, const char *path)
{
    http_request_init(req, method, clock_mono_ms(&clock_system) + 5000);
    str_addf(&req->url, "http://127.0.0.1:%d%s", s->port, path);
    req->max_attempts = 1;
}

static void requests_as_described(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 201 Created\r\nContent-Length: 2\r\nETag: \"e\"\r\nSet-Cookie: no\r\nx-ms-meta-JOB: j \r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"};
    struct server s;
    struct err err = {0};
    start(&s, answers, COUNT(answers));
    {
        AUTO_REQUEST req = {0};
        AUTO_RESPONSE res = {0};
        prepare(&req, &s, "PUT", "/a/../b/./%2Fc?x=1");
        http_set(&req.headers, "x-ms-a", "");
        assert_ok(http_send(&http, &req, &res, &err), err);
        assert_int_equal(res.status, 201);
        assert_string_equal(str_c(&res.body), "ok");
        assert_string_equal(http_get(&res.headers, "etag"), "\"e\"");
        assert_string_equal(http_get(&res.headers, "x-ms-meta-job"), "j");
        assert_null(http_get(&res.headers, "set-cookie"));
    }
    {
        AUTO_REQUEST req = {0};
        AUTO_RESPONSE res = {0};
        prepare(&req, &s, "HEAD", "/h");
        assert_ok(http_send(&http, &req, &res, &err), err);
        assert_string_equal(http_get(&res.headers, "content-length"), "12345");
        assert_int_equal(res.body.len, 0);
    }
    {
        AUTO_REQUEST req = {0};
        AUTO_RESPONSE res = {0};
        prepare(&req, &s, "DELETE", "/d");
        http_set(&req.headers, "Accept-Encoding", "identity");
        assert_ok(http_send(&http, &req, &res, &err), err);
    }
    {
        AUTO_REQUEST req = {0};
        AUTO_RESPONSE res = {0};
        prepare(&req, &s, "POST", "/p");
        http_set(&req.headers, "Content-Type", "application/json");
        req.body = "{}";
        req.body_len = 2;
        assert_ok(http_send(&http, &req, &res, &err), err);
        assert_int_equal(res.status, 302); /* not followed */
    }
    stop(&s);
    assert_int_equal(s.connections, 1); /* kept and used again */
    assert_true(str_starts(s.seen[0], "PUT /a/../b/./%2Fc?x=1 HTTP/1.1\r\n"));
    assert_has(s.seen[0], "\r\nContent-Length: 0\r\n");
    assert_has(s.seen[0], "\r\nUser-Agent: retrain/");
    assert_has(s.seen[0], "\r\nx-ms-a:");
    assert_lacks(s.seen[0], "Content-Type");
    assert_lacks(s.seen[0], "Expect");
    assert_true(str_starts(s.seen[1], "HEAD /h "));
    assert_lacks(s.seen[1], "Content-");
    assert_true(str_starts(s.seen[2], "DELETE /d "));
    assert_lacks(s.seen[2], "Content-");
    assert_has(s.seen[2], "\r\nAccept-Encoding: identity\r\n");
    assert_has(s.seen[3], "\r\nContent-Type: application/json\r\n");
    assert_has(s.seen[3], "\r\n\r\n{}");
}

static bool take(void *ctx, const void *bytes, size_t len)
{
    str_add_n(ctx, bytes, len);
    return !((struct str *)ctx)->failed;
}

static void sink_and_limits(void **state)
{
    (void)state;
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345",
                                          "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n12345",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 50\r\nConnection: close\r\n\r\n12345"};
    struct server s;
    struct err err = {0};
    AUTO_STR taken = STR_MAX(5);
    start(&s, answers, COUNT(answers));
    for (int i = 0; i < 2; i++) {
        AUTO_REQUEST req = {0};
        AUTO_RESPONSE res = {0};
        prepare(&req, &s, "GET", "/s");
        req.sink = take;
        req.sink_ctx = &taken;
        assert_ok(http_send(&http, &req, &res, &err), err);
        assert_string_equal(str_c(&res.body), i ? "gone" : ""); /* only a good body goes to the sink */
    }
    assert_string_equal(str_c(&taken), "12345");
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    prepare(&req, &s, "GET", "/s");
    req.answer_max = 4;
    assert_int_equal(http_send(&http, &req, &res, &err), ERR_TOO_LARGE);
    assert_has(err.msg, "answer too large");
    req.answer_max = 100;
    assert_int_equal(http_send(&http, &req, &res, &err), ERR_UNREACHABLE); /* cut short */
    assert_int_equal(res.status, 0);
    stop(&s);
}

static void failures(void **state)
{
    (void)state;
    static const char *const answers[] = {""}; /* reads the request and says nothing */
    struct server s;
    struct err err = {0};
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    start(&s, answers, 1);
    prepare(&req, &s, "GET", "/slow?sig=secret");
    req.attempt_ms = 200;
    int64_t before = clock_mono_ms(&clock_system);
    assert_int_equal(http_send(&http, &req, &res, &err), ERR_UNREACHABLE);
    assert_true(clock_mono_ms(&clock_system) - before < 2000);
    assert_has(err.msg, "/slow: no answer (");
    assert_lacks(err.msg, "secret");
    stop(&s);
    assert_int_equal(http_send(&http, &req, &res, &err), ERR_UNREACHABLE); /* nobody listens any more */
    assert_has(err.msg, "onnect");
    str_clear(&req.url);
    str_add(&req.url, "file:///etc/passwd");
    assert_int_equal(http.transport.send(http.transport.ctx, &req, 1000, &res, &err), ERR_INPUT); /* the transport alone refuses, too */
    str_clear(&req.url);
    str_add(&req.url, "http://example.invalid/");
    assert_int_equal(http.transport.send(http.transport.ctx, &req, 1000, &res, &err), ERR_INPUT);
}

static void ask(const struct server *s)
{
    struct err err = {0};
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    prepare(&req, s, "GET", "/");
    assert_ok(http_send(&http, &req, &res, &err), err);
}

static bool ask_meanwhile(void *ctx, const void *bytes, size_t len)
{
    (void)bytes;
    (void)len;
    ask(ctx);
    return true;
}

/* Two at once need two connections; after that each host is spoken to over the one it has, whichever was free last. */
static void a_host_is_spoken_to_over_the_connection_it_has(void **state)
{
    (void)state;
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    struct server a, b;
    struct err err = {0};
    start(&a, answers, COUNT(answers));
    start(&b, answers, COUNT(answers));
    {
        AUTO_REQUEST req = {0};
        AUTO_RESPONSE res = {0};
        prepare(&req, &a, "GET", "/");
        req.sink = ask_meanwhile;
        req.sink_ctx = &b;
        assert_ok(http_send(&http, &req, &res, &err), err);
    }
    ask(&b);
    ask(&a);
    ask(&b);
    ask(&a);
    stop(&a);
    stop(&b);
    assert_int_equal(a.connections, 1);
    assert_int_equal(b.connections, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(requests_as_described), cmocka_unit_test(sink_and_limits),
                                       cmocka_unit_test(failures), cmocka_unit_test(a_host_is_spoken_to_over_the_connection_it_has)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
