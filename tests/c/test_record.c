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

static void test_as_it_is_written_now(void **state)
{
    (void)state;
    AUTO_RECORD rec = {0};
    AUTO_STR text = STR_MAX(RECORD_BYTES_MAX);
    sample_record(&rec);
    record_write(&text, &rec);
    golden_same("record.json", &text);
}

/* This file never changes: it is what the first version wrote, and what lies in storage somewhere. */
static void test_version_1_as_it_was_first_written_still_loads_and_steps(void **state)
{
    (void)state;
    AUTO_RECORD rec = {0}, now = {0};
    AUTO_STR text = STR_MAX(RECORD_BYTES_MAX);
    struct err err = {0};
    golden_read("record.v1.json", &text);
    assert_ok(record_read(text.p, text.len, &rec, &err), err);
    sample_record(&now);
    assert_string_equal(rec.job_id, now.job_id);
    assert_true(request_same(&rec.request, &now.request));
    assert_string_equal(record_size(&rec), "Standard_D8s_v4");
    assert_string_equal(record_region(&rec), "japaneast");
    assert_int_equal(rec.request.vm_sizes.count, 1);
    assert_int_equal(rec.request.regions.count, 1); /* its location */
    assert_int_equal(rec.state.deadline_s, now.state.deadline_s);
    struct job_seen seen = {.manifest = NO, .reported = NO, .vm = YES, .status = YES, .heartbeat_s = rec.state.machine_since_s};
    assert_int_equal(job_step(&rec.terms, &rec.state, &seen, rec.state.machine_since_s + 60).state.machine, MACHINE_RUNNING);
    seen.at_s = rec.state.deadline_s;
    assert_int_equal(job_step(&rec.terms, &rec.state, &seen, rec.state.deadline_s).state.outcome, OUTCOME_TIMED_OUT);
    seen.vm = NO;
    seen.at_s = rec.state.machine_since_s + 60;
    rec.state.lost_since_s = seen.at_s - GONE_AGAIN_S;
    assert_int_equal(job_step(&rec.terms, &rec.state, &seen, seen.at_s).state.reason, REASON_GONE);
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
        cmocka_unit_test(test_as_it_is_written_now),
        cmocka_unit_test(test_version_1_as_it_was_first_written_still_loads_and_steps),
        cmocka_unit_test(test_what_is_not_a_record_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
