/* What Azure's lists of rights mean, and that the lists are read to their end. */
#include "test.h"

#include "azure/rights.h"
#include "fake_http.h"

#define LIST "https://arm.example/subscriptions/sub/providers/Microsoft.Authorization/permissions?api-version=2022-04-01"

static void patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *action;
        bool covers;
    } rows[] = {
        {"*", "Microsoft.Compute/virtualMachines/write", true},
        {"Microsoft.Compute/*", "microsoft.compute/VIRTUALMACHINES/write", true},
        {"*/read", "Microsoft.Compute/virtualMachines/read", true},
        {"*/read", "Microsoft.Compute/virtualMachines/write", false},
        {"Microsoft.Compute/*/write", "Microsoft.Compute/virtualMachines/extensions/write", true},
        {"Microsoft.Compute/*/write", "Microsoft.Compute/write", false},
        {"Microsoft.Compute/*/write", "Microsoft.Compute/virtualMachines/write/action", false},
        {"Microsoft.Compute/virtualMachines", "Microsoft.Compute/virtualMachines/write", false},
        {"Microsoft.Compute/virtualMachines/write", "Microsoft.Compute/virtualMachines", false},
        {"Microsoft.*/*rite*", "Microsoft.Compute/virtualMachines/write", true},
        {"", "Microsoft.Compute/virtualMachines/write", false},
        {NULL, "Microsoft.Compute/virtualMachines/write", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rights_cover(rows[i].pattern, rows[i].action) != rows[i].covers)
            fail_msg("%s", rows[i].pattern ? rows[i].pattern : "NULL");
}

struct fixture {
    struct fake_clock clock;
    struct fake_http fake;
    struct arm arm;
};

static enum err_code ask(struct fixture *f, const struct fake_step *steps, size_t count, bool allowed[2], struct err *err)
{
    static const char *const actions[] = {"Microsoft.Network/networkInterfaces/write", "Microsoft.Compute/virtualMachines/write"};
    struct identity_settings s = {.authority = "https://login.example", .tenant = "t", .client_id = "a", .resource = "https://arm.example"};
    assert_int_equal(secret_set(&s.client_secret, "s", 1, NULL), OK);
    fake_clock_init(&f->clock);
    fake_http_init(&f->fake, &f->clock, steps, count);
    f->arm = (struct arm){.http = &f->fake.http, .endpoint = "https://arm.example/", .subscription = "sub"};
    assert_ok(identity_open(&s, &f->fake.http, &f->arm.identity, err), *err);
    secret_done(&s.client_secret);
    enum err_code code = rights_read(&f->arm, actions, 2, allowed, err);
    fake_http_used_up(&f->fake);
    identity_close(f->arm.identity);
    return code;
}

#define TOKEN                                                                                                                              \
    {                                                                                                                                      \
        .method = "POST", .url = "https://login.example/t/oauth2/v2.0/token", .status = 200,                                               \
        .answer = "{\"expires_in\":3600,\"access_token\":\"t\"}"                                                                           \
    }
#define PAGE(at, text)                                                                                                                     \
    {                                                                                                                                      \
        .method = "GET", .url = at, .status = 200, .answer = text                                                                          \
    }

static void a_role_takes_away_from_itself_alone(void **state)
{
    (void)state;
    static const struct fake_step one[] = {
        TOKEN, PAGE(LIST, "{\"value\":[{\"actions\":[\"*\"],\"notActions\":[\"microsoft.network/*\"]},{\"actions\":[\"*/read\"]}]}")};
    static const struct fake_step two[] = {
        TOKEN,
        PAGE(LIST, "{\"value\":[{\"actions\":[\"*\"],\"notActions\":[\"Microsoft.Network/*\"]}],"
                   "\"nextLink\":\"https://ARM.example/subscriptions/sub/providers/x?api-version=1&$skiptoken=a\"}"),
        PAGE("https://arm.example/subscriptions/sub/providers/x?api-version=1&$skiptoken=a",
             "{\"value\":[{\"actions\":[\"Microsoft.Network/*\"],\"notActions\":[]}]}")};
    static const struct fake_step none[] = {TOKEN, PAGE(LIST, "{\"value\":[]}")};
    struct fixture f;
    struct err err;
    bool allowed[2];
    assert_ok(ask(&f, one, COUNT(one), allowed, &err), err);
    assert_false(allowed[0]);
    assert_true(allowed[1]);
    assert_ok(ask(&f, two, COUNT(two), allowed, &err), err);
    assert_true(allowed[0] && allowed[1]);
    assert_ok(ask(&f, none, COUNT(none), allowed, &err), err);
    assert_false(allowed[0] || allowed[1]);
}

static void the_token_stays_at_home(void **state)
{
    (void)state;
    static const char *const elsewhere[] = {"https://evil.example/subscriptions/sub/x", "https://arm.example/subscriptions/subway/x",
                                            "https://arm.example.evil/subscriptions/sub/x", "/subscriptions/sub/x"};
    for (size_t i = 0; i < COUNT(elsewhere); i++) {
        AUTO_STR answer = STR_MAX(1024);
        struct fixture f;
        struct err err;
        bool allowed[2];
        str_addf(&answer, "{\"value\":[],\"nextLink\":\"%s\"}", elsewhere[i]);
        const struct fake_step steps[] = {TOKEN, PAGE(LIST, str_c(&answer))};
        assert_int_equal(ask(&f, steps, COUNT(steps), allowed, &err), ERR_REFUSED);
    }
    static const struct fake_step odd[] = {TOKEN, PAGE(LIST, "{}")};
    struct fixture f;
    struct err err;
    bool allowed[2];
    assert_int_equal(ask(&f, odd, COUNT(odd), allowed, &err), ERR_UNREACHABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns),
        cmocka_unit_test(a_role_takes_away_from_itself_alone),
        cmocka_unit_test(the_token_stays_at_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
