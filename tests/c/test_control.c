/* What reaches a machine at work: written once however often it is tried, and never back to an earlier time. */
#include "test.h"

#include "cloud.h"
#include "controller/control.h"
#include "sample.h"

#define URL BLOB_HOST "/job-files/control/screws-0412.json"
#define OURS "{\"v\":1,\"deadline_s\":1767254500,\"train_until_s\":1767251620}"
#define WITH(...)                                                                                                                          \
    static const struct fake_step steps[] = {__VA_ARGS__};                                                                                 \
    struct cloud c;                                                                                                                        \
    struct err err = {0};                                                                                                                  \
    AUTO_RECORD rec = {0};                                                                                                                 \
    (void)state;                                                                                                                           \
    cloud_init(&c, steps, COUNT(steps));                                                                                                   \
    sample_record(&rec);                                                                                                                   \
    struct controller controller = {.storage = c.storage};                                                                                 \
    struct errand errand = {.c = &controller}
#define GET(...)                                                                                                                           \
    {                                                                                                                                      \
        .method = "GET", .url = URL, __VA_ARGS__                                                                                           \
    }
#define PUT(condition, answer_status, ...)                                                                                                 \
    {                                                                                                                                      \
        .method = "PUT", .url = URL, .expect = {condition}, .body = OURS, .status = (answer_status), __VA_ARGS__                           \
    }

static void the_first_word(void **state)
{
    WITH(GET(.status = 404), PUT("If-None-Match: *", 201));
    assert_ok(control_write(&errand, &rec, &err), err);
    cloud_done(&c);
}

static void twice_is_once(void **state)
{
    WITH(GET(.status = 200, .reply = {"ETag: \"1\""}, .answer = OURS));
    assert_ok(control_write(&errand, &rec, &err), err);
    cloud_done(&c);
}

static void an_earlier_time_is_moved_on(void **state)
{
    WITH(GET(.status = 200, .reply = {"ETag: \"1\""}, .answer = "{\"v\":1,\"deadline_s\":1767254499,\"train_until_s\":1}"),
         PUT("If-Match: \"1\"", 201));
    assert_ok(control_write(&errand, &rec, &err), err);
    cloud_done(&c);
}

/* Two drives: the one that was late has the older record. */
static void a_later_time_stays(void **state)
{
    WITH(GET(.status = 200, .reply = {"ETag: \"1\""}, .answer = "{\"v\":1,\"deadline_s\":1767258100,\"train_until_s\":1767255220}"));
    assert_ok(control_write(&errand, &rec, &err), err);
    cloud_done(&c);
}

static void whoever_is_faster_is_read_again(void **state)
{
    WITH(GET(.status = 404), PUT("If-None-Match: *", 409, .answer = "<Error><Code>BlobAlreadyExists</Code></Error>"),
         GET(.status = 200, .reply = {"ETag: \"2\""}, .answer = "{\"v\":1,\"deadline_s\":5}"),
         PUT("If-Match: \"2\"", 412, .answer = "<Error><Code>ConditionNotMet</Code></Error>"),
         GET(.status = 200, .reply = {"ETag: \"3\""}, .answer = OURS));
    assert_ok(control_write(&errand, &rec, &err), err);
    cloud_done(&c);
}

static void what_is_not_ours_is_written_over(void **state)
{
    WITH(GET(.status = 200, .reply = {"ETag: \"1\""}, .answer = "later, please"), PUT("If-Match: \"1\"", 201),
         GET(.status = 200, .reply = {"ETag: \"2\""}, .answer = "{\"v\":1,\"deadline_s\":1767312101}"), PUT("If-Match: \"2\"", 201));
    assert_ok(control_write(&errand, &rec, &err), err);
    assert_ok(control_write(&errand, &rec, &err), err); /* beyond the hard stop */
    cloud_done(&c);
}

static void a_failure_is_told(void **state)
{
    WITH(GET(.status = 403, .answer = "<Error><Code>AuthorizationFailure</Code></Error>"));
    assert_int_equal(control_write(&errand, &rec, &err), ERR_REFUSED);
    cloud_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_word),
        cmocka_unit_test(twice_is_once),
        cmocka_unit_test(an_earlier_time_is_moved_on),
        cmocka_unit_test(a_later_time_stays),
        cmocka_unit_test(whoever_is_faster_is_read_again),
        cmocka_unit_test(what_is_not_ours_is_written_over),
        cmocka_unit_test(a_failure_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
