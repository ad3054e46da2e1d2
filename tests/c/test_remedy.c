/* What an ARM error asks for, over every kept sample of one. */
#include "test.h"

#include "azure/arm.h"
#include "job/remedy.h"
#include "vectors.h"

static enum job_remedy of_text(const char *code, int status, const char *text)
{
    struct err err = {.code = status == 409 ? ERR_CONFLICT : ERR_REFUSED, .http_status = status};
    str_copy(err.remote, sizeof err.remote, code);
    str_copy(err.msg, sizeof err.msg, text);
    return remedy_of(&err);
}

static enum job_remedy of(const char *code, int status)
{
    return of_text(code, status, "");
}

static void test_table(void **state)
{
    (void)state;
    assert_int_equal(of("SkuNotAvailable", 400), REMEDY_SIZE);
    assert_int_equal(of("AllocationFailed", 200), REMEDY_SIZE);
    assert_int_equal(of("OSProvisioningTimedOut", 200), REMEDY_BOOT);
    assert_int_equal(of("AzureSpotFeatureNotEnabledForSubscription", 409), REMEDY_NO_SPOT);
    assert_int_equal(of("PublicIPCountLimitReached", 400), REMEDY_REGION);
    assert_int_equal(of("ResourceGroupBeingDeleted", 409), REMEDY_WAIT);
    assert_int_equal(of("AuthorizationFailed", 403), REMEDY_NO);
    assert_int_equal(of("SomethingNew", 400), REMEDY_NO);
    assert_int_equal(of("SomethingNew", 503), REMEDY_WAIT);
    assert_int_equal(of("", 429), REMEDY_WAIT);
    assert_int_equal(of("foreign", 409), REMEDY_NO);
    struct err silent = {.code = ERR_UNREACHABLE};
    assert_int_equal(remedy_of(&silent), REMEDY_WAIT);
}

/* The same code asks for different things; the text tells which. */
static void test_quota_by_its_text(void **state)
{
    (void)state;
    static const struct {
        const char *code, *text;
        enum job_remedy remedy;
    } rows[] = {
        {"QuotaExceeded", "exceeding approved Total Regional Cores quota", REMEDY_REGION},
        {"QuotaExceeded", "exceeding approved standardDSv5Family Cores quota", REMEDY_SIZE},
        {"QuotaExceeded", "exceeding approved LowPriorityCores quota", REMEDY_ON_DEMAND},
        {"OperationNotAllowed", "exceeding approved Total Regional Cores quota", REMEDY_REGION},
        {"OperationNotAllowed", "exceeding approved standardDSv5Family Cores quota", REMEDY_SIZE},
        {"OperationNotAllowed", "exceeding approved LowPriorityCores quota", REMEDY_ON_DEMAND},
        {"OperationNotAllowed", "another operation is in progress", REMEDY_WAIT},
        {"InvalidParameter", "The requested VM size X is not available in the current region.", REMEDY_SIZE},
        {"InvalidParameter", "adminUsername is not allowed", REMEDY_NO},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(of_text(rows[i].code, 409, rows[i].text), rows[i].remedy);
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
            assert_true(of_text(found.code, status, found.message) > REMEDY_WAIT);
        if (status >= 500 || status == 429)
            assert_int_equal(of(found.code, status), REMEDY_WAIT);
    }
    json_free(samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_quota_by_its_text),
                                       cmocka_unit_test(test_every_sample_has_a_remedy_and_final_ones_end_the_job)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
