/* loopback.h - a plain socket client for the server under test. Include after test.h. */
#ifndef LOOPBACK_H
#define LOOPBACK_H
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/str.h"

static uint16_t port; /* of the server */

static int connect_to(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 15};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Sends in pieces of `step` bytes. */
static bool send_all(int fd, const char *bytes, size_t len, size_t step)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, bytes + at, len - at < step ? len - at : step, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

struct reply {
    int status;
    char head[1024], body[8192];
    size_t len; /* Content-Length */
};

/* Reads one answer; status 0 when the connection ended before it. */
static struct reply receive(int fd, bool head_only)
{
    struct reply r = {0};
    size_t at = 0;
    while (at < sizeof r.head - 1 && (at < 4 || memcmp(r.head + at - 4, "\r\n\r\n", 4) != 0)) {
        if (recv(fd, r.head + at, 1, 0) != 1)
            return (struct reply){0};
        at++;
    }
    const char *length = strcasestr(r.head, "Content-Length:");
    r.status = (int)strtol(r.head + strlen("HTTP/1.1 "), NULL, 10);
    r.len = length ? strtoul(length + strlen("Content-Length:"), NULL, 10) : 0;
    for (size_t got = 0; !head_only && got < r.len && got < sizeof r.body - 1;) {
        ssize_t n = recv(fd, r.body + got, r.len - got, 0);
        if (n <= 0)
            return (struct reply){0};
        got += (size_t)n;
    }
    return r;
}

static void add_call(struct str *to, const char *path, const char *message, size_t chunk)
{
    AUTO_STR coded = STR_MAX(4 * 1024 * 1024);
    AUTO_STR body = STR_MAX(4 * 1024 * 1024);
    base64_encode(&coded, message, strlen(message));
    str_addf(&body, "{\"Data\":{\"item\":\"%s\"},\"Metadata\":{\"Id\":\"\\\"m1\\\"\",\"DequeueCount\":\"2\"}}", str_c(&coded));
    str_addf(to,
             "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Azure-Functions-InvocationId: 5f0c-1\r\nContent-Type: application/json; "
             "charset=utf-8\r\n",
             path);
    if (chunk == 0) {
        str_addf(to, "Content-Length: %zu\r\n\r\n%s", body.len, str_c(&body));
        return;
    }
    str_add(to, "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0; at < body.len; at += chunk) {
        size_t n = body.len - at < chunk ? body.len - at : chunk;
        str_addf(to, "%zx\r\n", n);
        str_add_n(to, body.p + at, n);
        str_add(to, "\r\n");
    }
    str_add(to, "0\r\n\r\n");
}

static struct reply call_on(int fd, const char *path, const char *message, size_t chunk, size_t step)
{
    AUTO_STR text = STR_MAX(8 * 1024 * 1024);
    add_call(&text, path, message, chunk);
    assert_non_null(str_c(&text));
    if (!send_all(fd, text.p, text.len, step))
        return (struct reply){0};
    return receive(fd, false);
}

static struct reply ask(const char *request)
{
    int fd = connect_to();
    assert_true(fd >= 0);
    assert_true(send_all(fd, request, strlen(request), 4096));
    struct reply r = receive(fd, strncmp(request, "HEAD", 4) == 0);
    close(fd);
    return r;
}

static void assert_answer(const struct reply *r, int status, const char *has)
{
    if (r->status != status || !strcasestr(r->head, "Content-Type: application/json") || r->len == 0 || (has && !strstr(r->body, has)))
        fail_msg("%d, not %d with %s: %s%s", r->status, status, has ? has : "anything", r->head, r->body);
}

static void pick_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    port = ntohs(address.sin_port);
    close(fd);
}
#endif
