/* What a machine printed, made fit for people; and the file that is kept about an attempt that failed. */
#include "test.h"

#include "golden.h"
#include "job/console.h"
#include "job/inquest.h"
#include "sample.h"

static void cleaned(const char *bytes, size_t len, bool cut, const char *want)
{
    AUTO_STR out = STR_MAX(16 * 1024);
    console_clean(bytes, len, cut, &out);
    assert_string_equal(str_c(&out), want);
}

static void test_clean(void **state)
{
    (void)state;
    static const struct {
        const char *from, *want;
    } rows[] = {
        {"", ""},
        {"one\r\ntwo\n", "one\ntwo\n"},
        {"no end", "no end\n"},
        {"\n\n", "\n\n"},
        {"\x1b[0;32m  OK  \x1b[0m] up\x1b[", "  OK  ] up\n"},
        {"\x1b(Bplain \x1b", "Bplain\n"},
        {"tab\there \x07 bell", "tab here   bell\n"},
        {"\xff\xfe caf\xc3\xa9", "?? caf\xc3\xa9\n"},
        {"caf\xc3\xa9", "caf\xc3\xa9\n"},
        {"GET https://x/y?sp=r&sig=abc%2Fd&se=1 failed", "GET https://x/y?sp=r&sig=***&se=1 failed\n"},
        {"AccountKey=abc;x", "AccountKey=***;x\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        cleaned(rows[i].from, strlen(rows[i].from), false, rows[i].want);
    cleaned("a\0b\n", 4, false, "a b\n");
    cleaned("alf a line\nwhole\n", 17, true, "whole\n");
    cleaned("no whole line", 13, true, "");
}

static void test_long_lines_are_cut_between_characters(void **state)
{
    (void)state;
    for (int shift = 0; shift < 3; shift++) {
        AUTO_STR line = STR_MAX(8 * 1024), out = STR_MAX(16 * 1024);
        str_addf(&line, "%.*s", shift, "xx");
        for (int i = 0; i < CONSOLE_LINE_MAX; i++)
            str_add(&line, "\xe7\x82\xb9");
        console_clean(line.p, line.len, false, &out);
        assert_true(str_is_utf8(out.p, out.len));
        assert_in_range(out.len, CONSOLE_LINE_MAX - 10, CONSOLE_LINE_MAX + 1);
        assert_null(strchr(str_c(&out), '?'));
    }
}

static void test_last_lines(void **state)
{
    (void)state;
    char out[64], small[8], long_line[400], cut[320];
    console_last("one\ntwo\n\nthree\n", 2, out, sizeof out);
    assert_string_equal(out, "two\nthree\n");
    console_last("one\ntwo", 9, out, sizeof out);
    assert_string_equal(out, "one\ntwo\n");
    console_last("", 3, out, sizeof out);
    assert_string_equal(out, "");
    console_last("\n\n\n", 3, out, sizeof out);
    assert_string_equal(out, "");
    console_last("one\ntwo\nsix\n", 9, small, sizeof small);
    assert_string_equal(small, "six\n");
    memset(long_line, 'x', sizeof long_line);
    long_line[sizeof long_line - 1] = '\0';
    console_last(long_line, 3, cut, sizeof cut);
    assert_int_equal(strlen(cut), 301);
}

static void test_inquests(void **state)
{
    (void)state;
    AUTO_STR all = STR_MAX(32 * 1024);
    AUTO_RECORD rec = {0};
    static const char STATUS[] = "{\"v\":1,\"stage\":\"train\",\"epoch\":3,\"epochs\":20,\"beat_s\":1767230000}";
    sample_record(&rec);
    rec.state.machine = MACHINE_DELETING;
    rec.state.outcome = OUTCOME_FAILED;
    rec.state.reason = REASON_REPORT;
    rec.report = (struct report){.outcome = OUTCOME_FAILED, .exit_code = 4, .stage = "export", .reason = "no IR was written"};
    str_copy(rec.vm_id, sizeof rec.vm_id, "7c2e");
    struct inquest i = {
        .now_s = 1767232000,
        .group = "train-rg-x-1",
        .status = STATUS,
        .status_len = strlen(STATUS),
        .log = "line 1\nline 2\n",
        .serial = "login:\n",
        .serial_file = "Screws-0412/serial-1.log",
        .serial_note = "",
    };
    str_add(&all, "## it reported\n");
    inquest_text(&rec, &i, &all);
    str_add(&all, "\n## it never came up, and another is tried\n");
    rec.state.outcome = OUTCOME_NONE;
    rec.state.reason = REASON_NONE;
    rec.state.ended = REASON_BOOT;
    rec.terms.boot_wait_s = 900;
    rec.report = (struct report){.outcome = OUTCOME_NONE};
    rec.vm_id[0] = '\0';
    i = (struct inquest){.now_s = 1767232000, .group = "train-rg-x-1", .status = "", .log = "", .serial = "", .serial_file = ""};
    i.serial_note = "none: POST https://management.azure.com: HTTP 500 again and again";
    inquest_text(&rec, &i, &all);
    str_add(&all, "\n## status\n");
    inquest_status("{broken", 7, &all);
    str_add(&all, "\n");
    inquest_status("{}", 2, &all);
    str_add(&all, "\n");
    golden_same("inquest.txt", &all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clean), cmocka_unit_test(test_long_lines_are_cut_between_characters),
                                       cmocka_unit_test(test_last_lines), cmocka_unit_test(test_inquests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
