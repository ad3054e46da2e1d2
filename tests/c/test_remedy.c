/* What an ARM error asks for, over every kept sample of one. */
#include "test.h"

#include "azure/arm.h"
#include "job/remedy.h"
#include "vectors.h"

static enum job_remedy of(const char *code, int status)
{
    struct err err = {.code = status == 409 ? ERR_CONFLICT : ERR_REFUSED, .http_status = status};
    str_copy(err.remote, sizeof err.remote, code);
    return remedy_of(&err);
}

static void test_table(void **state)
{
    (void)state;
    assert_int_equal(of("SkuNotAvailable", 400), REMEDY_NO);
    assert_int_equal(of("ResourceGroupBeingDeleted", 409), REMEDY_WAIT);
    assert_int_equal(of("AuthorizationFailed", 403), REMEDY_NO);
    assert_int_equal(of("SomethingNew", 400), REMEDY_NO);
    assert_int_equal(of("SomethingNew", 503), REMEDY_WAIT);
    assert_int_equal(of("", 429), REMEDY_WAIT);
    assert_int_equal(of("foreign", 409), REMEDY_NO);
    struct err silent = {.code = ERR_UNREACHABLE};
    assert_int_equal(remedy_of(&silent), REMEDY_WAIT);
}

static void test_every_sample_has_a_remedy_and_final_ones_end_the_job(void **state)
{
    (void)state;
    struct json *samples = vectors_load("arm_errors.json");
    for (size_t i = 0; i < json_len(samples); i++) {
        const struct json *sample = json_at(samples, i);
        struct arm_error found = {0};
        AUTO_STR body = STR_MAX(65536);
        if (json_type(json_get(sample, "body")) == JSON_STRING)
            str_add(&body, json_get_text(sample, "body"));
        else
            json_put_value(&body, NULL, json_get(sample, "body"));
        arm_error_read(body.p, body.len, &found);
        int status = (int)json_get_int(sample, "status", 0);
        if (status >= 400 && status < 500 && status != 429 && status != 409)
            assert_int_equal(of(found.code, status), REMEDY_NO);
        if (status >= 500 || status == 429)
            assert_int_equal(of(found.code, status), REMEDY_WAIT);
    }
    json_free(samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table),
                                       cmocka_unit_test(test_every_sample_has_a_remedy_and_final_ones_end_the_job)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
