/* What people read about a message that was given up, and how long it is known why. */
#include "test.h"

#include "functions/failures.h"
#include "golden.h"
#include "job/lost.h"

static void title(struct str *to, const char *text)
{
    str_addf(to, "%s## %s\n", to->len > 0 ? "\n\n" : "", text);
}

static void test_texts(void **state)
{
    (void)state;
    AUTO_STR all = STR_MAX(16 * 1024);
    struct lost lost = {
        .queue = "js-queue-items",
        .shown = "a.zip:j1",
        .message_id = "0b5c",
        .why = "job j1: GET https://acct.blob.core.windows.net/jobs/record/j1.json: HTTP 503 again and again",
        .known = "There is no job `j1`: nothing was started.",
        .faults = "",
        .line = "a.zip:j1",
    };
    title(&all, "given up");
    lost_text(&lost, &all);
    title(&all, "given up by another process, nothing known, nothing to repeat");
    lost.why = lost.known = lost.line = lost.message_id = "";
    lost_text(&lost, &all);
    title(&all, "with mistakes");
    lost.faults = "E05 vm_size: `D8s` is unknown";
    lost.line = "a.zip:j1:Standard_D8s_v4";
    lost_text(&lost, &all);
    title(&all, "its job was saved");
    lost.faults = "";
    lost.saved = true;
    lost.known = "Its job is known. `j1`: running for 3 min.";
    lost_text(&lost, &all);
    title(&all, "no bell");
    lost = (struct lost){.queue = "delete-resources", .shown = "x", .message_id = "1", .why = "", .faults = ""};
    lost.known = "It is no bell: nothing was done, and nothing is lost.";
    lost_text(&lost, &all);
    str_add(&all, "\n");
    golden_same("lost.txt", &all);
}

static void note(struct failures *f, const char *text, const char *why)
{
    struct err err;
    AUTO_STR message = STR_MAX(64);
    str_add(&message, text);
    (void)err_set(&err, ERR_UNREACHABLE, "%s", why);
    failures_note(f, &message, &err);
}

static const char *why(struct failures *f, const char *text, char out[WHY_MAX])
{
    AUTO_STR message = STR_MAX(64);
    str_add(&message, text);
    return failures_find(f, &message, out) ? out : "-";
}

static void test_the_last_reason_of_each_message(void **state)
{
    (void)state;
    static struct failures f;
    char out[WHY_MAX], text[16];
    failures_init(&f);
    assert_string_equal(why(&f, "a", out), "-");
    assert_string_equal(why(&f, "", out), "-");
    note(&f, "a", "first");
    note(&f, "b", "other");
    note(&f, "a", "second");
    assert_string_equal(why(&f, "a", out), "second");
    assert_string_equal(why(&f, "b", out), "other");
    for (int i = 0; i < FAILURES_KEPT - 1; i++) {
        snprintf(text, sizeof text, "%d", i);
        note(&f, text, text);
    }
    assert_string_equal(why(&f, "a", out), "-");
    assert_string_equal(why(&f, "b", out), "other");
    assert_string_equal(why(&f, "14", out), "14");
    note(&f, "", "of nothing");
    assert_string_equal(why(&f, "", out), "of nothing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts), cmocka_unit_test(test_the_last_reason_of_each_message)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
