#include "test.h"

#include "base/str.h"

static void grows_up_to_its_maximum(void **state)
{
    (void)state;
    AUTO_STR s = STR_MAX(100);
    for (int i = 0; i < 100; i++)
        str_add(&s, "x");
    assert_int_equal(s.len, 100);
    assert_int_equal(strlen(str_c(&s)), 100);
    str_add(&s, "");
    assert_false(s.failed);
    str_add(&s, "y");
    assert_true(s.failed);
    assert_null(str_c(&s));
    assert_int_equal(s.cap, 101);
}

static void failure_sticks_until_cleared(void **state)
{
    (void)state;
    AUTO_STR s = STR_MAX(4);
    struct err err;
    str_add(&s, "12345");
    str_add(&s, "1");
    str_addf(&s, "%d", 1);
    str_add_percent(&s, "/");
    assert_true(s.failed);
    assert_int_equal(s.len, 0);
    assert_int_equal(str_check(&s, "the name", &err), ERR_MEMORY);
    assert_string_equal(err.msg, "the name is too long");
    assert_null(str_take(&s));
    str_clear(&s);
    str_addf(&s, "%s", "1234");
    assert_string_equal(str_c(&s), "1234");
    str_add(&s, NULL);
    assert_true(s.failed);
    str_clear(&s);
    str_add_xml(&s, NULL);
    assert_true(s.failed);
    AUTO_STR none = STR_MAX(0);
    assert_string_equal(str_c(&none), "");
    str_add(&none, "a");
    assert_true(none.failed);
}

static void takes_hand_over_the_text(void **state)
{
    (void)state;
    AUTO_STR s = STR_MAX(40);
    AUTO_TEXT empty = str_take(&s);
    assert_string_equal(empty, "");
    str_add(&s, "abc");
    AUTO_TEXT text = str_take(&s);
    assert_string_equal(text, "abc");
    assert_string_equal(str_c(&s), "");
    assert_int_equal(s.max, 40);
}

static void escapes(void **state)
{
    (void)state;
    AUTO_STR s = STR_MAX(200);
    str_add_percent(&s, "aZ09-._~ /?&=+%\"\xE6\x97\xA5");
    assert_string_equal(str_c(&s), "aZ09-._~%20%2F%3F%26%3D%2B%25%22%E6%97%A5");
    str_clear(&s);
    str_add_path(&s, "a b/c%");
    assert_string_equal(str_c(&s), "a%20b/c%25");
    str_clear(&s);
    str_add_xml(&s, "<a href=\"x\" b='y'>&</a>");
    assert_string_equal(str_c(&s), "&lt;a href=&quot;x&quot; b=&apos;y&apos;&gt;&amp;&lt;/a&gt;");
}

static void compares(void **state)
{
    (void)state;
    assert_true(str_is("a", "a"));
    assert_true(str_is(NULL, ""));
    assert_false(str_is("a", "A"));
    assert_true(str_is_nocase("ETag", "etag"));
    assert_false(str_is_nocase("etag", "etags"));
    assert_false(str_is_nocase("etags", "etag"));
    assert_false(str_is_nocase("[", "{")); /* differ by the letter-case bit only */
    assert_true(str_is_nocase(NULL, NULL));
    assert_true(str_starts("abc", "ab"));
    assert_false(str_starts("a", "ab"));
    assert_true(str_starts(NULL, NULL));
    assert_true(str_ends_nocase("data.ZIP", ".zip"));
    assert_false(str_ends_nocase("ip", ".zip"));
}

static void copies_whole_characters(void **state)
{
    (void)state;
    char to[6];
    str_copy(to, sizeof to, "abcde");
    assert_string_equal(to, "abcde");
    str_copy(to, sizeof to, "abcdef");
    assert_string_equal(to, "abcde");
    str_copy(to, sizeof to, "abc\xE6\x97\xA5");
    assert_string_equal(to, "abc");
    str_copy(to, sizeof to, "ab\xE6\x97\xA5");
    assert_string_equal(to, "ab\xE6\x97\xA5");
    str_copy(to, sizeof to, NULL);
    assert_string_equal(to, "");
    str_copy(to, 1, "\xE6\x97\xA5");
    assert_string_equal(to, "");
    str_copy(to, sizeof to, "AbC");
    str_lower(to);
    assert_string_equal(to, "abc");
}

static void knows_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        bool good;
    } cases[] = {
        {"", true},
        {"abc", true},
        {"\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80", true},
        {"\xF4\x8F\xBF\xBF", true},
        {"\xED\x9F\xBF\xEE\x80\x80", true},
        {"\xC0\x80", false},         /* overlong NUL */
        {"\xC1\xBF", false},         /* overlong */
        {"\xE0\x9F\xBF", false},     /* overlong */
        {"\xF0\x8F\xBF\xBF", false}, /* overlong */
        {"\xED\xA0\x80", false},     /* surrogate */
        {"\xF4\x90\x80\x80", false}, /* above U+10FFFF */
        {"\xF5\x80\x80\x80", false},
        {"\x80", false},
        {"\xE6\x97", false}, /* cut */
        {"\xE6", false},
        {"a\xFF", false},
        {"\xC3\x28", false},
        {"\xE6\x97\x41", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (str_is_utf8(cases[i].bytes, strlen(cases[i].bytes)) != cases[i].good)
            fail_msg("case %zu", i);
}

static void secrets(void **state)
{
    (void)state;
    AUTO_SECRET s = {0};
    assert_string_equal(secret_reveal(&s), "");
    assert_int_equal(secret_set(&s, "a\0b", 3, NULL), OK);
    assert_int_equal(secret_len(&s), 3);
    assert_memory_equal(secret_reveal(&s), "a\0b", 4);
    assert_int_equal(secret_set(&s, "longer than before", 18, NULL), OK);
    assert_string_equal(secret_reveal(&s), "longer than before");
    secret_done(&s);
    assert_int_equal(secret_len(&s), 0);
}

static void errors(void **state)
{
    (void)state;
    struct err err;
    char name[12];
    assert_int_equal(err_set(&err, ERR_ABSENT, "no %s", "blob"), ERR_ABSENT);
    err.http_status = 404;
    assert_int_equal(err_context(&err, "job %d", 7), ERR_ABSENT);
    assert_string_equal(err.msg, "job 7: no blob");
    assert_int_equal(err.http_status, 404);
    assert_int_equal(err_set(&err, ERR_INPUT, "again: %s", err.msg), ERR_INPUT); /* its own text as argument */
    assert_string_equal(err.msg, "again: job 7: no blob");
    assert_int_equal(err.http_status, 0);
    assert_int_equal(err_set(NULL, ERR_INPUT, "x"), ERR_INPUT);
    assert_int_equal(err_context(NULL, "x"), ERR_INTERNAL);
    for (int i = 0; i < 200; i++) /* never past the end, never half a character */
        (void)err_context(&err, "\xE6\x97\xA5%s", "");
    assert_true(str_is_utf8(err.msg, strlen(err.msg)));
    for (int code = OK; code <= ERR_INTERNAL; code++) {
        str_copy(name, sizeof name, err_name((enum err_code)code));
        assert_string_not_equal(name, "unknown");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_up_to_its_maximum),
        cmocka_unit_test(failure_sticks_until_cleared),
        cmocka_unit_test(takes_hand_over_the_text),
        cmocka_unit_test(escapes),
        cmocka_unit_test(compares),
        cmocka_unit_test(copies_whole_characters),
        cmocka_unit_test(knows_utf8),
        cmocka_unit_test(secrets),
        cmocka_unit_test(errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
