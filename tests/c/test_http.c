#include "test.h"

#include "fake_http.h"

#define URL "https://host/path?sig=secret"

static void run(const struct fake_step *steps, size_t count, struct fake_clock *c, struct http_request *req, struct http_response *res,
                enum err_code want, struct err *err)
{
    struct fake_http f;
    fake_http_init(&f, c, steps, count);
    str_clear(&req->url);
    str_add(&req->url, URL);
    *err = (struct err){0};
    enum err_code code = http_send(&f.http, req, res, err);
    if (code != want)
        fail_msg("%s instead of %s: %s", err_name(code), err_name(want), err->msg);
    fake_http_used_up(&f);
}

/* Which failures are tried again, for harmless requests and for others. */
static void retry_rules(void **state)
{
    (void)state;
    static const struct {
        int status;
        bool harmless_again, other_again;
        enum err_code end;
    } rules[] = {{0, true, false, ERR_UNREACHABLE},
                 {408, true, false, ERR_UNREACHABLE},
                 {429, true, true, ERR_UNREACHABLE},
                 {500, true, false, ERR_UNREACHABLE},
                 {502, true, false, ERR_UNREACHABLE},
                 {503, true, true, ERR_UNREACHABLE},
                 {504, true, false, ERR_UNREACHABLE},
                 {501, false, false, ERR_UNREACHABLE},
                 {200, false, false, OK},
                 {206, false, false, OK},
                 {301, false, false, OK},
                 {400, false, false, OK},
                 {401, false, false, OK},
                 {403, false, false, OK},
                 {404, false, false, OK},
                 {409, false, false, OK},
                 {412, false, false, OK}};
    for (size_t i = 0; i < COUNT(rules); i++) {
        for (int harmless = 0; harmless < 2; harmless++) {
            struct fake_step steps[5];
            struct fake_clock c;
            struct err err;
            AUTO_REQUEST req = {0};
            AUTO_RESPONSE res = {0};
            bool again = harmless ? rules[i].harmless_again : rules[i].other_again;
            for (size_t k = 0; k < COUNT(steps); k++)
                steps[k] = (struct fake_step){.method = "POST", .url = URL, .status = rules[i].status, .answer = "body"};
            fake_clock_init(&c);
            http_request_init(&req, "POST", c.mono_ms + 600000);
            req.repeatable = harmless;
            run(steps, again ? 5 : 1, &c, &req, &res, rules[i].end, &err);
            assert_int_equal(res.attempts, again ? 5 : 1);
            assert_int_equal(res.status, rules[i].status);
            assert_int_equal(c.sleeps, again ? 4 : 0);
            if (rules[i].end) {
                assert_has(err.msg, "POST https://host/path: ");
                assert_lacks(err.msg, "secret");
                assert_int_equal(err.http_status, rules[i].status);
            }
            if (rules[i].status)
                assert_string_equal(str_c(&res.body), "body"); /* cleared between attempts, not added up */
            else
                assert_string_equal(err.msg, "POST https://host/path: no answer (Could not connect to server)");
        }
    }
}

static void backoff(void **state)
{
    (void)state;
    static const int64_t now_s = 1767225600;
    static const struct {
        const char *name, *value;
        int attempt;
        uint32_t random;
        int64_t want;
    } cases[] = {
        {"retry-after", "7", 1, 0, 7000},
        {"Retry-After", "0", 1, 99, 0},
        {"retry-after", "3600", 1, 0, 60000},
        {"retry-after", "99999999999999999999", 1, 0, 60000},
        {"retry-after", "Thu, 01 Jan 2026 00:00:09 GMT", 1, 0, 9000},
        {"retry-after", "Wed, 31 Dec 2025 00:00:00 GMT", 1, 5, 0},
        {"retry-after", "Thu, 01 Jan 2099 00:00:00 GMT", 1, 5, 60000},
        {"x-ms-retry-after-ms", "250", 1, 0, 250},
        {"retry-after-ms", "1250", 1, 0, 1250},
        {"retry-after-ms", "9999999", 1, 0, 60000},
        {"retry-after", "-5", 1, 800, 800}, /* not understood: jitter */
        {"retry-after", "soon", 1, 801, 0},
        {"retry-after", "1.5", 1, 400, 400},
        {"x-other", "1", 1, 800, 800},
        {"x-other", "1", 2, 1600, 1600},
        {"x-other", "1", 2, 1601, 0},
        {"x-other", "1", 3, 3200, 3200},
        {"x-other", "1", 5, 12800, 12800},
        {"x-other", "1", 6, 20000, 20000},
        {"x-other", "1", 60, 20001, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO_RESPONSE res = {0};
        http_set(&res.headers, cases[i].name, cases[i].value);
        int64_t got = http_backoff_ms(&res, cases[i].attempt, now_s, cases[i].random);
        if (got != cases[i].want)
            fail_msg("case %zu: %lld", i, (long long)got);
    }
    assert_true(http_backoff_ms(NULL, 1, now_s, 3) == 3);
    AUTO_RESPONSE both = {0};
    http_set(&both.headers, "retry-after", "5");
    http_set(&both.headers, "x-ms-retry-after-ms", "4200");
    assert_true(http_backoff_ms(&both, 1, now_s, 0) == 4200);
}

static void recovers_and_obeys(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {
        {.method = "GET", .url = URL, .status = 503, .reply = {"Retry-After: 3"}, .answer = "busy"},
        {.method = "GET", .url = URL},
        {.method = "GET", .url = URL, .status = 200, .answer = "good"},
    };
    struct fake_clock c;
    struct err err;
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    fake_clock_init(&c);
    c.random = 1234;
    http_request_init(&req, "GET", c.mono_ms + 60000);
    run(steps, COUNT(steps), &c, &req, &res, OK, &err);
    assert_int_equal(res.attempts, 3);
    assert_string_equal(str_c(&res.body), "good");
    assert_null(http_get(&res.headers, "retry-after"));
    assert_int_equal(c.sleeps, 2);
    assert_int_equal(c.slept[0], 3000);
    assert_int_equal(c.slept[1], 1234);
}

static void deadline(void **state)
{
    (void)state;
    static const struct fake_step late[] = {{.method = "GET", .url = URL, .status = 503, .reply = {"Retry-After: 30"}, .answer = "busy"}};
    static const struct fake_step slow[] = {{.method = "GET", .url = URL, .takes_ms = 6000},
                                            {.method = "GET", .url = URL, .takes_ms = 4500}};
    struct fake_clock c;
    struct err err;
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    fake_clock_init(&c);
    http_request_init(&req, "GET", c.mono_ms + 20000);
    run(late, 1, &c, &req, &res, ERR_UNREACHABLE, &err); /* the wait would pass the deadline: no wait at all */
    assert_int_equal(c.sleeps, 0);
    assert_int_equal(res.status, 503);
    assert_string_equal(str_c(&res.body), "busy");

    struct fake_http f;
    fake_http_init(&f, &c, slow, 2);
    req.deadline_ms = c.mono_ms + 10500;
    req.attempt_ms = 6000;
    assert_int_equal(http_send(&f.http, &req, &res, &err), ERR_UNREACHABLE);
    fake_http_used_up(&f);
    assert_int_equal(f.limits[0], 6000);
    assert_int_equal(f.limits[1], 4500); /* what is left */

    fake_http_init(&f, &c, slow, 0);
    assert_int_equal(http_send(&f.http, &req, &res, &err), ERR_UNREACHABLE); /* over before it began */
    assert_int_equal(res.attempts, 0);
    assert_has(err.msg, "no time was left");
    req.deadline_ms = c.mono_ms + 90000;
    req.attempt_ms = 0;
    fake_http_init(&f, &c, slow, 1);
    req.max_attempts = 1;
    assert_int_equal(http_send(&f.http, &req, &res, &err), ERR_UNREACHABLE);
    assert_int_equal(f.limits[0], 30000);
}

struct token {
    int number, renewals;
    bool may_renew;
};

static enum err_code authorize(void *ctx, struct http_request *req, int64_t now_s, struct err *err)
{
    struct token *t = ctx;
    char value[32];
    (void)err;
    assert_true(now_s >= 1767225600);
    (void)snprintf(value, sizeof value, "Bearer %d", t->number++);
    http_set(&req->headers, "Authorization", value);
    return OK;
}

static bool renew(void *ctx, const struct http_request *req)
{
    struct token *t = ctx;
    assert_non_null(http_get(&req->headers, "authorization"));
    t->renewals++;
    return t->may_renew;
}

static enum err_code cannot(void *ctx, struct http_request *req, int64_t now_s, struct err *err)
{
    (void)ctx, (void)req, (void)now_s;
    return err_set(err, ERR_REFUSED, "cannot sign in");
}

static void authorizes_each_attempt_and_renews_once(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {
        {.method = "GET", .url = URL, .expect = {"Authorization: Bearer 0"}},
        {.method = "GET", .url = URL, .expect = {"Authorization: Bearer 1"}, .status = 401},
        {.method = "GET", .url = URL, .expect = {"Authorization: Bearer 2"}, .status = 401},
    };
    struct token t = {.may_renew = true};
    struct fake_clock c;
    struct err err;
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    fake_clock_init(&c);
    http_request_init(&req, "GET", c.mono_ms + 60000);
    req.auth = (struct http_authorizer){authorize, renew, &t};
    run(steps, COUNT(steps), &c, &req, &res, OK, &err);
    assert_int_equal(res.status, 401);
    assert_int_equal(t.renewals, 1);
    assert_int_equal(req.headers.count, 1); /* replaced, not added */
    t = (struct token){.number = 1};
    run(steps + 1, 1, &c, &req, &res, OK, &err);
    assert_int_equal(res.status, 401);
    req.auth = (struct http_authorizer){.authorize = cannot};
    run(steps, 0, &c, &req, &res, ERR_REFUSED, &err);
    assert_string_equal(err.msg, "cannot sign in");
}

struct taken {
    char text[100];
    int restarts;
    bool full;
};

static bool take(void *ctx, const void *bytes, size_t len)
{
    struct taken *t = ctx;
    if (!t->full)
        strncat(t->text, bytes, len);
    return !t->full;
}

static void again(void *ctx)
{
    struct taken *t = ctx;
    t->text[0] = '\0';
    t->restarts++;
}

static void sink_starts_again(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {
        {.method = "GET", .url = URL, .answer = "half"}, /* then the connection breaks */
        {.method = "GET", .url = URL, .status = 503, .answer = "busy"},
        {.method = "GET", .url = URL, .status = 200, .answer = "whole"},
    };
    struct taken t = {0};
    struct fake_clock c;
    struct err err;
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    fake_clock_init(&c);
    http_request_init(&req, "GET", c.mono_ms + 60000);
    req.sink = take;
    req.restart = again;
    req.sink_ctx = &t;
    run(steps, COUNT(steps), &c, &req, &res, OK, &err);
    assert_string_equal(t.text, "whole");
    assert_int_equal(t.restarts, 2);
    assert_string_equal(str_c(&res.body), "");
    t.full = true;
    run(steps + 2, 1, &c, &req, &res, ERR_INTERNAL, &err);
    assert_has(err.msg, "GET https://host/path: ");
}

static void answers_are_bounded(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {{.method = "GET", .url = URL, .status = 200, .answer = "12345"}};
    struct fake_clock c;
    struct err err;
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    fake_clock_init(&c);
    http_request_init(&req, "GET", c.mono_ms + 60000);
    req.answer_max = 5;
    run(steps, 1, &c, &req, &res, OK, &err);
    req.answer_max = 4;
    run(steps, 1, &c, &req, &res, ERR_TOO_LARGE, &err);
    assert_string_equal(err.msg, "GET https://host/path: answer too large (more than 4 bytes)");
}

static void headers(void **state)
{
    (void)state;
    AUTO_REQUEST req = {0};
    http_request_init(&req, "GET", 0);
    http_set(&req.headers, "ETag", "1");
    http_set(&req.headers, "etag", "2");
    assert_int_equal(req.headers.count, 1);
    assert_string_equal(http_get(&req.headers, "ETAG"), "2");
    assert_null(http_get(&req.headers, "x"));
    static const char *const bad[][2] = {
        {"a", "x\r\ny: z"}, {"a", "x\n"}, {"a\r", "x"}, {"a b", "x"},
        {"a:", "x"},        {"", "x"},    {"a", NULL},  {"a-name-of-a-header-that-is-much-too-long-to-be-true", "x"}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        req.headers.failed = false;
        http_set(&req.headers, bad[i][0], bad[i][1]);
        assert_true(req.headers.failed);
    }
    assert_int_equal(req.headers.count, 1);
    req.headers.failed = false;
    for (int i = 0; i < HTTP_HEADERS_MAX; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "n%d", i);
        assert_false(req.headers.failed);
        http_set(&req.headers, name, "");
    }
    assert_true(req.headers.failed);
    struct fake_clock c;
    struct err err;
    AUTO_RESPONSE res = {0};
    fake_clock_init(&c);
    run(NULL, 0, &c, &req, &res, ERR_INPUT, &err);
    assert_has(err.msg, "a header cannot be sent");
}

/* A request may name one address of the platform that it asks in clear; no other request may ask it, nor that request another. */
static void one_address_in_clear(void **state)
{
    (void)state;
    static const struct {
        const char *in_clear, *url;
        bool may;
    } rows[] = {
        {"http://169.254.169.254", "http://169.254.169.254/metadata?a=b", true},
        {"http://169.254.129.2:8081/msi/token", "http://169.254.129.2:8081/msi/token?a=b", true},
        {NULL, "http://169.254.169.254/metadata", false},
        {"http://169.254.169.254", "http://169.254.169.253/metadata", false},
        {"http://169.254.169.254", "http://169.254.169.254:8080/metadata", false},
        {"http://169.254.169.254", "http://169.254.169.254@evil/", false},
        {"http://169.254.169.254", "http://169.254.169.254.evil/", false},
        {"http://8.8.8.8", "http://8.8.8.8/", false},
        {"http://evil", "http://evil/", false},
        {"http://169.254.169.254", "https://anywhere/", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_REQUEST req = {0};
        http_request_init(&req, "GET", 0);
        str_add(&req.url, rows[i].url);
        req.in_clear = rows[i].in_clear;
        if (http_may_send(&req) != rows[i].may)
            fail_msg("%s for %s", rows[i].url, rows[i].in_clear ? rows[i].in_clear : "nothing");
    }
}

static void only_safe_addresses(void **state)
{
    (void)state;
    static const char *const good[] = {"https://host/",      "https://host",      "http://127.0.0.1:10000/a", "http://localhost/x",
                                       "http://LOCALHOST:1", "http://[::1]:99/x", "http://127.9.9.9/"};
    static const char *const bad[] = {"http://host/",
                                      "http://127.0.0.1.evil.com/",
                                      "http://127.0.0.1@evil.com/",
                                      "http://localhost:x@evil/",
                                      "http://127.0.0.1\\@evil/",
                                      "http://localhost.evil/",
                                      "http://[::1]evil/",
                                      "ftp://127.0.0.1/",
                                      "file:///etc/passwd",
                                      "",
                                      "/path",
                                      "http://",
                                      "http://127.1.evil",
                                      "http://128.0.0.1/",
                                      "http://127.0.0.1#@evil/",
                                      "http://localhost:80@evil/",
                                      "http://[::1]:x@evil/",
                                      "http://169.254.169.254/",
                                      "http://10.0.0.1/"};
    for (size_t i = 0; i < COUNT(good); i++)
        if (!http_url_safe(good[i]))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (http_url_safe(bad[i]))
            fail_msg("taken: %s", bad[i]);
    struct fake_clock c;
    struct fake_http f;
    struct err err;
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    fake_clock_init(&c);
    fake_http_init(&f, &c, NULL, 0);
    http_request_init(&req, "GET", c.mono_ms + 1000);
    str_add(&req.url, "http://host/path?sig=secret");
    assert_int_equal(http_send(&f.http, &req, &res, &err), ERR_INPUT);
    assert_lacks(err.msg, "secret");
    for (int i = 0; i < 900; i++)
        str_add(&req.url, "0123456789");
    assert_int_equal(http_send(&f.http, &req, &res, &err), ERR_MEMORY);
}

/* What texts and the log say of a request: never the query, and of an address that is a password only the host. */
static void told_without_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool secret_path;
        const char *told;
    } rows[] = {
        {"https://host/a/b?sig=x", false, "GET https://host/a/b"},
        {"https://host/a#x", false, "GET https://host/a"},
        {"https://hooks/services/T/B/x", true, "GET https://hooks"},
        {"https://hooks:8443/services/T/B/x?y", true, "GET https://hooks:8443"},
        {"https://hooks?x", true, "GET https://hooks"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_REQUEST req = {0};
        AUTO_STR text = STR_MAX(256);
        http_request_init(&req, "GET", 1000);
        req.secret_path = rows[i].secret_path;
        str_add(&req.url, rows[i].url);
        http_describe(&req, &text);
        assert_string_equal(str_c(&text), rows[i].told);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(retry_rules),
                                       cmocka_unit_test(backoff),
                                       cmocka_unit_test(recovers_and_obeys),
                                       cmocka_unit_test(deadline),
                                       cmocka_unit_test(authorizes_each_attempt_and_renews_once),
                                       cmocka_unit_test(sink_starts_again),
                                       cmocka_unit_test(answers_are_bounded),
                                       cmocka_unit_test(headers),
                                       cmocka_unit_test(only_safe_addresses),
                                       cmocka_unit_test(one_address_in_clear),
                                       cmocka_unit_test(told_without_secrets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
