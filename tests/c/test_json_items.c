/* Long lists from a stream: however the bytes are cut, the same elements come, and the rest is whole. */
#include "test.h"

#include "base/json_items.h"

static void add(struct str *seen, const struct json *value)
{
    AUTO_STR text = STR_MAX(4096);
    json_put_value(&text, NULL, value);
    str_add(seen, str_c(&text));
}

static void note(void *ctx, const struct json *item)
{
    struct str *seen = ctx;
    add(seen, item);
    str_add(seen, "|");
}

/* Feeds the text in pieces of so many bytes; what came stands in seen, the rest behind a `#`. */
static enum err_code read(const char *text, size_t len, size_t piece, struct str *seen, struct err *err)
{
    AUTO_ITEMS r = {0};
    AUTO_JSON rest = NULL;
    json_items_start(&r, note, seen);
    for (size_t at = 0; at < len; at += piece)
        json_items_feed(&r, text + at, len - at < piece ? len - at : piece);
    enum err_code code = json_items_end(&r, &rest, err);
    str_add(seen, "#");
    if (code == OK)
        add(seen, rest);
    return code;
}

static void every_cut_gives_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *text, *seen;
    } rows[] = {
        {"{\"value\":[{\"a\":1}, {\"b\":[{\"c\":\"}],{\"}]} ,\n{\"d\":\"\\\"\"}],\"nextLink\":\"x,y\"}",
         "{\"a\":1}|{\"b\":[{\"c\":\"}],{\"}]}|{\"d\":\"\\\"\"}|#{\"value\":[],\"nextLink\":\"x,y\"}"},
        {" { \"n\" : { \"a\" : [ {\"k\":1}, 2 ] }, \"value\" : [ ] } ", "#{\"n\":{\"a\":[{\"k\":1},2]},\"value\":[]}"},
        {"{\"a\":[[1],{}],\"b\":[{}]}", "[1]|{}|{}|#{\"a\":[],\"b\":[]}"},
        {"{}", "#{}"},
        {"{\"k\":\"\\\\\",\"value\":[{\"q\":\"a\\\\\"}]}", "{\"q\":\"a\\\\\"}|#{\"k\":\"\\\\\",\"value\":[]}"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t piece = 1; piece <= strlen(rows[i].text); piece++) {
            AUTO_STR seen = STR_MAX(4096);
            struct err err = {0};
            assert_ok(read(rows[i].text, strlen(rows[i].text), piece, &seen, &err), err);
            assert_string_equal(str_c(&seen), rows[i].seen);
        }
}

static void what_is_not_such_a_text_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "{",
        "[",
        "{\"value\":[{\"a\":1}",
        "{\"value\":[{\"a\":",
        "{\"value\":[{\"a\" 1}]}",
        "{\"value\":[{\"a\":1}]}}",
        "<html></html>",
        "{\"value\":[{\"a\":1,\"a\":2}]}",
        "{\"value\":[{\"a\":\"\x80\"}]}",
        "]]]]",
        "{\"value\":[{\"a\":1]}]}",
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t piece = 1; piece < 4; piece++) {
            AUTO_STR seen = STR_MAX(4096);
            struct err err = {0};
            if (read(rows[i], strlen(rows[i]), piece, &seen, &err) != ERR_INPUT || !err.msg[0])
                fail_msg("not refused: %s", rows[i]);
        }
}

static void an_element_or_a_rest_without_end_is_refused(void **state)
{
    (void)state;
    static char text[200 * 1024];
    static const char *const heads[] = {"{\"value\":[{\"a\":\"", "{\"a\":\""};
    for (size_t i = 0; i < COUNT(heads); i++) {
        AUTO_STR seen = STR_MAX(4096);
        struct err err = {0};
        memset(text, 'x', sizeof text);
        memcpy(text, heads[i], strlen(heads[i]));
        memcpy(text + sizeof text - 4, i == 0 ? "\"}]}" : "xx\"}", 4);
        assert_int_equal(read(text, sizeof text, 1000, &seen, &err), ERR_TOO_LARGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_gives_the_same),
        cmocka_unit_test(what_is_not_such_a_text_is_refused),
        cmocka_unit_test(an_element_or_a_rest_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
