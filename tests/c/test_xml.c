#include "test.h"

#include "base/str.h"
#include "base/xml.h"

struct seen {
    char text[1000];
    size_t len;
    int stop_after; /* elements; 0: never */
    int elements;
};

static _Bool note(void *ctx, const char *path, const char *text)
{
    struct seen *s = ctx;
    s->len += (size_t)snprintf(s->text + s->len, sizeof s->text - s->len, "%s=%s|", path, text);
    return ++s->elements != s->stop_after;
}

static void reads(void **state)
{
    (void)state;
    static const struct {
        const char *xml, *want;
    } cases[] = {
        {"<a/>", "a=|"},
        {"\xEF\xBB\xBF<?xml version=\"1.0\" "
         "encoding=\"utf-8\"?><Error><Code>BlobNotFound</Code><Message>No.\nRequestId:1</Message></Error>",
         "Error/Code=BlobNotFound|Error/Message=No.\nRequestId:1|Error=|"},
        {"<a>x<b>y</b>z<c/>w</a>", "a/b=y|a/c=|a=xzw|"},
        {"<a>&lt;&amp;&gt;&quot;&apos;&#x65E5;<![CDATA[<raw>]]></a>", "a=<&>\"'\xE6\x97\xA5<raw>|"},
        {"<L><Blobs><Blob><Name>a &amp; b</Name></Blob><Blob><Name>c</Name></Blob></Blobs><NextMarker/></L>",
         "L/Blobs/Blob/Name=a & b|L/Blobs/Blob=|L/Blobs/Blob/Name=c|L/Blobs/Blob=|L/Blobs=|L/NextMarker=|L=|"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct seen s = {0};
        struct err err;
        assert_ok(xml_read(cases[i].xml, strlen(cases[i].xml), note, &s, &err), err);
        assert_string_equal(s.text, cases[i].want);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "text",
                                      "<a>",
                                      "<a></b>",
                                      "<a/><b/>",
                                      "<a>&unknown;</a>",
                                      "<a>\x01</a>",
                                      "<a>\xFF</a>",
                                      "<!DOCTYPE a><a/>",
                                      "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
                                      "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct seen s = {0};
        struct err err = {0};
        if (xml_read(bad[i], strlen(bad[i]), note, &s, &err) != ERR_INPUT)
            fail_msg("taken: %s", bad[i]);
        if (strstr(bad[i], "DOCTYPE"))
            assert_has(err.msg, "DOCTYPE");
    }
    AUTO_STR deep = STR_MAX(1000);
    struct seen s = {0};
    struct err err;
    for (int i = 0; i < 30; i++)
        str_add(&deep, "<a>");
    assert_int_equal(xml_read(str_c(&deep), deep.len, note, &s, &err), ERR_INPUT);
    assert_has(err.msg, "deeply");
}

static _Bool measure(void *ctx, const char *path, const char *text)
{
    size_t *len = ctx;
    (void)path;
    *len = strlen(text);
    return str_is_utf8(text, *len);
}

static void cuts_long_text(void **state)
{
    (void)state;
    AUTO_STR xml = STR_MAX(20000);
    struct err err;
    size_t len = 0;
    str_add(&xml, "<a>x");
    for (int i = 0; i < 5000; i++)
        str_add(&xml, "\xE6\x97\xA5");
    str_add(&xml, "</a>");
    assert_ok(xml_read(str_c(&xml), xml.len, measure, &len, &err), err);
    assert_true(len > 4000 && len <= 4096);
}

static void stops(void **state)
{
    (void)state;
    struct seen s = {.stop_after = 2};
    struct err err;
    assert_ok(xml_read("<a><b/><c/><d/></a>", 19, note, &s, &err), err);
    assert_string_equal(s.text, "a/b=|a/c=|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads), cmocka_unit_test(refuses), cmocka_unit_test(cuts_long_text),
                                       cmocka_unit_test(stops)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
