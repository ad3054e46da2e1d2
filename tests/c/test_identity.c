#include "test.h"

#include <pthread.h>
#include <unistd.h>

#include "azure/identity.h"
#include "fake_http.h"

#define TOKEN_URL "https://login.example/ten%20ant/oauth2/v2.0/token"
#define FORM                                                                                                                               \
    "grant_type=client_credentials&client_id=app-1&scope=https%3A%2F%2Fmanagement.azure.com%2F.default&client_secret=s~%2B%2F%3D%26%25"
#define SIGN_IN(token, seconds)                                                                                                            \
    {                                                                                                                                      \
        .method = "POST", .url = TOKEN_URL, .body = FORM, .expect = {"Content-Type: application/x-www-form-urlencoded", "!Authorization"}, \
        .status = 200, .answer = "{\"token_type\":\"Bearer\",\"expires_in\":" seconds ",\"access_token\":\"" token "\"}"                   \
    }
#define ASK(token, code)                                                                                                                   \
    {                                                                                                                                      \
        .method = "GET", .url = "https://arm/x", .expect = {"Authorization: Bearer " token}, .status = code                                \
    }

struct fixture {
    struct fake_clock clock;
    struct fake_http fake;
    struct identity *id;
};

static struct identity_settings settings(void)
{
    struct identity_settings s = {
        .authority = "https://login.example/", .tenant = "ten ant", .client_id = "app-1", .resource = "https://management.azure.com/"};
    assert_int_equal(secret_set(&s.client_secret, "s~+/=&%", 7, NULL), OK);
    return s;
}

static void begin(struct fixture *f, const struct fake_step *steps, size_t count)
{
    struct identity_settings s = settings();
    struct err err;
    fake_clock_init(&f->clock);
    fake_http_init(&f->fake, &f->clock, steps, count);
    assert_ok(identity_open(&s, &f->fake.http, &f->id, &err), err);
    secret_done(&s.client_secret);
}

static enum err_code ask(struct fixture *f, struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    http_request_init(&req, "GET", f->clock.mono_ms + 60000);
    str_add(&req.url, "https://arm/x");
    req.auth = identity_authorizer(f->id);
    return http_send(&f->fake.http, &req, &res, err);
}

static void end(struct fixture *f)
{
    fake_http_used_up(&f->fake);
    identity_close(f->id);
}

static void caches_and_refreshes_early(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {SIGN_IN("t1", "3600"), ASK("t1", 200), ASK("t1", 200), SIGN_IN("t2", "\"3600\""),
                                             ASK("t2", 200)};
    struct fixture f;
    struct err err;
    begin(&f, steps, COUNT(steps));
    assert_ok(ask(&f, &err), err);
    f.clock.now_s += 3600 - 301;
    assert_ok(ask(&f, &err), err);
    f.clock.now_s += 1;
    assert_ok(ask(&f, &err), err);
    end(&f);
}

static void failed_refresh_keeps_the_living_token(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {
        SIGN_IN("t1", "3600"),
        ASK("t1", 200),
        {.method = "POST", .url = TOKEN_URL, .status = 400, .answer = "{\"error\":\"x\"}"},
        ASK("t1", 200),
        ASK("t1", 200), /* no second try at once */
        {.method = "POST", .url = TOKEN_URL, .status = 400, .answer = "{\"error\":\"x\"}"},
        ASK("t1", 200),
        {.method = "POST", .url = TOKEN_URL, .status = 400, .answer = "{\"error\":\"x\"}"}, /* really expired now */
        SIGN_IN("t2", "3600"),
        ASK("t2", 200),
    };
    struct fixture f;
    struct err err;
    begin(&f, steps, COUNT(steps));
    assert_ok(ask(&f, &err), err);
    f.clock.now_s += 3400;
    assert_ok(ask(&f, &err), err);
    assert_ok(ask(&f, &err), err);
    f.clock.now_s += 31;
    assert_ok(ask(&f, &err), err);
    f.clock.now_s += 200;
    assert_int_equal(ask(&f, &err), ERR_REFUSED);
    assert_ok(ask(&f, &err), err);
    end(&f);
}

static void refused_token_is_renewed_once(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {SIGN_IN("t1", "3600"), ASK("t1", 401),        SIGN_IN("t2", "3600"), ASK("t2", 200),
                                             ASK("t2", 401),        SIGN_IN("t3", "3600"), ASK("t3", 401)};
    struct fixture f;
    struct err err;
    begin(&f, steps, COUNT(steps));
    assert_ok(ask(&f, &err), err);
    assert_ok(ask(&f, &err), err); /* 401 twice: the caller's to explain */
    end(&f);
}

static void a_newer_token_stays(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {SIGN_IN("t1", "3600"), ASK("t1", 200), ASK("t1", 200)};
    struct fixture f;
    struct err err;
    begin(&f, steps, COUNT(steps));
    assert_ok(ask(&f, &err), err);
    AUTO_REQUEST old = {0};
    http_request_init(&old, "GET", 0);
    http_set(&old.headers, "Authorization", "Bearer t0"); /* a request that was sent before */
    struct http_authorizer a = identity_authorizer(f.id);
    assert_true(a.renew(a.ctx, &old));
    assert_ok(ask(&f, &err), err);
    end(&f);
}

static void refusals_are_final_and_explained(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {
        {.method = "POST",
         .url = TOKEN_URL,
         .status = 401,
         .answer =
             "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid client secret provided.\\r\\nTrace ID: 1\","
             "\"error_codes\":[7000215]}"},
        {.method = "POST", .url = TOKEN_URL, .status = 400, .answer = "<html>"},
        {.method = "POST", .url = TOKEN_URL, .status = 400, .answer = "{\"error\":\"invalid_request\"}"},
        {.method = "POST", .url = TOKEN_URL, .status = 200, .answer = "{\"access_token\":\"t\"}"},
        {.method = "POST", .url = TOKEN_URL, .status = 200, .answer = "{\"access_token\":\"\",\"expires_in\":1}"},
        {.method = "POST", .url = TOKEN_URL, .status = 200, .answer = "{\"access_token\":\"t\",\"expires_in\":\"1x\"}"},
        {.method = "POST", .url = TOKEN_URL, .status = 200, .answer = "{\"access_token\":\"t\\r\\nX: y\",\"expires_in\":3600}"},
    };
    static const struct {
        enum err_code code;
        const char *msg;
    } want[] = {{ERR_REFUSED, "cannot sign in as app app-1: AADSTS7000215: Invalid client secret provided."},
                {ERR_REFUSED, "cannot sign in as app app-1: HTTP 400"},
                {ERR_REFUSED, "cannot sign in as app app-1: invalid_request"},
                {ERR_UNREACHABLE, "cannot sign in as app app-1: the answer holds no token"},
                {ERR_UNREACHABLE, "cannot sign in as app app-1: the answer holds no token"},
                {ERR_UNREACHABLE, "cannot sign in as app app-1: the answer holds no token"},
                {ERR_INPUT, "GET https://arm/x: a header cannot be sent (too many, too long or with a line end)"}};
    struct fixture f;
    struct err err;
    begin(&f, steps, COUNT(steps));
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_int_equal(ask(&f, &err), want[i].code);
        assert_string_equal(err.msg, want[i].msg);
        if (want[i].code == ERR_REFUSED) {
            assert_string_equal(err.remote, "sign_in");
            assert_true(err.http_status >= 400);
        }
    }
    end(&f);
}

static void outages_are_tried_again(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {{.method = "POST", .url = TOKEN_URL},
                                             {.method = "POST", .url = TOKEN_URL, .status = 500},
                                             {.method = "POST", .url = TOKEN_URL, .status = 429, .reply = {"Retry-After: 1"}},
                                             SIGN_IN("t1", "3600"),
                                             ASK("t1", 200),
                                             {.method = "POST", .url = TOKEN_URL, .takes_ms = 31000}};
    struct fixture f;
    struct err err;
    begin(&f, steps, COUNT(steps));
    assert_ok(ask(&f, &err), err);
    f.clock.now_s += 4000;
    assert_int_equal(ask(&f, &err), ERR_UNREACHABLE);
    assert_has(err.msg, "cannot sign in as app app-1: POST " TOKEN_URL ": no answer");
    end(&f);
}

static void settings_are_checked(void **state)
{
    (void)state;
    struct identity *id = NULL;
    struct err err;
    struct http http = {0};
    struct identity_settings s = settings();
    str_copy(s.authority, sizeof s.authority, "http://login.example");
    assert_int_equal(identity_open(&s, &http, &id, &err), ERR_INPUT);
    secret_done(&s.client_secret);
    s = settings();
    s.tenant[0] = '\0';
    assert_int_equal(identity_open(&s, &http, &id, &err), ERR_INPUT);
    secret_done(&s.client_secret);
    s = settings();
    secret_done(&s.client_secret);
    assert_int_equal(identity_open(&s, &http, &id, &err), ERR_INPUT);
    assert_null(id);
    identity_close(NULL);
}

/* ---- managed identities ---- */

#define APP_URL "http://169.254.129.2:8081/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fmanagement.azure.com%2F&client_id=mine"
#define VM_URL "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F"
#define START_S 1767225600 /* of the fake clock */

static void begin_managed(struct fixture *f, enum identity_kind kind, const struct fake_step *steps, size_t count)
{
    struct identity_settings s = {.kind = kind, .resource = "https://management.azure.com"};
    struct err err;
    str_copy(s.endpoint, sizeof s.endpoint, kind == IDENTITY_APP ? "http://169.254.129.2:8081/msi/token" : IMDS_ENDPOINT);
    if (kind == IDENTITY_APP) {
        str_copy(s.client_id, sizeof s.client_id, "mine");
        assert_int_equal(secret_set(&s.header, "sentinel", 8, NULL), OK);
    }
    fake_clock_init(&f->clock);
    assert_int_equal(f->clock.now_s, START_S);
    fake_http_init(&f->fake, &f->clock, steps, count);
    assert_ok(identity_open(&s, &f->fake.http, &f->id, &err), err);
    secret_done(&s.header);
}

static void an_app_asks_the_platform(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {
        {.method = "GET",
         .url = APP_URL,
         .expect = {"X-IDENTITY-HEADER: sentinel", "!Authorization", "!Metadata"},
         .status = 200,
         .answer = "{\"access_token\":\"t1\",\"expires_on\":\"1767229200\",\"token_type\":\"Bearer\"}"}, /* in an hour */
        {.method = "GET", .url = "https://arm/x", .expect = {"Authorization: Bearer t1", "!X-IDENTITY-HEADER"}, .status = 200},
        ASK("t1", 200),
        {.method = "GET", .url = APP_URL, .status = 404}, /* not there yet */
        {.method = "GET", .url = APP_URL, .status = 200, .answer = "{\"access_token\":\"t2\",\"expires_on\":1767300000}"},
        ASK("t2", 200),
    };
    struct fixture f;
    struct err err;
    begin_managed(&f, IDENTITY_APP, steps, COUNT(steps));
    assert_ok(ask(&f, &err), err);
    f.clock.now_s += 3600 - 301;
    assert_ok(ask(&f, &err), err);
    f.clock.now_s += 1;
    assert_ok(ask(&f, &err), err);
    end(&f);
}

static void a_vm_asks_its_metadata_service(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {
        {.method = "GET", .url = VM_URL, .status = 410}, /* it is being updated */
        {.method = "GET", .url = VM_URL, .status = 410},
        {.method = "GET", .url = VM_URL, .status = 410},
        {.method = "GET", .url = VM_URL, .status = 410},
        {.method = "GET", .url = VM_URL, .status = 410},
        {.method = "GET", .url = VM_URL, .status = 404},
        {.method = "GET",
         .url = VM_URL,
         .expect = {"Metadata: true", "!X-IDENTITY-HEADER"},
         .status = 200, /* the length is that of a fresh token, the end is true */
         .answer = "{\"access_token\":\"t1\",\"expires_in\":\"86400\",\"expires_on\":\"1767229200\"}"},
        ASK("t1", 200),
        {.method = "GET", .url = VM_URL, .status = 200, .answer = "{\"access_token\":\"t2\",\"expires_in\":\"3600\"}"},
        ASK("t2", 200),
    };
    struct fixture f;
    struct err err;
    begin_managed(&f, IDENTITY_VM, steps, COUNT(steps));
    assert_ok(ask(&f, &err), err);
    f.clock.now_s = START_S + 3600 - 299;
    assert_ok(ask(&f, &err), err);
    end(&f);
}

static void managed_refusals_are_explained(void **state)
{
    (void)state;
    static const struct {
        int status;
        enum err_code code;
        const char *answer, *msg;
    } rows[] = {
        {400, ERR_REFUSED, "{\"statusCode\":400,\"message\":\"Unable to load requested managed identity.\",\"correlationId\":\"1\"}",
         "cannot sign in with the managed identity mine of this app: Unable to load requested managed identity."},
        {401, ERR_REFUSED, "{\"error\":{\"code\":\"x\",\"message\":\"wrong header\"}}",
         "cannot sign in with the managed identity mine of this app: wrong header"},
        {400, ERR_REFUSED, "{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}",
         "cannot sign in with the managed identity mine of this app: Identity not found"},
        {403, ERR_REFUSED, "", "cannot sign in with the managed identity mine of this app: HTTP 403"},
        {307, ERR_REFUSED, "", "cannot sign in with the managed identity mine of this app: HTTP 307"}, /* the header goes nowhere else */
        {200, ERR_UNREACHABLE, "{\"access_token\":\"t\",\"expires_on\":\"1767225600\"}", "the answer holds no token"},
        {200, ERR_UNREACHABLE, "{\"access_token\":\"t\",\"expires_on\":\"soon\"}", "the answer holds no token"},
        {200, ERR_UNREACHABLE, "{\"access_token\":\"t\"}", "the answer holds no token"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct fake_step steps[] = {{.method = "GET", .url = APP_URL, .status = rows[i].status, .answer = rows[i].answer}};
        struct fixture f;
        struct err err;
        begin_managed(&f, IDENTITY_APP, steps, COUNT(steps));
        assert_int_equal(ask(&f, &err), rows[i].code);
        assert_has(err.msg, rows[i].msg);
        assert_null(strstr(err.msg, "sentinel"));
        end(&f);
    }
}

static void an_outage_of_the_platform_is_no_refusal(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {{.method = "GET", .url = APP_URL, .status = 404},
                                             {.method = "GET", .url = APP_URL, .status = 404},
                                             {.method = "GET", .url = APP_URL, .status = 404},
                                             {.method = "GET", .url = APP_URL, .status = 500},
                                             {.method = "GET", .url = APP_URL, .status = 404}};
    struct fixture f;
    struct err err;
    begin_managed(&f, IDENTITY_APP, steps, COUNT(steps));
    assert_int_equal(ask(&f, &err), ERR_UNREACHABLE);
    assert_has(err.msg, "GET http://169.254.129.2:8081/msi/token: HTTP 404 again and again");
    end(&f);
}

/* The header is a secret: in clear it goes to addresses that no router passes on, and IMDS is one address. */
static void managed_settings_are_checked(void **state)
{
    (void)state;
    static const struct {
        enum identity_kind kind;
        const char *endpoint;
        bool good;
    } rows[] = {
        {IDENTITY_APP, "http://127.0.0.1:41741/msi/token/", true},
        {IDENTITY_APP, "http://10.0.0.4/x", true},
        {IDENTITY_APP, "https://platform/x?a=b", true},
        {IDENTITY_APP, "http://172.15.0.1/", false},
        {IDENTITY_APP, "http://172.32.0.1/", false},
        {IDENTITY_APP, "http://192.169.0.1/", false},
        {IDENTITY_APP, "http://169.254.1.1@evil/", false},
        {IDENTITY_APP, "http://169.254.1.1:1@evil/", false},
        {IDENTITY_APP, "http://169.254.1.1.evil/", false},
        {IDENTITY_APP, "", false},
        {IDENTITY_VM, "http://169.254.169.254", true},
        {IDENTITY_VM, "http://127.0.0.1:99", true},
        {IDENTITY_VM, "http://169.254.169.253", false},
        {IDENTITY_VM, "http://10.0.0.4", false},
        {IDENTITY_VM, "", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct identity_settings s = {.kind = rows[i].kind};
        assert_int_equal(secret_set(&s.header, "sentinel", 8, NULL), OK);
        str_copy(s.endpoint, sizeof s.endpoint, rows[i].endpoint);
        if ((sign_in_check(&s, NULL) == OK) != rows[i].good)
            fail_msg("%s", rows[i].endpoint);
        secret_done(&s.header);
    }
    struct identity_settings s = {.kind = IDENTITY_APP, .endpoint = "http://127.0.0.1/"};
    assert_int_equal(sign_in_check(&s, NULL), ERR_INPUT);
}

/* ---- many threads, real clock: one sign-in, and all get its token ---- */

static int sign_ins;
static pthread_mutex_t count_lock = PTHREAD_MUTEX_INITIALIZER;

static enum err_code slow_send(void *ctx, const struct http_request *req, int64_t limit_ms, struct http_response *res, struct err *err)
{
    (void)ctx, (void)limit_ms, (void)err;
    res->status = 200;
    if (str_is(req->method, "GET"))
        return str_is(http_get(&req->headers, "Authorization"), "Bearer t1") ? OK : ERR_INTERNAL;
    (void)pthread_mutex_lock(&count_lock);
    sign_ins++;
    (void)pthread_mutex_unlock(&count_lock);
    (void)usleep(50000);
    str_add(&res->body, "{\"expires_in\":3599,\"access_token\":\"t1\"}");
    return OK;
}

static const struct http slow_http = {.transport = {.send = slow_send}, .clock = &clock_system};

static void *one_caller(void *id)
{
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    http_request_init(&req, "GET", clock_mono_ms(&clock_system) + 20000);
    str_add(&req.url, "https://arm/x");
    req.auth = identity_authorizer(id);
    return http_send(&slow_http, &req, &res, NULL) == OK ? id : NULL;
}

static void one_refresher_at_a_time(void **state)
{
    (void)state;
    struct identity_settings s = settings();
    struct identity *id = NULL;
    struct err err;
    pthread_t threads[8];
    assert_ok(identity_open(&s, &slow_http, &id, &err), err);
    secret_done(&s.client_secret);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, one_caller, id), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *good = NULL;
        assert_int_equal(pthread_join(threads[i], &good), 0);
        assert_non_null(good);
    }
    assert_int_equal(sign_ins, 1);
    identity_close(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(caches_and_refreshes_early),
                                       cmocka_unit_test(failed_refresh_keeps_the_living_token),
                                       cmocka_unit_test(refused_token_is_renewed_once),
                                       cmocka_unit_test(a_newer_token_stays),
                                       cmocka_unit_test(refusals_are_final_and_explained),
                                       cmocka_unit_test(outages_are_tried_again),
                                       cmocka_unit_test(settings_are_checked),
                                       cmocka_unit_test(an_app_asks_the_platform),
                                       cmocka_unit_test(a_vm_asks_its_metadata_service),
                                       cmocka_unit_test(managed_refusals_are_explained),
                                       cmocka_unit_test(an_outage_of_the_platform_is_no_refusal),
                                       cmocka_unit_test(managed_settings_are_checked),
                                       cmocka_unit_test(one_refresher_at_a_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
