/* What tells why an attempt failed: the time it may take, whatever is silent, and that its link is a secret. */
#include "test.h"

#include "azure/link.h"
#include "cloud.h"
#include "controller/evidence.h"
#include "sample.h"

#define LOGIN "https://login.example/t/oauth2/v2.0/token"
#define TOKEN                                                                                                                              \
    {                                                                                                                                      \
        .method = "POST", .url = LOGIN, .status = 200, .answer = "{\"expires_in\":3600,\"access_token\":\"t1\"}"                           \
    }
#define SUBSCRIPTION "https://arm.example/subscriptions/*"
#define LINK "https://store.example/secret/path.log?sv=1&sig=abcdefgh"
#define SILENT(verb, address, ms)                                                                                                          \
    {                                                                                                                                      \
        .method = verb, .url = address, .takes_ms = ms                                                                                     \
    }

struct fixture {
    struct cloud cloud;
    struct controller c;
    struct errand e;
    struct record rec;
};

static void begin(struct fixture *f, const struct fake_step *steps, size_t count)
{
    struct identity_settings set = {
        .authority = "https://login.example", .tenant = "t", .client_id = "app", .resource = "https://arm.example"};
    struct err err;
    *f = (struct fixture){.e = {.c = &f->c}};
    cloud_init(&f->cloud, steps, count);
    assert_ok(secret_set(&set.client_secret, "s", 1, &err), err);
    assert_ok(identity_open(&set, &f->cloud.fake.http, &f->c.arm.identity, &err), err);
    secret_done(&set.client_secret);
    f->c.http = f->c.arm.http = &f->cloud.fake.http;
    f->c.clock = &f->cloud.clock.clock;
    f->c.storage = f->cloud.storage;
    str_copy(f->c.arm.endpoint, sizeof f->c.arm.endpoint, "https://arm.example");
    pthread_mutex_init(&f->c.lock, NULL);
    sample_record(&f->rec);
    str_copy(f->rec.subscription, sizeof f->rec.subscription, "sub");
    f->rec.state.attempt = 1;
    f->rec.state.reason = REASON_SILENT;
    f->rec.state.outcome = OUTCOME_FAILED;
}

static void end(struct fixture *f)
{
    http_scope(0);
    cloud_done(&f->cloud);
    identity_close(f->c.arm.identity);
    record_done(&f->rec);
}

/* Keeps evidence in an invocation that has left_ms left; how long it took. */
static int64_t keep(struct fixture *f, int64_t left_ms)
{
    int64_t before = f->cloud.clock.mono_ms;
    http_scope(before + left_ms);
    evidence_keep(&f->e, &f->rec);
    assert_int_equal(http_scope_ends(), before + left_ms);
    return f->cloud.clock.mono_ms - before;
}

static void no_time_is_left(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL, 0);
    str_copy(f.rec.evidence, sizeof f.rec.evidence, "of a former attempt");
    str_copy(f.rec.last_lines, sizeof f.rec.last_lines, "of a former attempt");
    assert_int_equal(keep(&f, 79999), 0);
    assert_string_equal(f.rec.evidence, "");
    assert_string_equal(f.rec.last_lines, "");
    end(&f);
}

/* Every call runs into its limit; those that no time is left for are not made. */
static void all_are_silent(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {
        TOKEN,
        {.method = "POST", .url = SUBSCRIPTION, .status = 200, .answer = "{\"serialConsoleLogBlobUri\":\"" LINK "\"}", .takes_ms = 17000},
        SILENT("HEAD", LINK, 18000),
        SILENT("GET", BLOB_HOST "/job-files/status/*", 6000),
        SILENT("HEAD", FILE_HOST "/logs/*", 6000),
        SILENT("HEAD", FILE_HOST "/logs/Screws-0412/attempt-1.txt", 13000),
    };
    struct fixture f;
    begin(&f, steps, COUNT(steps));
    assert_in_range(keep(&f, 110000), 59000, 60000);
    static const int64_t limits[] = {18000, 18000, 18000, 6000, 6000, 13000};
    for (size_t i = 0; i < COUNT(limits); i++)
        assert_int_equal(f.cloud.fake.limits[i], limits[i]);
    assert_string_equal(f.rec.evidence, "");
    end(&f);
}

static void nobody_signs_in(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {
        {.method = "POST", .url = LOGIN, .status = 401},
        {.method = "GET", .url = BLOB_HOST "/job-files/status/*", .status = 404},
        {.method = "HEAD", .url = FILE_HOST "/logs/*", .status = 404},
        {.method = "HEAD", .url = FILE_HOST "/logs/Screws-0412/attempt-1.txt", .status = 404},
        {.method = "PUT", .url = FILE_HOST "/logs/Screws-0412/attempt-1.txt", .status = 201},
        {.method = "PUT", .url = FILE_HOST "/logs/Screws-0412/attempt-1.txt?comp=range", .status = 201},
    };
    struct fixture f;
    begin(&f, steps, COUNT(steps));
    (void)keep(&f, 110000);
    assert_string_equal(f.rec.evidence, "Screws-0412/attempt-1.txt");
    end(&f);
}

static enum err_code tail(const struct fake_step *steps, size_t count, size_t most, struct str *to, bool *cut, struct err *err)
{
    struct fake_clock clock;
    struct fake_http fake;
    AUTO_SECRET link = {0};
    fake_clock_init(&clock);
    fake_http_init(&fake, &clock, steps, count);
    assert_ok(secret_set(&link, LINK, strlen(LINK), err), *err);
    *to = STR_MAX(most);
    enum err_code code = link_tail(&fake.http, &link, 18000, to, cut, err);
    fake_http_used_up(&fake);
    return code;
}

static void the_end_of_a_long_file(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {
        {.method = "HEAD", .url = LINK, .expect = {"!Authorization"}, .status = 200, .reply = {"Content-Length: 1000"}},
        {.method = "GET", .url = LINK, .expect = {"x-ms-range: bytes=900-999"}, .status = 206, .answer = "the end"},
    };
    static const struct fake_step whole[] = {
        {.method = "HEAD", .url = LINK, .status = 200, .reply = {"Content-Length: 100"}},
        {.method = "GET", .url = LINK, .expect = {"!x-ms-range"}, .status = 200, .answer = "all of it"},
    };
    struct err err;
    bool cut = false;
    AUTO_STR text = {0}, all = {0};
    assert_ok(tail(steps, COUNT(steps), 100, &text, &cut, &err), err);
    assert_true(cut);
    assert_string_equal(str_c(&text), "the end");
    assert_ok(tail(whole, COUNT(whole), 100, &all, &cut, &err), err);
    assert_false(cut);
    assert_string_equal(str_c(&all), "all of it");
}

static void errors_name_the_host_only(void **state)
{
    (void)state;
    static const struct fake_step absent[] = {{.method = "HEAD", .url = LINK, .status = 404}},
                                  refused[] = {{.method = "HEAD", .url = LINK, .status = 403}},
                                  silent[] = {{.method = "HEAD", .url = LINK}, {.method = "HEAD", .url = LINK}};
    static const struct {
        const struct fake_step *steps;
        size_t count;
        enum err_code code;
    } rows[] = {{absent, 1, ERR_ABSENT}, {refused, 1, ERR_REFUSED}, {silent, 2, ERR_UNREACHABLE}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err err;
        bool cut;
        AUTO_STR text = {0};
        assert_int_equal(tail(rows[i].steps, rows[i].count, 100, &text, &cut, &err), rows[i].code);
        assert_has(err.msg, "https://store.example");
        assert_lacks(err.msg, "secret");
        assert_lacks(err.msg, "sig");
    }
}

static void only_https(void **state)
{
    (void)state;
    struct fake_clock clock;
    struct fake_http fake;
    struct err err;
    bool cut;
    static const char ADDRESS[] = "http://store.example/secret?sig=x";
    AUTO_SECRET link = {0};
    AUTO_STR text = STR_MAX(100);
    fake_clock_init(&clock);
    fake_http_init(&fake, &clock, NULL, 0);
    assert_ok(secret_set(&link, ADDRESS, strlen(ADDRESS), &err), err);
    assert_int_equal(link_tail(&fake.http, &link, 18000, &text, &cut, &err), ERR_INPUT);
    assert_lacks(err.msg, "secret");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_time_is_left),           cmocka_unit_test(all_are_silent),
                                       cmocka_unit_test(nobody_signs_in),           cmocka_unit_test(the_end_of_a_long_file),
                                       cmocka_unit_test(errors_name_the_host_only), cmocka_unit_test(only_https)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
