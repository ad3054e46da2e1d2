/* What is known before a machine is ordered: sizes and quota, how long they are kept, and that only a fresh answer refuses. */
#include "test.h"

#include "controller/preflight.h"
#include "fake_http.h"

#define ARM "https://arm.example/subscriptions/sub-1/providers/Microsoft.Compute"
#define SKUS ARM "/skus?api-version=2021-07-01&$filter=location%20eq%20%27japaneast%27"
#define USAGES ARM "/locations/japaneast/usages?api-version=2024-03-01"
#define SIGNED                                                                                                                             \
    {                                                                                                                                      \
        "Authorization: Bearer tok"                                                                                                        \
    }
#define SKU(name, more)                                                                                                                    \
    "{\"resourceType\":\"virtualMachines\",\"name\":\"" name "\",\"family\":\"standardDSv5Family\",\"capabilities\":["                     \
    "{\"name\":\"vCPUs\",\"value\":\"8\"},{\"name\":\"LowPriorityCapable\",\"value\":\"True\"}]" more "}"
#define DISK                                                                                                                               \
    "{\"resourceType\":\"disks\",\"name\":\"Standard_D8s_v5\",\"restrictions\":[{\"type\":\"Location\",\"values\":[\"japaneast\"]}]}"
#define LIST(items) "{\"value\":[" items "]}"
#define USE(name, used, limit)                                                                                                             \
    "{\"unit\":\"Count\",\"currentValue\":" used ",\"limit\":" limit ",\"name\":{\"value\":\"" name "\",\"localizedValue\":\"words\"}}"
#define OFFERED                                                                                                                            \
    {                                                                                                                                      \
        "GET", SKUS, SIGNED, .status = 200, .answer = LIST(DISK "," SKU("Standard_D8s_v5", ",\"restrictions\":[]"))                        \
    }
#define USED(family, cores, spot)                                                                                                          \
    {                                                                                                                                      \
        "GET", USAGES, SIGNED,                                                                                                             \
            .status = 200,                                                                                                                 \
            .answer = LIST(USE("cores", cores, "10") "," USE("standardDSv5Family", family, "10") "," USE("lowPriorityCores", spot, "10"))  \
    }
#define MAX_STEPS 16

struct fixture {
    struct fake_step steps[MAX_STEPS];
    struct fake_clock clock;
    struct fake_http fake;
    struct arm arm;
    struct controller c;
};

static void begin(struct fixture *f, const struct fake_step *steps, size_t count)
{
    struct identity_settings s = {
        .authority = "https://login.example", .tenant = "t", .client_id = "app", .resource = "https://arm.example"};
    assert_true(count < MAX_STEPS);
    f->steps[0] = (struct fake_step){
        .method = "POST", .url = "https://login.example/*", .status = 200, .answer = "{\"access_token\":\"tok\",\"expires_in\":86400}"};
    memcpy(f->steps + 1, steps, count * sizeof steps[0]);
    fake_clock_init(&f->clock);
    fake_http_init(&f->fake, &f->clock, f->steps, count + 1);
    f->arm = (struct arm){.http = &f->fake.http, .endpoint = "https://arm.example/", .subscription = "sub-1"};
    assert_int_equal(secret_set(&s.client_secret, "x", 1, NULL), OK);
    assert_int_equal(identity_open(&s, &f->fake.http, &f->arm.identity, NULL), OK);
    secret_done(&s.client_secret);
    f->c = (struct controller){.clock = &f->clock.clock};
    assert_int_equal(arm_quota_open(&f->clock.clock, &f->c.quota, NULL), OK);
}

static void end(struct fixture *f)
{
    fake_http_used_up(&f->fake);
    arm_quota_close(f->c.quota);
    identity_close(f->arm.identity);
}

static enum err_code ask(struct fixture *f, bool spot, struct err *err)
{
    *err = (struct err){.code = OK};
    return preflight_machine(&f->c, &f->arm, "Standard_D8s_v5", "Japan East", spot, err);
}

#define WITH(...)                                                                                                                          \
    static const struct fake_step steps[] = {__VA_ARGS__};                                                                                 \
    static struct fixture f;                                                                                                               \
    struct err err;                                                                                                                        \
    (void)state;                                                                                                                           \
    begin(&f, steps, COUNT(steps))

static void room_is_asked_for_once(void **state)
{
    WITH(OFFERED, USED("2", "2", "10"), USED("2", "2", "10"), OFFERED, USED("2", "2", "10"));
    assert_ok(ask(&f, false, &err), err);
    f.clock.now_s += 59;
    assert_ok(ask(&f, false, &err), err);
    f.clock.now_s += 1; /* usages are kept for a minute, sizes for an hour */
    assert_ok(ask(&f, false, &err), err);
    f.clock.now_s += 3540;
    assert_ok(ask(&f, false, &err), err);
    end(&f);
}

static void a_family_without_room(void **state)
{
    WITH(OFFERED, USED("8", "2", "0"));
    assert_int_equal(ask(&f, false, &err), ERR_REFUSED);
    assert_string_equal(err.remote, "QuotaExceeded");
    assert_string_equal(err.msg, "standardDSv5Family: 8 of 10 vCPUs are used, 8 more are needed (in japaneast).");
    assert_ok(ask(&f, true, &err), err); /* Spot has a pool of its own */
    end(&f);
}

static void a_region_without_room(void **state)
{
    WITH(OFFERED, USED("0", "3", "0"));
    assert_int_equal(ask(&f, false, &err), ERR_REFUSED);
    assert_string_equal(err.remote, "QuotaExceeded");
    assert_has(err.msg, "Total Regional Cores: 3 of 10 vCPUs are used, 8 more");
    end(&f);
}

static void spot_without_room(void **state)
{
    WITH(OFFERED, USED("0", "0", "3"));
    assert_int_equal(ask(&f, true, &err), ERR_REFUSED);
    assert_string_equal(err.remote, "QuotaExceeded");
    assert_has(err.msg, "lowPriorityCores: 3 of 10");
    assert_ok(ask(&f, false, &err), err);
    end(&f);
}

/* What was full a while ago may be free now: it is asked for again before anyone is refused. */
static void only_a_fresh_no_refuses(void **state)
{
    WITH(OFFERED, USED("8", "8", "0"), OFFERED, USED("0", "0", "0"));
    assert_int_equal(ask(&f, false, &err), ERR_REFUSED);
    f.clock.now_s += 30;
    assert_ok(ask(&f, false, &err), err);
    end(&f);
}

static void a_size_that_is_not_offered(void **state)
{
    WITH({"GET", SKUS, SIGNED, .status = 200, .answer = LIST(DISK "," SKU("Standard_D4s_v5", ""))});
    assert_int_equal(ask(&f, false, &err), ERR_REFUSED);
    assert_string_equal(err.remote, "SkuNotAvailable");
    assert_has(err.msg, "Standard_D8s_v5 is not offered in japaneast");
    end(&f);
}

#define RESTRICTED(type, where)                                                                                                            \
    ",\"restrictions\":[{\"type\":\"" type "\",\"values\":[\"" where "\"],\"reasonCode\":\"NotAvailableForSubscription\"}]"
static void a_size_that_is_restricted(void **state)
{
    WITH({"GET", SKUS, SIGNED, .status = 200, .answer = LIST(SKU("Standard_D8s_v5", RESTRICTED("Location", "JapanEast")))});
    assert_int_equal(ask(&f, false, &err), ERR_REFUSED);
    assert_string_equal(err.remote, "SkuNotAvailable");
    assert_has(err.msg, "not available to this subscription in japaneast (NotAvailableForSubscription)");
    end(&f);
}

static void a_restricted_zone_or_other_region_does_not_matter(void **state)
{
    WITH({"GET", SKUS, SIGNED, .status = 200,
          .answer = LIST(SKU("Standard_D4s_v5", RESTRICTED("Location", "japaneast")) "," SKU("Standard_D8s_v5", RESTRICTED("Zone", "1")))},
         USED("0", "0", "0"),
         {"GET", SKUS, SIGNED, .status = 200, .answer = LIST(SKU("Standard_D8s_v5", RESTRICTED("Location", "eastus")))},
         USED("0", "0", "0"));
    assert_ok(ask(&f, false, &err), err);
    f.clock.now_s += 3600;
    assert_ok(ask(&f, false, &err), err);
    end(&f);
}

static void a_size_without_spot(void **state)
{
    WITH({"GET", SKUS, SIGNED, .status = 200,
          .answer = "{\"value\":[{\"resourceType\":\"virtualMachines\",\"name\":\"Standard_D8s_v5\",\"capabilities\":["
                    "{\"name\":\"vCPUs\",\"value\":\"8\"},{\"name\":\"LowPriorityCapable\",\"value\":\"False\"}]}]}"},
         USED("0", "0", "0"));
    assert_int_equal(ask(&f, true, &err), ERR_REFUSED);
    assert_string_equal(err.remote, "AzureSpotIsNotSupportedForThisVMSize");
    assert_ok(ask(&f, false, &err), err); /* no family: the region alone is looked at */
    end(&f);
}

/* A lookup that fails is no proof; nor is it tried for each machine. */
static void no_answer_is_no_proof(void **state)
{
    static const struct fake_step bad[] = {
        {"GET", SKUS, SIGNED, .status = 403, .answer = "{\"error\":{\"code\":\"AuthorizationFailed\",\"message\":\"no\"}}"},
        {"GET", SKUS, SIGNED, .status = 404, .answer = "{\"error\":{\"code\":\"ResourceGroupNotFound\",\"message\":\"no\"}}"},
        {"GET", SKUS, SIGNED, .status = 200, .answer = "{\"value\":[]}"},
        {"GET", SKUS, SIGNED, .status = 200, .answer = "{\"value\":[{\"name\":"},
        {"GET", SKUS, SIGNED, .status = 200, .answer = "{\"value\":[" DISK "],\"nextLink\":\"https://elsewhere/skus\"}"},
        {"GET", SKUS, SIGNED, .status = 200, .answer = "{\"value\":[" DISK "],\"nextLink\":\"https://arm.example.evil/skus\"}"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        static struct fixture f;
        struct err err;
        const struct fake_step steps[] = {bad[i], OFFERED, USED("0", "0", "0")};
        begin(&f, steps, COUNT(steps));
        assert_ok(ask(&f, false, &err), err);
        f.clock.now_s += 299;
        assert_ok(ask(&f, false, &err), err);
        assert_int_equal(f.fake.next, 2);
        f.clock.now_s += 1;
        assert_ok(ask(&f, false, &err), err);
        end(&f);
    }
}

static void usages_without_answer_are_no_proof(void **state)
{
    WITH(OFFERED, {"GET", USAGES, SIGNED, .status = 403, .answer = "{\"error\":{\"code\":\"AuthorizationFailed\",\"message\":\"no\"}}"});
    assert_ok(ask(&f, false, &err), err);
    end(&f);
}

static void pages_are_followed_where_arm_is(void **state)
{
    WITH({"GET", SKUS, SIGNED, .status = 200, .answer = "{\"value\":[" DISK "],\"nextLink\":\"https://arm.example/next?page=2\"}"},
         {"GET", "https://arm.example/next?page=2", SIGNED, .status = 200, .answer = LIST(SKU("Standard_D8s_v5", ""))},
         USED("8", "0", "0"));
    assert_int_equal(ask(&f, false, &err), ERR_REFUSED);
    assert_string_equal(err.remote, "QuotaExceeded");
    end(&f);
}

static void half_an_answer_is_read_again(void **state)
{
    WITH({"GET", SKUS, SIGNED, .answer = "{\"value\":[" DISK ",{\"resourceType\":\"virtualMach"}, OFFERED, USED("8", "0", "0"));
    assert_int_equal(ask(&f, false, &err), ERR_REFUSED);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_is_asked_for_once),
        cmocka_unit_test(a_family_without_room),
        cmocka_unit_test(a_region_without_room),
        cmocka_unit_test(spot_without_room),
        cmocka_unit_test(only_a_fresh_no_refuses),
        cmocka_unit_test(a_size_that_is_not_offered),
        cmocka_unit_test(a_size_that_is_restricted),
        cmocka_unit_test(a_restricted_zone_or_other_region_does_not_matter),
        cmocka_unit_test(a_size_without_spot),
        cmocka_unit_test(no_answer_is_no_proof),
        cmocka_unit_test(usages_without_answer_are_no_proof),
        cmocka_unit_test(pages_are_followed_where_arm_is),
        cmocka_unit_test(half_an_answer_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
