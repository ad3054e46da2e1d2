/* Records are for ever: what is written is read again, and the kept example of each version still loads and steps. */
#include "test.h"

#include "golden.h"
#include "sample.h"

static void test_round_trip(void **state)
{
    (void)state;
    AUTO_RECORD rec = {0}, again = {0};
    AUTO_STR first = STR_MAX(RECORD_BYTES_MAX), second = STR_MAX(RECORD_BYTES_MAX);
    struct err err = {0};
    sample_record(&rec);
    rec.report =
        (struct report){.outcome = OUTCOME_FAILED, .exit_code = 3, .stage = "train", .reason = "it \"fell\" over", .log = "one\ntwo\n"};
    record_write(&first, &rec);
    assert_ok(record_read(first.p, first.len, &again, &err), err);
    assert_memory_equal(&again.state, &rec.state, sizeof rec.state);
    assert_memory_equal(&again.terms, &rec.terms, sizeof rec.terms);
    assert_string_equal(again.report.log, rec.report.log);
    assert_true(request_same(&again.request, &rec.request));
    record_write(&second, &again);
    assert_string_equal(str_c(&first), str_c(&second));
}

static void test_version_1_as_it_was_first_written(void **state)
{
    (void)state;
    AUTO_RECORD rec = {0};
    AUTO_STR text = STR_MAX(RECORD_BYTES_MAX);
    sample_record(&rec);
    record_write(&text, &rec);
    golden_same("record.v1.json", &text);
}

static void test_what_is_not_a_record_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "record"},
        {"[]", "version 0"},
        {"{\"v\":2,\"job_id\":\"a\"}", "version 2"},
        {"{\"v\":1}", "no job_id"},
        {"{\"v\":1,\"job_id\":\"a\",\"state\":{\"machine\":\"flying\"},\"request\":{}}", "machine"},
        {"{\"v\":1,\"job_id\":\"a\",\"state\":{\"attempt\":\"1\"},\"request\":{}}", "attempt"},
        {"{\"v\":1,\"job_id\":\"a\",\"state\":{\"attempt\":99999999999},\"request\":{}}", "attempt"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_RECORD rec = {0};
        struct err err = {0};
        assert_int_equal(record_read(rows[i].text, strlen(rows[i].text), &rec, &err), ERR_INPUT);
        assert_has(err.msg, rows[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_version_1_as_it_was_first_written),
        cmocka_unit_test(test_what_is_not_a_record_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
