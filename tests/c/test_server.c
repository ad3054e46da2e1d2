/* The HTTP server over loopback, with a plain socket client. */
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "loopback.h"
#include "server/server.h"

#define BUDGET_MS 120000

static atomic_int running, most, release;

static void wait_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static enum err_code echo(void *ctx, struct invocation *inv, struct str *said, struct err *err)
{
    (void)err;
    assert_ptr_equal(ctx, &port);
    str_addf(said, "%zu %.100s id=%s message=%s count=%d", inv->text.len, str_c(&inv->text), inv->id, inv->message_id, inv->dequeue_count);
    return OK;
}

static enum err_code silent(void *ctx, struct invocation *inv, struct str *said, struct err *err)
{
    (void)ctx, (void)inv, (void)said, (void)err;
    return OK;
}

static enum err_code broken(void *ctx, struct invocation *inv, struct str *said, struct err *err)
{
    (void)ctx, (void)inv;
    str_add(said, "half done");
    return err_set(err, ERR_UNREACHABLE, "storage does \"not\" answer");
}

/* Holds until `release`, at most 10 s. */
static enum err_code slow(void *ctx, struct invocation *inv, struct str *said, struct err *err)
{
    (void)ctx, (void)err;
    int now = atomic_fetch_add(&running, 1) + 1;
    int seen = atomic_load(&most);
    while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now)) {
    }
    for (int i = 0; i < 2000 && !atomic_load(&release); i++)
        wait_ms(5);
    atomic_fetch_sub(&running, 1);
    str_addf(said, "slow %s", str_c(&inv->text));
    return OK;
}

static enum err_code budget(void *ctx, struct invocation *inv, struct str *said, struct err *err)
{
    (void)ctx, (void)err;
    str_addf(said, "%d %d", llabs(inv->deadline_ms - clock_mono_ms(&clock_system) - BUDGET_MS) < 2000,
             llabs(inv->deadline_s - clock_now_s(&clock_system) - BUDGET_MS / 1000) < 3);
    return OK;
}

static const struct server_function functions[] = {
    {"echo", "item", true, echo}, {"silent", NULL, false, silent}, {"broken", "item", true, broken},
    {"slow", "item", true, slow}, {"budget", NULL, false, budget}, {.name = NULL},
};

static struct server *start(void)
{
    struct server *s = NULL;
    struct err err = {0};
    if (server_start(port, functions, &port, &clock_system, BUDGET_MS, &s, &err) != OK)
        fail_msg("%s", err.msg);
    atomic_store(&release, 0);
    atomic_store(&most, 0);
    return s;
}

static void test_routes(void **state)
{
    (void)state;
    struct server *s = start();
    struct reply r = ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_answer(&r, 200, "{}");
    r = ask("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_answer(&r, 200, NULL);
    r = ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
    assert_answer(&r, 405, "error");
    r = ask("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_answer(&r, 405, "error");
    assert_non_null(strstr(r.head, "Allow: POST"));
    static const char *const unknown[] = {"/nothing", "/Echo",      "/echo/",   "//echo",  "/ech%6f",
                                          "/echo%00", "/x/../echo", "/echo%2F", "/echo;x", "*"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        char request[200];
        snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", unknown[i]);
        r = ask(request);
        assert_answer(&r, 404, "no such function");
    }
    int fd = connect_to();
    r = call_on(fd, "/echo?code=1", "hi", 0, 4096);
    assert_answer(&r, 200, "2 hi");
    close(fd);
    assert_int_equal(server_stop(s, 1000), 0);
}

static void test_bodies(void **state)
{
    (void)state;
    struct server *s = start();
    const char *expect = "{\"Outputs\":{},\"Logs\":[\"11 hello w\u00f6rl id=5f0c-1 message=m1 count=2\"],\"ReturnValue\":null}";
    int fd = connect_to(); /* one connection for all */
    static const size_t chunks[] = {0, 1, 2, 7, 31, 4096}, steps[] = {1, 3, 50, 100000};
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++)
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            struct reply r = call_on(fd, "/echo", "hello w\u00f6rl", chunks[c], steps[i]);
            assert_answer(&r, 200, expect);
        }
    close(fd);
    assert_int_equal(server_stop(s, 1000), 0);
}

static void test_answers(void **state)
{
    (void)state;
    struct server *s = start();
    int fd = connect_to();
    struct reply r = call_on(fd, "/silent", "x", 5, 4096);
    assert_answer(&r, 200, "{\"Outputs\":{},\"Logs\":[],\"ReturnValue\":null}");
    r = call_on(fd, "/broken", "x", 0, 4096);
    assert_answer(&r, 500, "{\"error\":\"storage does \\\"not\\\" answer\"}");
    r = call_on(fd, "/budget", "x", 0, 4096);
    assert_answer(&r, 200, "1 1");
    const char *no_json = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    assert_true(send_all(fd, no_json, strlen(no_json), 4096));
    r = receive(fd, false);
    assert_answer(&r, 500, "not JSON");
    const char *no_body = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    assert_true(send_all(fd, no_body, strlen(no_body), 4096));
    r = receive(fd, false);
    assert_answer(&r, 500, "not JSON");
    close(fd);
    assert_int_equal(server_stop(s, 1000), 0);
}

static void test_too_large(void **state)
{
    (void)state;
    struct server *s = start();
    size_t len = 1200000;
    char *message = malloc(len + 1);
    assert_non_null(message);
    memset(message, 'm', len);
    message[len] = '\0';
    int fd = connect_to();
    for (int i = 0; i < 4; i++) {
        message[i < 2 ? len : 700000] = '\0'; /* the second half fits */
        struct reply r = call_on(fd, "/echo", message, i % 2 ? 10000 : 0, 65536);
        assert_answer(&r, i < 2 ? 413 : 200, i < 2 ? "larger" : "700000 mmm");
    }
    close(fd);
    free(message);
    assert_int_equal(server_stop(s, 1000), 0);
}

struct caller {
    pthread_t thread;
    const char *path;
    struct reply reply;
};

static void *call_thread(void *arg)
{
    struct caller *c = arg;
    int fd = connect_to();
    c->reply = fd < 0 ? (struct reply){0} : call_on(fd, c->path, "m", 3, 4096);
    if (fd >= 0)
        close(fd);
    return NULL;
}

static void until_running(int count)
{
    for (int i = 0; i < 1000 && atomic_load(&running) < count; i++)
        wait_ms(5);
    assert_int_equal(atomic_load(&running), count);
}

static void test_many_at_once(void **state)
{
    (void)state;
    enum { CALLS = 40 };
    struct server *s = start();
    static struct caller callers[CALLS];
    for (int i = 0; i < CALLS; i++) {
        callers[i].path = "/slow";
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_thread, &callers[i]), 0);
    }
    until_running(CALLS);
    struct reply r = ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n"); /* the probe is answered meanwhile */
    assert_answer(&r, 200, "{}");
    atomic_store(&release, 1);
    for (int i = 0; i < CALLS; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_answer(&callers[i].reply, 200, "slow m");
    }
    assert_int_equal(atomic_load(&most), CALLS);
    assert_int_equal(server_stop(s, 1000), 0);
}

static void *release_later(void *arg)
{
    (void)arg;
    wait_ms(400);
    atomic_store(&release, 1);
    return NULL;
}

struct stop {
    struct server *server;
    int left;
};

static void *stop_thread(void *arg)
{
    struct stop *stop = arg;
    stop->left = server_stop(stop->server, 5000);
    return NULL;
}

static void test_drain(void **state)
{
    (void)state;
    struct stop stop = {.server = start(), .left = -1};
    int kept = connect_to(); /* idle: does not hold up the stop */
    struct reply r = call_on(kept, "/echo", "x", 0, 4096);
    assert_answer(&r, 200, "1 x");
    struct caller c = {.path = "/slow"};
    pthread_t stopper, releaser;
    assert_int_equal(pthread_create(&c.thread, NULL, call_thread, &c), 0);
    until_running(1);
    assert_int_equal(pthread_create(&stopper, NULL, stop_thread, &stop), 0);
    wait_ms(100);
    r = call_on(kept, "/echo", "x", 0, 4096);
    assert_answer(&r, 503, "stopping");
    assert_non_null(strcasestr(r.head, "Connection: close"));
    assert_int_equal(pthread_create(&releaser, NULL, release_later, NULL), 0);
    pthread_join(c.thread, NULL);
    assert_answer(&c.reply, 200, "slow m");
    pthread_join(stopper, NULL);
    pthread_join(releaser, NULL);
    assert_int_equal(stop.left, 0);
    assert_int_equal(connect_to(), -1);
    close(kept);
    struct server *again = start(); /* the same port at once, with connections in TIME_WAIT */
    r = ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_answer(&r, 200, "{}");
    assert_int_equal(server_stop(again, 1000), 0);
}

static void test_aborts(void **state)
{
    (void)state;
    struct server *s = start();
    static const char *const pieces[] = {"",
                                         "POST",
                                         "POST /echo HTTP/1.1\r\n",
                                         "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"Data\"",
                                         "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
                                         "\x16\x03\x01 junk\r\n\r\n"};
    for (int i = 0; i < 30; i++) {
        const char *piece = pieces[(size_t)i % (sizeof pieces / sizeof *pieces)];
        int fd = connect_to();
        assert_true(send_all(fd, piece, strlen(piece), 4096));
        wait_ms(2);
        close(fd);
    }
    struct reply r = ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_answer(&r, 200, "{}");
    assert_int_equal(server_stop(s, 3000), 0); /* nothing was left counted as running */
}

static void test_port_taken(void **state)
{
    (void)state;
    struct server *s = start(), *second = NULL;
    struct err err = {0};
    assert_int_equal(server_start(port, functions, &port, &clock_system, BUDGET_MS, &second, &err), ERR_INTERNAL);
    char number[16];
    snprintf(number, sizeof number, ":%u:", (unsigned)port);
    assert_non_null(strstr(err.msg, number));
    assert_null(second);
    assert_int_equal(server_stop(s, 1000), 0);
    assert_int_equal(server_stop(NULL, 1000), 0);
}

/* Last: its server stays behind, as its contract says. */
static void test_cut(void **state)
{
    (void)state;
    struct server *s = start();
    struct caller c = {.path = "/slow"};
    assert_int_equal(pthread_create(&c.thread, NULL, call_thread, &c), 0);
    until_running(1);
    int64_t began_ms = clock_mono_ms(&clock_system);
    assert_int_equal(server_stop(s, 200), 1);
    int64_t took_ms = clock_mono_ms(&clock_system) - began_ms;
    assert_in_range(took_ms, 190, 1500);
    atomic_store(&release, 1);
    pthread_join(c.thread, NULL);
}

int main(void)
{
    pick_port();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),    cmocka_unit_test(test_bodies),       cmocka_unit_test(test_answers),
        cmocka_unit_test(test_too_large), cmocka_unit_test(test_many_at_once), cmocka_unit_test(test_drain),
        cmocka_unit_test(test_aborts),    cmocka_unit_test(test_port_taken),   cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
