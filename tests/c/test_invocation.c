/* What the Functions host sends: the tables of its protocol. */
#include "test.h"

#include "base/json.h"
#include "server/invocation.h"

#define META ",\"Metadata\":{\"DequeueCount\":\"1\",\"Id\":\"\\\"800ae4b3\\\"\",\"sys\":{\"MethodName\":\"q\"}}}"

struct example {
    const char *row, *body;
    bool binary;
    const char *text; /* NULL: refused */
    size_t len;
};
#define T(text) text, sizeof(text) - 1

static const struct example examples[] = {
    {"a default", "{\"Data\":{\"item\":\"\\\"hello\\\"\"}" META, false, T("hello")},
    {"a binary", "{\"Data\":{\"item\":\"aGVsbG8=\"}" META, true, T("hello")},
    {"b default",
     "{\"Data\":{\"item\":\"\\\"{\\\\\\\"id\\\\\\\":7,\\\\\\\"o\\\\\\\":{\\\\\\\"k\\\\\\\":1},\\\\\\\"t\\\\\\\":[1]}\\\"\"}" META, false,
     T("{\"id\":7,\"o\":{\"k\":1},\"t\":[1]}")},
    {"b binary", "{\"Data\":{\"item\":\"eyJpZCI6NywibyI6eyJrIjoxfSwidCI6WzFdfQ==\"}" META, true, T("{\"id\":7,\"o\":{\"k\":1},\"t\":[1]}")},
    {"c default", "{\"Data\":{\"item\":\"\\\"42\\\"\"}" META, false, T("42")},
    {"c binary", "{\"Data\":{\"item\":\"NDI=\"}" META, true, T("42")},
    {"c quoted default", "{\"Data\":{\"item\":\"\\\"\\\\\\\"quoted\\\\\\\"\\\"\"}" META, false, T("\"quoted\"")},
    {"c quoted binary", "{\"Data\":{\"item\":\"InF1b3RlZCI=\"}" META, true, T("\"quoted\"")},
    {"empty default", "{\"Data\":{\"item\":\"\\\"\\\"\"}" META, false, T("")},
    {"empty binary", "{\"Data\":{\"item\":\"\"}" META, true, T("")},
    {"d binary", "{\"Data\":{\"item\":\"//4=\"}" META, true, T("\xff\xfe")},
    {"NUL in binary", "{\"Data\":{\"item\":\"YQBi\"}" META, true, T("a\0b")},
    {"whole example default", "{\"Data\":{\"item\":\"\\\"hello \\\\\\\"Ann\\\\\\\"\\\\nna\u00efve\\\"\"}" META, false,
     T("hello \"Ann\"\nna\u00efve")},
    {"whole example binary", "{\"Data\":{\"item\":\"aGVsbG8gIkFubiIKbmHDr3Zl\"}" META, true, T("hello \"Ann\"\nna\u00efve")},
    {"escape chain", "{\"Data\":{\"item\":\"\\\"a\\\\\\\"b\\\\\\\\c\\\\t\u00e9\U0001F600/\\\"\"}" META, false,
     T("a\"b\\c\t\u00e9\U0001F600/")},
    {"surrogates outside", "{\"Data\":{\"item\":\"\\\"\\ud83d\\ude00\\\"\"}" META, false, T("\U0001F600")},
    {"surrogates inside", "{\"Data\":{\"item\":\"\\\"\\\\ud83d\\\\ude00\\\"\"}" META, false, T("\U0001F600")},
    {"encoded once (docs)", "{\"Data\":{\"item\":\"a.zip:j1\"}" META, false, T("a.zip:j1")},
    {"binary declared, text sent", "{\"Data\":{\"item\":\"a.zip:j1\"}" META, true, T("a.zip:j1")},
    {"binary declared, text sent twice encoded", "{\"Data\":{\"item\":\"\\\"a.zip\\\"\"}" META, true, T("a.zip")},
    {"object", "{\"Data\":{\"item\":{\"v\":1,\"zip\":\"a.zip\"}}" META, false, T("{\"v\":1,\"zip\":\"a.zip\"}")},
    {"number", "{\"Data\":{\"item\":42}" META, false, T("42")},
    {"null", "{\"Data\":{\"item\":null}" META, false, T("")},
    {"lone quote", "{\"Data\":{\"item\":\"\\\"\"}" META, false, T("\"")},
    {"no JSON inside the quotes", "{\"Data\":{\"item\":\"\\\"a\\\\qb\\\"\"}" META, false, T("\"a\\qb\"")},
    {"other order, unknown keys",
     "{\"X\":[{}],\"Metadata\":{\"more\":{\"a\":[1]},\"Id\":\"\\\"800ae4b3\\\"\",\"DequeueCount\":1},\"Data\":{\"y\":1,\"item\":\"aGk=\"}}",
     true, T("hi")},
    {"no binding", "{\"Data\":{\"other\":\"aGk=\"}" META, true, NULL, 0},
    {"no Data", "{\"Metadata\":{}}", true, NULL, 0},
    {"not an object", "[1]", true, NULL, 0},
    {"not JSON", "Data=1", true, NULL, 0},
    {"empty body", "", true, NULL, 0},
};

static void test_examples(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        const struct example *e = &examples[i];
        struct invocation inv = {0};
        struct err err = {0};
        enum err_code code = invocation_parse(e->body, strlen(e->body), "item", e->binary, &inv, &err);
        if (!e->text) {
            assert_int_equal(code, ERR_INPUT);
            assert_true(err.msg[0] != '\0');
        } else if (code != OK || inv.text.len != e->len || memcmp(str_c(&inv.text), e->text, e->len) != 0) {
            fail_msg("%s: %s `%s`", e->row, err.msg, str_c(&inv.text));
        } else {
            assert_string_equal(inv.message_id, "800ae4b3");
            assert_int_equal(inv.dequeue_count, 1);
        }
        invocation_done(&inv);
    }
}

static void test_metadata(void **state)
{
    (void)state;
    static const struct {
        const char *metadata, *id;
        int count;
    } rows[] = {
        {"{\"Id\":\"abc\",\"DequeueCount\":\"2\"}", "abc", 2},
        {"{\"Id\":7,\"DequeueCount\":3}", "7", 3},
        {"{\"Id\":\"\\\"7\\\"\",\"DequeueCount\":\"\\\"99\\\"\"}", "7", 99},
        {"{}", "", 0},
        {"{\"Id\":null,\"DequeueCount\":\"many\"}", "", 0},
        {"{\"Id\":{},\"DequeueCount\":-1}", "", 0},
        {"null", "", 0},
        {"{\"Id\":\"0123456789012345678901234567890123456789012345678901234567890123456789\"}",
         "012345678901234567890123456789012345678901234567890123456789012", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char body[512];
        snprintf(body, sizeof body, "{\"Data\":{\"item\":\"\"},\"Metadata\":%s}", rows[i].metadata);
        struct invocation inv = {0};
        assert_int_equal(invocation_parse(body, strlen(body), "item", true, &inv, NULL), OK);
        assert_string_equal(inv.message_id, rows[i].id);
        assert_int_equal(inv.dequeue_count, rows[i].count);
        invocation_done(&inv);
    }
}

static void test_timer(void **state)
{
    (void)state;
    const char *body = "{\"Data\":{\"timer\":{\"Schedule\":{\"AdjustForDST\":true},\"ScheduleStatus\":null,\"IsPastDue\":false}},"
                       "\"Metadata\":{\"sys\":{}}}";
    struct invocation inv = {0};
    assert_int_equal(invocation_parse(body, strlen(body), NULL, false, &inv, NULL), OK);
    assert_int_equal(inv.text.len, 0);
    invocation_done(&inv);
}

static void test_answer(void **state)
{
    (void)state;
    AUTO_STR with = STR_MAX(1024);
    AUTO_STR without = STR_MAX(1024);
    invocation_answer(&with, "job `j1` \"accepted\"\n");
    invocation_answer(&without, NULL);
    assert_string_equal(str_c(&with), "{\"Outputs\":{},\"Logs\":[\"job `j1` \\\"accepted\\\"\\n\"],\"ReturnValue\":null}");
    assert_string_equal(str_c(&without), "{\"Outputs\":{},\"Logs\":[],\"ReturnValue\":null}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples), cmocka_unit_test(test_metadata), cmocka_unit_test(test_timer),
                                       cmocka_unit_test(test_answer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
