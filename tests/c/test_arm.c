#include "test.h"

#include "azure/arm.h"
#include "fake_http.h"
#include "vectors.h"

/* The innermost code of each sample of tests/vectors/arm_errors.json, in its order. */
static const char *const samples[][2] = {
    {"SkuNotAvailable-preflight", "SkuNotAvailable"},
    {"SkuNotAvailable-vm", "SkuNotAvailable"},
    {"QuotaExceeded-preflight", "QuotaExceeded"},
    {"Quota-regional-vm", "OperationNotAllowed"},
    {"Quota-family-vm", "OperationNotAllowed"},
    {"Quota-spot-vm", "OperationNotAllowed"},
    {"AllocationFailed-async", "AllocationFailed"},
    {"ZonalAllocationFailed-async", "ZonalAllocationFailed"},
    {"OverconstrainedAllocationRequest-async", "OverconstrainedAllocationRequest"},
    {"OverconstrainedZonalAllocationRequest-async", "OverconstrainedZonalAllocationRequest"},
    {"OSProvisioningTimedOut-async", "OSProvisioningTimedOut"},
    {"VMExtensionProvisioningError-async", "VMExtensionProvisioningError"},
    {"VM-async-op-failed", "AllocationFailed"},
    {"SpotPriceGreaterThanProvidedMaxPrice", "SpotPriceGreaterThanProvidedMaxPrice"},
    {"ResourceGroupBeingDeleted", "ResourceGroupBeingDeleted"},
    {"ResourceGroupNotFound", "ResourceGroupNotFound"},
    {"InvalidResourceGroupLocation", "InvalidResourceGroupLocation"},
    {"DeploymentActive", "DeploymentActive"},
    {"DeploymentQuotaExceeded", "DeploymentQuotaExceeded"},
    {"AuthorizationFailed", "AuthorizationFailed"},
    {"LinkedAuthorizationFailed", "LinkedAuthorizationFailed"},
    {"ExpiredAuthenticationToken", "ExpiredAuthenticationToken"},
    {"InvalidAuthenticationToken", "InvalidAuthenticationToken"},
    {"MissingSubscriptionRegistration", "MissingSubscriptionRegistration"},
    {"PlatformImageNotFound", "PlatformImageNotFound"},
    {"PublicIPCountLimitReached", "PublicIPCountLimitReached"},
    {"RequestDisallowedByPolicy", "RequestDisallowedByPolicy"},
    {"ScopeLocked", "ScopeLocked"},
    {"ConflictingOperation-vm", "OperationNotAllowed"},
    {"RetryableErrorDueToAnotherOperation", "RetryableErrorDueToAnotherOperation"},
    {"SubscriptionRequestsThrottled", "SubscriptionRequestsThrottled"},
    {"InternalServerError", "InternalServerError"},
    {"ServiceUnavailable-html", ""},
    {"SubscriptionNotFound", "SubscriptionNotFound"},
};

static void write_body(const struct json *body, struct str *to)
{
    if (json_text(body))
        str_add(to, json_text(body));
    else
        json_put_value(to, NULL, body);
}

static void every_sample_error(void **state)
{
    (void)state;
    AUTO_JSON root = vectors_load("arm_errors.json");
    assert_int_equal(json_len(root), COUNT(samples));
    assert_int_equal(COUNT(samples), 34);
    for (size_t i = 0; i < COUNT(samples); i++) {
        AUTO_STR body = STR_MAX(65536);
        struct arm_error e;
        assert_string_equal(json_get_text(json_at(root, i), "id"), samples[i][0]);
        write_body(json_get(json_at(root, i), "body"), &body);
        arm_error_read(body.p, body.len, &e);
        if (!str_is(e.code, samples[i][1]))
            fail_msg("%s: %s", samples[i][0], e.code);
        assert_true(e.message[0] != '\0' && !strpbrk(e.message, "\r\n"));
        assert_null(strstr(e.message, "{\""));
    }
}

static void sequences_hold_no_false_errors(void **state)
{
    (void)state;
    AUTO_JSON root = vectors_load("arm_lro.json");
    for (size_t i = 0; i < json_len(root); i++) {
        const struct json *steps = json_get(json_at(root, i), "steps");
        for (size_t k = 0; k < json_len(steps); k++) {
            const struct json *answer = json_get(json_at(steps, k), "res");
            AUTO_STR body = STR_MAX(65536);
            struct arm_error e;
            int64_t status = 0;
            assert_true(json_int(json_at(answer, 0), &status));
            write_body(json_at(answer, 2), &body);
            arm_error_read(body.p ? body.p : "", body.len, &e);
            assert_string_equal(e.code, status == 404 ? "ResourceGroupNotFound" : "");
        }
    }
}

static void odd_errors(void **state)
{
    (void)state;
    static const struct {
        const char *body, *code, *message;
    } cases[] = {
        {"", "", ""},
        {"null", "", ""},
        {"\"\"", "", ""},
        {"{}", "", ""},
        {"  <html><body><h1>502</h1>\n<p>Bad Gateway</p></body></html>", "", "502 Bad Gateway"},
        {"plain\r\ntext\t here", "", "plain text here"},
        {"{\"code\":\"Flat\",\"message\":\"m\"}", "Flat", "m"},
        {"\xEF\xBB\xBF{\"error\":{\"code\":\"Bom\",\"message\":\"m\"}}", "Bom", "m"},
        {"{\"error\":{\"code\":\"Outer\",\"message\":\"m\",\"innererror\":{\"code\":\"Inner\"}}}", "Inner", "m"},
        {"{\"error\":{\"code\":\"Outer\",\"message\":\"m\",\"innererror\":{\"exceptiontype\":\"x\"}}}", "Outer", "m"},
        {"{\"error\":{\"code\":\"DeploymentFailed\",\"message\":\"m\"}}", "DeploymentFailed", "m"},
        {"{\"error\":{\"code\":\"DeploymentFailed\",\"message\":\"m\",\"details\":[{\"code\":\"Conflict\",\"message\":\"c\"}]}}",
         "Conflict", "c"},
        {"{\"error\":{\"code\":\"DeploymentFailed\",\"details\":[{\"code\":\"Conflict\"},{\"code\":\"Real\",\"message\":\"r\"}]}}", "Real",
         "r"},
        {"{\"error\":{\"code\":\"Real\",\"message\":\"m\",\"details\":[{\"code\":\"BadRequest\",\"message\":\"b\"}]}}", "Real", "m"},
        {"{\"status\":\"ZonalAllocationFailed\",\"error\":{\"code\":\"\",\"message\":\"m\"}}", "ZonalAllocationFailed", "m"},
        {"{\"status\":\"Failed\",\"error\":{\"code\":\"\",\"message\":\"m\"}}", "", "m"},
        {"{\"error\":\"invalid_client\",\"error_description\":\"AADSTS1: no.\\r\\nTrace\"}", "invalid_client", "AADSTS1: no. Trace"},
        {"{\"error\":{\"code\":\"Conflict\",\"message\":\"{ broken\"}}", "Conflict", "{ broken"},
        {"{\"error\":{\"code\":7,\"message\":[],\"details\":\"x\"}}", "", ""},
        {"[{\"error\":{\"code\":\"InList\",\"message\":\"m\"}}]", "InList", "m"},
        {"{\"error\":{\"code\":\"A\",\"code\":\"B\"}}", "", "{\"error\":{\"code\":\"A\",\"code\":\"B\"}}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arm_error e;
        arm_error_read(cases[i].body, strlen(cases[i].body), &e);
        if (!str_is(e.code, cases[i].code) || !str_is(e.message, cases[i].message))
            fail_msg("case %zu: %s / %s", i, e.code, e.message);
    }
    AUTO_STR deep = STR_MAX(10000);
    struct arm_error e;
    for (int i = 0; i < 40; i++)
        str_addf(&deep, "{\"code\":\"L%d\",\"innererror\":", i);
    str_add(&deep, "null");
    for (int i = 0; i < 40; i++)
        str_add(&deep, "}");
    arm_error_read(deep.p, deep.len, &e);
    assert_string_equal(e.code, "L8");
    str_clear(&deep);
    str_add(&deep, "{\"code\":\"X\",\"message\":\"");
    for (int i = 0; i < 1000; i++)
        str_add(&deep, "\xE6\x97\xA5");
    str_add(&deep, "\"}");
    arm_error_read(deep.p, deep.len, &e);
    assert_true(strlen(e.message) > 390 && str_is_utf8(e.message, strlen(e.message)));
}

/* ---- calls ---- */

#define BASE "https://arm.example/subscriptions/sub-1/resourceGroups/"
#define V "?api-version=2024-03-01"
#define DEPLOYMENT BASE "g/providers/Microsoft.Resources/deployments/train"
#define VM BASE "g/providers/Microsoft.Compute/virtualMachines/train-vm" V "&$expand=instanceView"
#define ERROR(code) "{\"error\":{\"code\":\"" code "\",\"message\":\"text of " code "\"}}"

struct fixture {
    struct fake_clock clock;
    struct fake_http fake;
    struct arm arm;
    struct fake_step steps[20];
};

static void begin(struct fixture *f, const struct fake_step *steps, size_t count)
{
    struct identity_settings s = {
        .authority = "https://login.example", .tenant = "t", .client_id = "app", .resource = "https://arm.example"};
    f->steps[0] = (struct fake_step){
        .method = "POST", .url = "https://login.example/*", .status = 200, .answer = "{\"access_token\":\"tok\",\"expires_in\":3600}"};
    memcpy(f->steps + 1, steps, count * sizeof steps[0]);
    fake_clock_init(&f->clock);
    fake_http_init(&f->fake, &f->clock, f->steps, count + 1);
    f->arm = (struct arm){.http = &f->fake.http, .endpoint = "https://arm.example/", .subscription = "sub-1"};
    assert_int_equal(secret_set(&s.client_secret, "x", 1, NULL), OK);
    assert_int_equal(identity_open(&s, &f->fake.http, &f->arm.identity, NULL), OK);
    secret_done(&s.client_secret);
}

static void end(struct fixture *f)
{
    fake_http_used_up(&f->fake);
    identity_close(f->arm.identity);
}

#define WITH(...)                                                                                                                          \
    static const struct fake_step steps[] = {__VA_ARGS__};                                                                                 \
    static struct fixture f;                                                                                                               \
    struct err err = {0};                                                                                                                  \
    (void)state;                                                                                                                           \
    begin(&f, steps, COUNT(steps))

static void groups(void **state)
{
    WITH({.method = "GET",
          .url = BASE "g%201" V,
          .expect = {"Authorization: Bearer tok", "Accept: application/json"},
          .status = 200,
          .answer =
              "{\"location\":\"japaneast\",\"tags\":{\"owner\":\"o1\",\"Job\":\"j\"},\"properties\":{\"provisioningState\":\"Deleting\"}}"},
         {.method = "GET", .url = BASE "g" V, .status = 200, .answer = "{\"location\":\"x\"}"},
         {.method = "GET", .url = BASE "g" V, .status = 200, .answer = "<html>"},
         {.method = "GET", .url = BASE "g" V, .status = 200, .answer = "{}"},
         {.method = "PUT",
          .url = BASE "g" V,
          .expect = {"Content-Type: application/json"},
          .body = "{\"location\":\"japaneast\",\"tags\":{\"owner\":\"o\\\"1\"}}",
          .status = 201,
          .answer = "{}"},
         {.method = "PUT", .url = BASE "g" V, .status = 200, .answer = "{}"},
         {.method = "PUT", .url = BASE "g" V, .status = 409, .answer = ERROR("ResourceGroupBeingDeleted")});
    struct arm_group g;
    assert_ok(arm_group_get(&f.arm, "g 1", &g, &err), err);
    assert_string_equal(g.location, "japaneast");
    assert_string_equal(g.state, "Deleting");
    assert_string_equal(arm_group_tag(&g, "job"), "j");
    assert_string_equal(arm_group_tag(&g, "none"), "");
    assert_ok(arm_group_get(&f.arm, "g", &g, &err), err);
    assert_int_equal(g.tags, 0);
    assert_int_equal(arm_group_get(&f.arm, "g", &g, &err), ERR_UNREACHABLE);
    assert_int_equal(arm_group_get(&f.arm, "g", &g, &err), ERR_UNREACHABLE);
    struct arm_group want = {.location = "japaneast", .tags = 1, .tag = {{"owner", "o\"1"}}};
    bool created = false;
    assert_ok(arm_group_put(&f.arm, "g", &want, &created, &err), err);
    assert_true(created);
    assert_ok(arm_group_put(&f.arm, "g", &want, &created, &err), err);
    assert_false(created);
    assert_int_equal(arm_group_put(&f.arm, "g", &want, &created, &err), ERR_CONFLICT);
    assert_string_equal(err.remote, "ResourceGroupBeingDeleted");
    assert_string_equal(err.msg, "text of ResourceGroupBeingDeleted");
    end(&f);
}

static void only_a_code_proves_absence(void **state)
{
    WITH({.method = "GET", .url = BASE "g" V, .status = 404, .answer = ERROR("ResourceGroupNotFound")},
         {.method = "GET", .url = BASE "g" V, .status = 404, .answer = ERROR("SubscriptionNotFound")},
         {.method = "GET", .url = BASE "g" V, .status = 404, .answer = "<html>not here</html>"},
         {.method = "GET", .url = BASE "g" V, .status = 404},
         {.method = "GET", .url = BASE "g" V, .status = 404, .answer = ERROR("PlatformImageNotFound")},
         {.method = "GET", .url = BASE "g" V, .status = 403, .answer = ERROR("AuthorizationFailed")},
         {.method = "GET", .url = BASE "g" V, .status = 400, .answer = ERROR("ResourceGroupNotFound")},
         {.method = "GET",
          .url = BASE "g" V,
          .status = 429,
          .reply = {"Retry-After: 40"},
          .answer = ERROR("SubscriptionRequestsThrottled")});
    static const enum err_code want[] = {ERR_ABSENT,  ERR_REFUSED, ERR_REFUSED, ERR_REFUSED,
                                         ERR_REFUSED, ERR_REFUSED, ERR_REFUSED, ERR_UNREACHABLE};
    struct arm_group g;
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_int_equal(arm_group_get(&f.arm, "g", &g, &err), want[i]);
        assert_int_equal(err.http_status, steps[i].status);
        if (i == 3)
            assert_string_equal(err.msg, "GET " BASE "g: HTTP 404 without a reason");
    }
    assert_string_equal(err.remote, "SubscriptionRequestsThrottled");
    end(&f);
}

static void deleting(void **state)
{
#define DELETE_URL BASE "g" V "&forceDeletionTypes=Microsoft.Compute%2FvirtualMachines"
    WITH({.method = "DELETE", .url = DELETE_URL, .status = 202}, {.method = "DELETE", .url = DELETE_URL, .status = 200},
         {.method = "DELETE", .url = DELETE_URL, .status = 404, .answer = ERROR("ResourceGroupNotFound")},
         {.method = "DELETE", .url = DELETE_URL, .status = 409, .answer = ERROR("ResourceGroupBeingDeleted")},
         {.method = "DELETE", .url = DELETE_URL, .status = 409, .answer = ERROR("ScopeLocked")},
         {.method = "DELETE", .url = DELETE_URL, .status = 404, .answer = ERROR("SubscriptionNotFound")});
    for (int i = 0; i < 4; i++)
        assert_ok(arm_group_delete(&f.arm, "g", i % 2 ? NULL : &err), err);
    assert_int_equal(arm_group_delete(&f.arm, "g", &err), ERR_CONFLICT);
    assert_string_equal(err.remote, "ScopeLocked");
    assert_int_equal(arm_group_delete(&f.arm, "g", &err), ERR_REFUSED);
    end(&f);
}

static void deployments(void **state)
{
    WITH({.method = "PUT",
          .url = DEPLOYMENT V,
          .expect = {"Content-Type: application/json"},
          .body = "{\"properties\":{}}",
          .status = 201,
          .answer = "{}"},
         {.method = "PUT", .url = DEPLOYMENT V, .status = 409, .answer = ERROR("DeploymentActive")},
         {.method = "PUT",
          .url = DEPLOYMENT V,
          .status = 400,
          .answer = "{\"error\":{\"code\":\"InvalidTemplateDeployment\",\"message\":\"w\",\"details\":[{\"code\":\"QuotaExceeded\","
                    "\"message\":\"q\"}]}}"},
         {.method = "GET", .url = DEPLOYMENT V, .status = 200, .answer = "{\"properties\":{\"provisioningState\":\"Accepted\"}}"},
         {.method = "GET", .url = DEPLOYMENT V, .status = 200, .answer = "{\"properties\":{\"provisioningState\":\"succeeded\"}}"},
         {.method = "GET", .url = DEPLOYMENT V, .status = 200, .answer = "{\"properties\":{\"provisioningState\":\"Canceled\"}}"},
         {.method = "GET",
          .url = DEPLOYMENT V,
          .status = 200,
          .answer = "{\"properties\":{\"provisioningState\":\"Failed\",\"error\":{\"code\":\"DeploymentFailed\",\"message\":\"m\","
                    "\"details\":[{\"code\":"
                    "\"Conflict\",\"message\":\"{\\r\\n \\\"error\\\": {\\\"code\\\": \\\"AllocationFailed\\\", \\\"message\\\": "
                    "\\\"full\\\"}}\"}]}}}"},
         {.method = "GET", .url = DEPLOYMENT V, .status = 200, .answer = "{\"properties\":{}}"},
         {.method = "GET", .url = DEPLOYMENT V, .status = 404, .answer = ERROR("DeploymentNotFound")},
         {.method = "POST", .url = DEPLOYMENT "/cancel" V, .body = "", .status = 204},
         {.method = "POST", .url = DEPLOYMENT "/cancel" V, .status = 409, .answer = ERROR("DeploymentCannotBeCancelled")},
         {.method = "POST", .url = DEPLOYMENT "/cancel" V, .status = 404, .answer = ERROR("DeploymentNotFound")},
         {.method = "POST", .url = DEPLOYMENT "/cancel" V, .status = 403, .answer = ERROR("AuthorizationFailed")});
    struct arm_deployment d;
    assert_ok(arm_deployment_put(&f.arm, "g", "train", "{\"properties\":{}}", 17, &err), err);
    assert_ok(arm_deployment_put(&f.arm, "g", "train", "{}", 2, NULL), err);
    assert_int_equal(arm_deployment_put(&f.arm, "g", "train", "{}", 2, &err), ERR_REFUSED);
    assert_string_equal(err.remote, "QuotaExceeded");
    assert_string_equal(err.msg, "q");
    static const enum arm_state want[] = {ARM_RUNNING, ARM_SUCCEEDED, ARM_CANCELED, ARM_FAILED};
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_ok(arm_deployment_get(&f.arm, "g", "train", &d, &err), err);
        assert_int_equal(d.state, want[i]);
    }
    assert_string_equal(d.error.code, "AllocationFailed");
    assert_string_equal(d.error.message, "full");
    assert_int_equal(arm_deployment_get(&f.arm, "g", "train", &d, &err), ERR_UNREACHABLE);
    assert_int_equal(arm_deployment_get(&f.arm, "g", "train", &d, &err), ERR_ABSENT);
    for (int i = 0; i < 3; i++)
        assert_ok(arm_deployment_cancel(&f.arm, "g", "train", &err), err);
    assert_int_equal(arm_deployment_cancel(&f.arm, "g", "train", &err), ERR_REFUSED);
    end(&f);
}

static void machines(void **state)
{
    WITH({.method = "GET",
          .url = VM,
          .status = 200,
          .answer = "{\"properties\":{\"vmId\":\"5555\",\"provisioningState\":\"Succeeded\",\"instanceView\":{\"statuses\":[{\"code\":"
                    "\"ProvisioningState/succeeded\"},{\"code\":\"PowerState/deallocated\"}]}}}"},
         {.method = "GET", .url = VM, .status = 200, .answer = "{\"properties\":{\"vmId\":\"5555\",\"provisioningState\":\"Creating\"}}"},
         {.method = "GET", .url = VM, .status = 404, .answer = ERROR("ResourceNotFound")},
         {.method = "GET", .url = VM, .status = 200, .answer = "[]"});
    struct arm_vm vm;
    assert_ok(arm_vm_get(&f.arm, "g", "train-vm", &vm, &err), err);
    assert_string_equal(vm.vm_id, "5555");
    assert_string_equal(vm.power, "deallocated");
    assert_int_equal(vm.state, ARM_SUCCEEDED);
    assert_ok(arm_vm_get(&f.arm, "g", "train-vm", &vm, &err), err);
    assert_string_equal(vm.power, "");
    assert_int_equal(vm.state, ARM_RUNNING);
    assert_int_equal(arm_vm_get(&f.arm, "g", "train-vm", &vm, &err), ERR_ABSENT);
    assert_int_equal(arm_vm_get(&f.arm, "g", "train-vm", &vm, &err), ERR_UNREACHABLE);
    end(&f);
}

static void subscriptions(void **state)
{
#define LIST "https://arm.example/subscriptions?api-version=2022-12-01"
    WITH({.method = "GET", .url = LIST, .status = 200, .answer = "{\"value\":[{\"subscriptionId\":\"s-1\",\"displayName\":\"One\"}]}"},
         {.method = "GET", .url = LIST, .status = 200, .answer = "{\"value\":[]}"},
         {.method = "GET",
          .url = LIST,
          .status = 200,
          .answer =
              "{\"value\":[{\"subscriptionId\":\"s-1\",\"displayName\":\"One\"},{\"subscriptionId\":\"s-2\",\"displayName\":\"Two\"}]}"},
         {.method = "GET", .url = LIST, .status = 200, .answer = "{}"});
    char id[64] = "";
    assert_ok(arm_only_subscription(&f.arm, id, &err), err);
    assert_string_equal(id, "s-1");
    assert_int_equal(arm_only_subscription(&f.arm, id, &err), ERR_INPUT);
    assert_has(err.msg, "sees no subscription");
    assert_int_equal(arm_only_subscription(&f.arm, id, &err), ERR_INPUT);
    assert_string_equal(err.msg,
                        "the app's identity sees 2 subscriptions: s-1 (One), s-2 (Two). Set AZURE_SUBSCRIPTION_ID to the one to use");
    assert_int_equal(arm_only_subscription(&f.arm, id, &err), ERR_UNREACHABLE);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_sample_error),
                                       cmocka_unit_test(sequences_hold_no_false_errors),
                                       cmocka_unit_test(odd_errors),
                                       cmocka_unit_test(groups),
                                       cmocka_unit_test(only_a_code_proves_absence),
                                       cmocka_unit_test(deleting),
                                       cmocka_unit_test(deployments),
                                       cmocka_unit_test(machines),
                                       cmocka_unit_test(subscriptions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
