#include "test.h"

#include <math.h>

#include "base/json.h"

static enum err_code parse(const char *text, size_t len)
{
    AUTO_JSON root = NULL;
    struct err err = {0};
    enum err_code code = json_parse(text, len, 8, &root, &err);
    assert_true(code == OK ? root != NULL : root == NULL && err.msg[0]);
    return code;
}

static void accepts(void **state)
{
    (void)state;
    static const char *const good[] = {"{}",
                                       "[]",
                                       "null",
                                       " true ",
                                       "false",
                                       "0",
                                       "-0",
                                       "1.5e+3",
                                       "\"\"",
                                       "\r\n\t{ \"a\" : [ 1 , 2 ] }\n",
                                       "\"\\u0041\\n\\/\\\\u0000\"",
                                       "\"\\ud83d\\ude00\"",
                                       "{\"a\":1,\"A\":2}",
                                       "[[[[[[[[]]]]]]]]",
                                       "\"\xE6\x97\xA5\"",
                                       "1e308",
                                       "[1,[2,{\"b\":null}]]",
                                       "\"\\\\\\\"\"",
                                       "\"\x7F\""};
    for (size_t i = 0; i < COUNT(good); i++)
        if (parse(good[i], strlen(good[i])) != OK)
            fail_msg("refused: %s", good[i]);
}

static void refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      " ",
                                      "{",
                                      "}",
                                      "[1,]",
                                      "[,1]",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{'a':1}",
                                      "{} {}",
                                      "{}x",
                                      "1 2",
                                      "nul",
                                      "nullx",
                                      "True",
                                      "01",
                                      "-",
                                      "1.",
                                      ".5",
                                      "+1",
                                      "1e",
                                      "1e+",
                                      "0x10",
                                      "NaN",
                                      "Infinity",
                                      "1e999",
                                      "-1e999",
                                      "\"",
                                      "\"a",
                                      "\"\\\"",
                                      "\"\\x\"",
                                      "\"\\u12\"",
                                      "\"\\u00g0\"",
                                      "\"\\u0000\"",
                                      "{\"a\\u0000b\":1}",
                                      "\"a\nb\"",
                                      "\"a\tb\"",
                                      "\"\x01\"",
                                      "\"\\ud800\"",
                                      "\"\\udc00\"",
                                      "\"\\ud800\\u0041\"",
                                      "\"\\ud800\\ud800\"",
                                      "\"\xFF\"",
                                      "\"\xC0\x80\"",
                                      "\"\xED\xA0\x80\"",
                                      "\xEF\xBB\xBF{}",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"b\":{\"a\":1,\"\\u0061\":2}}",
                                      "[[[[[[[[[]]]]]]]]]",
                                      "[1 2]",
                                      "{\"a\" 1}",
                                      "/* c */ 1",
                                      "[1]]",
                                      "\x0B{}",
                                      "{\"a\":1;}"};
    for (size_t i = 0; i < COUNT(bad); i++)
        if (parse(bad[i], strlen(bad[i])) != ERR_INPUT)
            fail_msg("case %zu taken: %s", i, bad[i]);
    assert_int_equal(parse("{}\0", 3), ERR_INPUT);
    assert_int_equal(parse("\"a\0b\"", 5), ERR_INPUT);
    assert_int_equal(parse("\0", 1), ERR_INPUT);
    assert_int_equal(parse(NULL, 0), ERR_INPUT);
    assert_int_equal(parse("{}garbage behind the length", 2), OK);
    assert_int_equal(parse("nullify", 4), OK);
    assert_int_equal(parse("12345", 2), OK);
}

static void refuses_deep_nesting_whatever_the_caller_says(void **state)
{
    (void)state;
    AUTO_STR deep = STR_MAX(200000);
    AUTO_JSON root = NULL;
    struct err err;
    for (int i = 0; i < 100000; i++)
        str_add(&deep, "[");
    assert_int_equal(json_parse(str_c(&deep), deep.len, 1000000, &root, &err), ERR_INPUT);
    assert_has(err.msg, "nested too deeply");
}

static void getters(void **state)
{
    (void)state;
    static const char text[] =
        "{\"Name\":1,\"name\":\"n\",\"list\":[true,false,null,\"x\"],\"p\":{\"q\":{\"r\":7}},\"big\":9007199254740991,"
        "\"bigger\":9007199254740993,\"half\":0.5,\"whole\":2.0,\"low\":-9007199254740991,\"t\":\"5\"}";
    AUTO_JSON root = NULL;
    struct err err;
    int64_t value = 0;
    double number = 0;
    assert_ok(json_parse(text, strlen(text), 8, &root, &err), err);
    assert_string_equal(json_get_text(root, "name"), "n");
    assert_string_equal(json_get_text(root, "Name"), "");
    assert_null(json_get(root, "NAME"));
    assert_int_equal(json_get_int(root, "Name", 9), 1);
    assert_int_equal(json_get_int(root, "t", 9), 9);
    assert_int_equal(json_get_int(root, "half", 9), 9);
    assert_int_equal(json_get_int(root, "whole", 9), 2);
    assert_int_equal(json_get_int(root, "absent", 9), 9);
    assert_true(json_int(json_get(root, "big"), &value) && value == 9007199254740991);
    assert_true(json_int(json_get(root, "low"), &value) && value == -9007199254740991);
    assert_false(json_int(json_get(root, "bigger"), &value));
    assert_true(json_number(json_get(root, "half"), &number) && number == 0.5);
    const struct json *list = json_get(root, "list");
    assert_int_equal(json_len(list), 4);
    assert_true(json_true(json_at(list, 0)));
    assert_false(json_true(json_at(list, 1)));
    assert_int_equal(json_type(json_at(list, 1)), JSON_BOOL);
    assert_int_equal(json_type(json_at(list, 2)), JSON_NULL);
    assert_string_equal(json_text(json_at(list, 3)), "x");
    assert_null(json_at(list, 4));
    assert_null(json_text(list));
    assert_int_equal(json_get_int(json_path(root, "p.q"), "r", 0), 7);
    assert_null(json_path(root, "p.x.r"));
    assert_null(json_path(root, "name.x"));
    assert_null(json_get(NULL, "x"));
    assert_null(json_get(list, "x"));
    assert_int_equal(json_len(NULL), 0);
    assert_int_equal(json_type(NULL), JSON_NULL);
    assert_string_equal(json_name(json_at(root, 1)), "name");
    assert_string_equal(json_name(NULL), "");
}

static void writes(void **state)
{
    (void)state;
    AUTO_STR to = STR_MAX(2000);
    json_open(&to, NULL, '{');
    json_put_text(&to, "a", "q\"b\\s/n\nt\tc\x01\x7F \xE6\x97\xA5");
    json_put_text(&to, "none", NULL);
    json_put_int(&to, "max", INT64_MAX);
    json_put_int(&to, "min", INT64_MIN);
    json_put_int(&to, "e15", 1000000000000000);
    json_open(&to, "list", '[');
    json_put_int(&to, NULL, 1);
    json_put_bool(&to, NULL, true);
    json_put_null(&to, NULL);
    json_open(&to, NULL, '{');
    json_close(&to, '}');
    json_open(&to, NULL, '[');
    json_close(&to, ']');
    json_put_text(&to, NULL, "{");
    json_put_text(&to, NULL, "x,");
    json_close(&to, ']');
    json_put_number(&to, "f", 0.1);
    json_put_number(&to, "third", 1.0 / 3);
    json_put_number(&to, "whole", 3.0);
    json_put_number(&to, "inf", INFINITY);
    json_put_number(&to, "nan", NAN);
    json_put_bool(&to, "b", false);
    json_close(&to, '}');
    assert_string_equal(str_c(&to),
                        "{\"a\":\"q\\\"b\\\\s/n\\nt\\u0009c\\u0001\\u007f \xE6\x97\xA5\",\"none\":null,\"max\":9223372036854775807,"
                        "\"min\":-9223372036854775808,\"e15\":1000000000000000,\"list\":[1,true,null,{},[],\"{\",\"x,\"],\"f\":0.1,"
                        "\"third\":0.3333333333333333,\"whole\":3,\"inf\":null,\"nan\":null,\"b\":false}");
    assert_int_equal(parse(to.p, to.len), OK);
    str_clear(&to);
    json_put_text(&to, NULL,
                  "\xFF"
                  "a\xE6\x97"
                  "b\xED\xA0\x80");
    assert_string_equal(str_c(&to), "\"\xEF\xBF\xBD"
                                    "a\xEF\xBF\xBD\xEF\xBF\xBD"
                                    "b\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
    AUTO_STR small = STR_MAX(5);
    json_open(&small, NULL, '{');
    json_put_text(&small, "name", "value");
    json_close(&small, '}');
    assert_null(str_c(&small));
}

static void writes_again_what_it_read(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,2.5,\"x\\u0001\",true,false,null,{\"b\":[]}],\"n\":1000000000000000,\"e\":{},\"d\":1e-07}";
    AUTO_JSON root = NULL;
    AUTO_STR to = STR_MAX(1000);
    struct err err;
    assert_ok(json_parse(text, strlen(text), 8, &root, &err), err);
    json_open(&to, NULL, '[');
    json_put_value(&to, NULL, root);
    json_put_value(&to, NULL, NULL);
    json_close(&to, ']');
    AUTO_STR want = STR_MAX(1000);
    str_addf(&want, "[%s,null]", text);
    assert_string_equal(str_c(&to), str_c(&want));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts), cmocka_unit_test(refuses), cmocka_unit_test(refuses_deep_nesting_whatever_the_caller_says),
        cmocka_unit_test(getters), cmocka_unit_test(writes),  cmocka_unit_test(writes_again_what_it_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
