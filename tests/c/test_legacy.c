/* The copies in the root, for devices of the former system: what is written, what is left, and that neither is half done. */
#include "test.h"

#include "cloud.h"
#include "controller/legacy.h"
#include "sample.h"

#define ROOT(name) BLOB_HOST "/model/model." name
#define OF(version, name) BLOB_HOST "/model/default/" version "/" name
#define IO_A "{\"io\":{\"input\":{\"type\":\"u8\"},\"outputs\":[{\"name\":\"boxes\"}],\"threshold\":0.3}}"
#define IO_A_TOO "{ \"io\": {\"input\":{\"type\":\"u8\"}, \"outputs\":[{\"name\":\"boxes\"}],\"threshold\":0.45}, \"v\": 1}"
#define IO_B "{\"io\":{\"input\":{\"type\":\"u8\"},\"outputs\":[{\"name\":\"labels\"}],\"threshold\":0.3}}"
#define ABSENT(name)                                                                                                                       \
    {                                                                                                                                      \
        .method = "HEAD", .url = ROOT(name), .status = 404                                                                                 \
    }
#define THERE(name, tag, job, version)                                                                                                     \
    {                                                                                                                                      \
        .method = "HEAD", .url = ROOT(name), .status = 200, .reply = {                                                                     \
            "ETag: " tag,                                                                                                                  \
            "x-ms-meta-job: " job,                                                                                                         \
            "x-ms-meta-version: " version,                                                                                                 \
            "x-ms-copy-status: success"                                                                                                    \
        }                                                                                                                                  \
    }
#define FOREIGN(name, tag)                                                                                                                 \
    {                                                                                                                                      \
        .method = "HEAD", .url = ROOT(name), .status = 200, .reply = { "ETag: " tag }                                                      \
    }
#define MANIFEST(version, text)                                                                                                            \
    {                                                                                                                                      \
        .method = "GET", .url = OF(version, "manifest.json"), .status = 200, .reply = {"ETag: \"m\""}, .answer = (text)                    \
    }
#define COPY(name, condition)                                                                                                              \
    {.method = "HEAD", .url = OF("5", "model." name), .status = 200, .reply = {"ETag: \"of-" name "\""}},                                  \
    {                                                                                                                                      \
        .method = "PUT", .url = ROOT(name), .status = 202, .reply = {"x-ms-copy-status: success"}, .expect = {                             \
            condition,                                                                                                                     \
            "x-ms-copy-source: " OF("5", "model." name),                                                                                   \
            "x-ms-source-if-match: \"of-" name "\"",                                                                                       \
            "x-ms-meta-job: screws-0412",                                                                                                  \
            "x-ms-meta-version: 5"                                                                                                         \
        }                                                                                                                                  \
    }
#define LEASED(name)                                                                                                                       \
    {.method = "HEAD", .url = OF("5", "model." name), .status = 200, .reply = {"ETag: \"s\""}},                                            \
    {                                                                                                                                      \
        .method = "PUT", .url = ROOT(name), .status = 412, .answer = "<Error><Code>LeaseIdMissing</Code></Error>"                          \
    }
#define WITH(...)                                                                                                                          \
    static const struct fake_step steps[] = {__VA_ARGS__};                                                                                 \
    struct cloud c;                                                                                                                        \
    struct err err = {0};                                                                                                                  \
    AUTO_RECORD rec = {0};                                                                                                                 \
    (void)state;                                                                                                                           \
    cloud_init(&c, steps, COUNT(steps));                                                                                                   \
    sample_record(&rec);                                                                                                                   \
    str_copy(rec.request.line, sizeof rec.request.line, "default");                                                                        \
    rec.state.version = 5;                                                                                                                 \
    rec.state.model_since_s = c.clock.now_s;                                                                                               \
    struct controller controller = {.storage = c.storage, .clock = &c.clock.clock};                                                        \
    struct errand errand = {.c = &controller}

static void written_when_absent(void **state)
{
    WITH(ABSENT("bin"), ABSENT("xml"), COPY("bin", "If-None-Match: *"), COPY("xml", "If-None-Match: *"));
    assert_ok(legacy_renew(&errand, &rec, &err), err);
    assert_string_equal(rec.legacy_note, "");
    cloud_done(&c);
}

static void renewed_in_the_same_form(void **state)
{
    WITH(THERE("bin", "\"b\"", "other", "4"), THERE("xml", "\"x\"", "other", "4"), MANIFEST("5", IO_A), MANIFEST("4", IO_A_TOO),
         COPY("bin", "If-Match: \"b\""), COPY("xml", "If-Match: \"x\""));
    assert_ok(legacy_renew(&errand, &rec, &err), err);
    assert_string_equal(rec.legacy_note, "");
    cloud_done(&c);
}

static void left_in_another_form(void **state)
{
    WITH(THERE("bin", "\"b\"", "other", "4"), THERE("xml", "\"x\"", "other", "4"), MANIFEST("5", IO_A), MANIFEST("4", IO_B));
    assert_ok(legacy_renew(&errand, &rec, &err), err);
    assert_has(rec.legacy_note, "stay at version 4: version 5 has other inputs or outputs");
    cloud_done(&c);
}

static void left_when_the_former_form_is_lost(void **state)
{
    WITH(THERE("bin", "\"b\"", "other", "4"), THERE("xml", "\"x\"", "other", "4"), MANIFEST("5", IO_A),
         {.method = "GET", .url = OF("4", "manifest.json"), .status = 404});
    assert_ok(legacy_renew(&errand, &rec, &err), err);
    assert_has(rec.legacy_note, "stay at version 4");
    cloud_done(&c);
}

/* Not even the absent half of a foreign pair. */
static void a_foreign_file_stays(void **state)
{
    WITH(ABSENT("bin"), FOREIGN("xml", "\"x\""));
    assert_ok(legacy_renew(&errand, &rec, &err), err);
    assert_has(rec.legacy_note, "were not written by this one and stay as they are");
    cloud_done(&c);
}

static void replaced_when_the_operator_says_so(void **state)
{
    WITH(FOREIGN("bin", "\"b\""), THERE("xml", "\"x\"", "other", "4"), COPY("bin", "If-Match: \"b\""), COPY("xml", "If-Match: \"x\""));
    controller.legacy_replace = true;
    assert_ok(legacy_renew(&errand, &rec, &err), err);
    assert_string_equal(rec.legacy_note, "");
    cloud_done(&c);
}

/* Killed between the two. */
static void half_done_goes_on(void **state)
{
    WITH(THERE("bin", "\"b\"", "screws-0412", "5"), ABSENT("xml"), COPY("xml", "If-None-Match: *"));
    assert_ok(legacy_renew(&errand, &rec, &err), err);
    cloud_done(&c);
}

static void done_is_done(void **state)
{
    WITH(THERE("bin", "\"b\"", "screws-0412", "5"), THERE("xml", "\"x\"", "screws-0412", "5"));
    assert_ok(legacy_renew(&errand, &rec, &err), err);
    cloud_done(&c);
}

/* Who was late finds a newer one, also when it may replace anything. */
static void never_back(void **state)
{
    WITH(THERE("bin", "\"b\"", "newer", "6"),
         {.method = "HEAD", .url = OF("6", "manifest.json"), .status = 200, .reply = {"x-ms-meta-job: newer"}},
         THERE("xml", "\"x\"", "other", "4"));
    controller.legacy_replace = true;
    assert_ok(legacy_renew(&errand, &rec, &err), err);
    cloud_done(&c);
}

/* A higher number that this line never had, or had from another job, is no newer version. */
static void a_number_of_another_line_is_told(void **state)
{
    WITH(THERE("bin", "\"b\"", "of-line-b", "9"), {.method = "HEAD", .url = OF("9", "manifest.json"), .status = 404},
         THERE("xml", "\"x\"", "of-line-b", "6"),
         {.method = "HEAD", .url = OF("6", "manifest.json"), .status = 200, .reply = {"x-ms-meta-job: newer"}});
    assert_ok(legacy_renew(&errand, &rec, &err), err);
    assert_has(rec.legacy_note, "were not written by this one and stay as they are");
    cloud_done(&c);
}

static void the_same_number_of_another_line_stays(void **state)
{
    WITH(THERE("bin", "\"b\"", "of-line-b", "5"), THERE("xml", "\"x\"", "of-line-b", "5"));
    assert_ok(legacy_renew(&errand, &rec, &err), err);
    assert_has(rec.legacy_note, "were not written by this one and stay as they are");
    cloud_done(&c);
}

static void other_lines_have_none(void **state)
{
    struct controller controller = {0};
    struct errand errand = {.c = &controller};
    struct err err = {0};
    AUTO_RECORD rec = {0};
    (void)state;
    sample_record(&rec);
    assert_ok(legacy_renew(&errand, &rec, &err), err);
}

/* Somebody keeps the file from being written: tried for as long as publishing may take, and then told. */
static void what_cannot_be_written_is_told_at_last(void **state)
{
    WITH(ABSENT("bin"), ABSENT("xml"), LEASED("bin"), ABSENT("bin"), ABSENT("xml"), LEASED("bin"), ABSENT("bin"), ABSENT("xml"),
         LEASED("bin"), ABSENT("bin"), ABSENT("xml"), LEASED("bin"));
    assert_int_not_equal(legacy_renew(&errand, &rec, &err), OK);
    assert_string_equal(rec.legacy_note, "");
    rec.state.model_since_s -= rec.terms.publish_wait_s;
    assert_ok(legacy_renew(&errand, &rec, &err), err);
    assert_has(rec.legacy_note, "could not be renewed");
    cloud_done(&c);
}

/* The repeated attempt meets our own copy; were it given up now, a .bin would stay beside the .xml of another model. */
static void a_lost_reply_leaves_no_half_pair(void **state)
{
    WITH(THERE("bin", "\"b\"", "other", "4"), THERE("xml", "\"x\"", "other", "4"), MANIFEST("5", IO_A), MANIFEST("4", IO_A),
         {.method = "HEAD", .url = OF("5", "model.bin"), .status = 200, .reply = {"ETag: \"s\""}},
         {.method = "PUT", .url = ROOT("bin"), .status = 412, .answer = "<Error><Code>ConditionNotMet</Code></Error>"},
         THERE("bin", "\"c\"", "screws-0412", "5"), THERE("xml", "\"x\"", "other", "4"), MANIFEST("5", IO_A), MANIFEST("4", IO_A),
         COPY("xml", "If-Match: \"x\""));
    rec.state.model_since_s -= rec.terms.publish_wait_s;
    assert_ok(legacy_renew(&errand, &rec, &err), err);
    assert_string_equal(rec.legacy_note, "");
    cloud_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_when_absent),
        cmocka_unit_test(renewed_in_the_same_form),
        cmocka_unit_test(left_in_another_form),
        cmocka_unit_test(left_when_the_former_form_is_lost),
        cmocka_unit_test(a_foreign_file_stays),
        cmocka_unit_test(replaced_when_the_operator_says_so),
        cmocka_unit_test(half_done_goes_on),
        cmocka_unit_test(done_is_done),
        cmocka_unit_test(never_back),
        cmocka_unit_test(a_number_of_another_line_is_told),
        cmocka_unit_test(the_same_number_of_another_line_stays),
        cmocka_unit_test(other_lines_have_none),
        cmocka_unit_test(what_cannot_be_written_is_told_at_last),
        cmocka_unit_test(a_lost_reply_leaves_no_half_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
