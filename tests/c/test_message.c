/* Messages of js-queue-items: every example of the message format, the corrected lines. */
#include "test.h"

#include "base/clock.h"
#include "job/message.h"
#include "job/rules.h"
#include "golden.h"
#include "message_cases.h"

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const struct good *g = &good[i];
        struct message m;
        read_text(g->input, &m);
        if (m.faults > 0)
            fail_msg("%s: %s %s", g->row, m.fault[0].code, m.fault[0].text);
        check_always(g->input, &m);
        char classes[256] = "";
        for (int32_t c = 0; c < m.request.classes_count; c++)
            snprintf(classes + strlen(classes), sizeof classes - strlen(classes), "%s%s", c ? "," : "", m.request.classes[c]);
        assert_int_equal(m.action, ACTION_TRAIN);
        assert_string_equal(m.request.zip, g->zip);
        assert_string_equal(m.request.job_id, g->job_id);
        assert_string_equal(places_first(&m.request.vm_sizes), g->vm_size);
        assert_string_equal(classes, g->classes);
        assert_int_equal(m.request.epochs, g->epochs);
        assert_int_equal((int)m.request.task, g->task);
        assert_int_equal(m.request.model, g->model);
        assert_string_equal(m.request.continue_from, g->continue_from);
        assert_string_equal(m.request.line, "default");
        assert_int_equal(m.request.max_minutes, 480);
        AUTO_STR line = STR_MAX(4096); /* the line says the same */
        message_line(&m.request, &defaults, &line);
        struct message again;
        read_text(str_c(&line), &again);
        assert_int_equal(again.faults, 0);
        assert_true(request_same(&m.request, &again.request));
        assert_string_equal(m.request.job_id, again.request.job_id);
        message_done(&again);
        message_done(&m);
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct bad *b = &bad[i];
        struct message m;
        read_text(b->input, &m);
        if (m.faults != 1 || !str_is(m.fault[0].code, b->code) || !str_is(m.fault[0].field, b->field) ||
            !strstr(m.fault[0].text, b->says) || !str_is(m.corrected, b->corrected))
            fail_msg("%s: %d faults; %s [%s] %s -> %s", b->row, (int)m.faults, m.fault[0].code, m.fault[0].field, m.fault[0].text,
                     m.corrected);
        check_always(b->input, &m);
        assert_null(strstr(m.fault[0].text, "SENTINEL"));
        assert_null(strstr(m.shown, "SENTINEL"));
        message_done(&m);
    }
}

static void test_all_faults_at_once(void **state)
{
    (void)state;
    struct message m;
    const char *input = "a.tar:Keep.Me:D8s:ok,ok:0:2:9:no/pe";
    read_text(input, &m);
    const char *codes[] = {"E02", "E05", "E06", "E07", "E08", "E09"};
    assert_int_equal(m.faults, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(m.fault[i].code, codes[i]);
    check_always(input, &m);
    assert_string_equal(m.corrected, "a.zip:Keep.Me:Standard_D8s_v4:ok");
    assert_string_equal(m.request.zip, "");
    assert_string_equal(m.request.job_id, "job-853b0581"); /* the one asked for stays free */
    assert_false(m.request.job_id_given);
    message_done(&m);
}

static void test_json_only_fields(void **state)
{
    (void)state;
    struct message m;
    read_text(
        "{\"v\":1,\"zip\":\"a.zip\",\"dataset_sha256\":\"BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD\",\"max_hours\":"
        "1.7,\"line\":\"Screws\","
        "\"split\":{\"train\":0.8,\"seed\":0,\"group\":\"none\"},\"requested_by\":\"山田\",\"note\":\"line 3: camera $5 \\\"moved\\\"\"}",
        &m);
    assert_int_equal(m.faults, 0);
    assert_string_equal(m.request.dataset_sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(m.request.max_minutes, 102);
    assert_string_equal(m.request.line, "screws");
    assert_true(m.request.split_train > 0.79 && m.request.split_train < 0.81);
    assert_int_equal(m.request.split_seed, 0);
    assert_false(m.request.split_video);
    assert_string_equal(m.request.requested_by, "山田");
    assert_string_equal(m.request.note, "line 3: camera $5 \"moved\"");
    AUTO_STR line = STR_MAX(4096);
    message_line(&m.request, &defaults, &line);
    struct message again;
    read_text(str_c(&line), &again);
    assert_int_equal(again.faults, 0);
    assert_true(request_same(&m.request, &again.request));
    assert_string_equal(again.request.note, m.request.note);
    message_done(&again);
    message_done(&m);
}

static void test_notes(void **state)
{
    (void)state;
    struct message m;
    read_text("a.zip：j1：：ok，ng：３０", &m);
    assert_int_equal(m.notes_count, 3);
    message_done(&m);
    read_text("a.zip:j1", &m);
    assert_int_equal(m.notes_count, 0);
    message_done(&m);
}

static void test_default_job_id(void **state)
{
    (void)state;
    char one[JOB_ID_MAX], two[JOB_ID_MAX];
    message_default_job_id("a.zip", ID, one);
    assert_string_equal(one, default_id);
    message_default_job_id("a.zip", "another", two);
    assert_string_not_equal(one, two);
    message_default_job_id("写真.zip", ID, one);
    assert_string_equal(one, "job-853b0581");
    message_default_job_id("_Ab..c  (d)-.ZIP", ID, one);
    assert_string_equal(one, "ab.-c-d-853b0581");
    message_default_job_id("0123456789012345678901234567890123456789xyz.zip", ID, one);
    assert_string_equal(one, "0123456789012345678901234567890123456789-853b0581");
    message_next_job_id("J1", two);
    assert_string_equal(two, "J1-2");
    message_next_job_id("0123456789012345678901234567890123456789012345678901234567890123", two);
    assert_string_equal(two, "01234567890123456789012345678901234567890123456789012345678901-2");
    assert_true(rules_job_id(two));
    struct message m, redelivered;
    read_text("写真.zip", &m);
    read_text("写真.zip", &redelivered);
    assert_string_equal(m.request.job_id, redelivered.request.job_id);
    message_done(&m);
    message_done(&redelivered);
}

static void test_later_faults(void **state)
{
    (void)state;
    struct message m;
    read_text("a.zip:J1:::::3:old", &m);
    assert_int_equal(m.faults, 0);
    message_fault(&m, "E09", "refered_job_id", "`%s` has no latest.pth", "old");
    assert_string_equal(m.corrected, "a.zip:J1:::::3");
    message_fault(&m, "E10", "job_id", "`%s` belongs to another request", "J1");
    assert_string_equal(m.corrected, "a.zip:J1-2:::::3");
    message_fault(&m, "E19", "line", "line default trains another task");
    assert_int_equal(m.faults, 3);
    assert_string_equal(
        m.corrected, "{\"v\":1,\"action\":\"train\",\"dataset\":\"a.zip\",\"job_id\":\"J1-2\",\"model\":3,\"line\":\"default-detection\"}");
    assert_string_equal(m.request.job_id, default_id);
    check_always("later", &m);
    message_done(&m);
    read_text("a.zip:j1::::3:2", &m);
    message_fault(&m, "E08", "dl_type", "cannot be trained here");
    assert_string_equal(m.corrected, "a.zip:j1");
    message_done(&m);
    read_text("a.zip", &m);
    message_fault(&m, "E16", "zip", "`a.zip` is not in share `train`");
    assert_string_equal(m.corrected, "a.zip");
    message_done(&m);
}

static void test_sizes(void **state)
{
    (void)state;
    struct message m;
    AUTO_STR text = STR_MAX(200000);
    str_add(&text, "a.zip:j1::");
    for (int i = 0; i < 200; i++)
        str_addf(&text, "%sclass number %d with a very long name that is still good", i ? "," : "", i);
    read_text(str_c(&text), &m);
    assert_int_equal(m.faults, 0);
    assert_int_equal(m.request.classes_count, 200);
    message_done(&m);
    str_add(&text, ":0"); /* a fault whose corrected line cannot hold the classes */
    read_text(str_c(&text), &m);
    assert_int_equal(m.faults, 1);
    assert_string_equal(m.corrected, "a.zip:j1");
    assert_int_equal(m.notes_count, 1);
    check_always("200 classes", &m);
    message_done(&m);
    str_clear(&text);
    str_add(&text, "a.zip:::c0");
    for (int i = 1; i <= 200; i++)
        str_addf(&text, ",c%d", i);
    read_text(str_c(&text), &m);
    assert_string_equal(m.fault[0].code, "E06");
    check_always("201 classes", &m);
    message_done(&m);
    while (text.len <= 48 * 1024)
        str_add(&text, "          x");
    read_text(str_c(&text), &m);
    assert_string_equal(m.fault[0].code, "E24");
    check_always("too long", &m);
    message_done(&m);
}

/* The longest lists that fit into 48 KB, of every kind. */
static void test_heavy(void **state)
{
    (void)state;
    static const char *const start[] = {"a", "", "{\"a\":1", "a.zip:", "a.zip:::x"},
                             *const piece[] = {"a1B", "：", ",\"k%d\":1", "：", ",y%d"}, *const end[] = {":", ".zip", "}", "", ""};
    for (size_t i = 0; i < COUNT(piece); i++) {
        AUTO_STR text = STR_MAX(49152);
        str_add(&text, start[i]);
        for (int n = 0; text.len < 49100; n++) {
            const char *number = strstr(piece[i], "%d");
            str_add_n(&text, piece[i], number ? (size_t)(number - piece[i]) : strlen(piece[i]));
            if (number)
                str_addf(&text, "%d%s", n, number + 2);
        }
        str_add(&text, end[i]);
        struct message m;
        read_text(str_c(&text), &m);
        assert_true(m.faults > 0);
        check_always(start[i], &m);
        message_done(&m);
    }
}

static void test_zip_limits(void **state)
{
    (void)state;
    struct message m;
    char zip[300];
    for (int len = 254; len <= 257; len++) {
        memset(zip, 'x', sizeof zip);
        memcpy(zip + len - 4, ".zip", 5);
        read_text(zip, &m);
        assert_int_equal(m.faults, len > 255);
        assert_true(len <= 255 || str_is(m.fault[0].code, "E02"));
        check_always(zip, &m);
        message_done(&m);
    }
    const char *forbidden = "\"*?|<>$;&'`";
    for (const char *c = forbidden; *c; c++) {
        snprintf(zip, sizeof zip, "a%cb.zip", *c);
        read_text(zip, &m);
        assert_string_equal(m.fault[0].code, "E13");
        assert_string_equal(m.corrected, "ab.zip");
        message_done(&m);
    }
}

static void test_secrets(void **state)
{
    (void)state;
    static const char *const inputs[] = {
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=SENTINELabcdef==;EndpointSuffix=core.windows.net",
        "{\"dataset\":\"a.zip\",\"epochs\":0,\"note\":\"password=SENTINEL\"}",
        "{\"dataset\":\"a.zip\",\"AccountKey=SENTINEL\":0}",
        "a.zip:sig=SENTINEL",
        "a.zip:::ok,AccountKey=SENTINEL:0",
        "aSENTINELb0aSENTINELb0aSENTINELb0aSENTINELb0aSENTINELb0aSENTINELb0aSENTINELb0aSENTINEL==",
        "{\"dataset\":\"https://x/a.zip?sig=SENTINEL\"}",
        "https://x/SENTINEL",
    };
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        struct message m;
        read_text(inputs[i], &m);
        assert_true(m.faults > 0);
        check_always(inputs[i], &m);
        for (int32_t f = 0; f < m.faults; f++)
            assert_null(strstr(m.fault[f].text, "SENTINEL"));
        if (strstr(m.corrected, "SENTINEL") || (strstr(m.shown, "SENTINEL") && !str_is(inputs[i], "https://x/SENTINEL")))
            fail_msg("%s -> %s | %s", inputs[i], m.corrected, m.shown);
        message_done(&m);
    }
}

static void test_echo_is_cut(void **state)
{
    (void)state;
    struct message m;
    char input[600] = "a.zip::";
    for (int i = 0; i < 130; i++)
        memcpy(input + strlen(input), "表", 4);
    read_text(input, &m);
    const char *p = m.fault[0].text;
    int shown = 0;
    while ((p = strstr(p, "表")) != NULL) {
        shown++;
        p += 3;
    }
    assert_in_range(shown, 1, 80);
    assert_non_null(strstr(m.fault[0].text, "...`"));
    check_always(input, &m);
    message_done(&m);
}

/* A text that may also be one file's name is kept whole, and that name may be sent as JSON. */
static void test_literal(void **state)
{
    (void)state;
    static const struct {
        const char *text, *literal;
    } rows[] = {
        {"ネジ：左.zip", "ネジ：左.zip"}, {" ネジ：左.zip\r\n", "ネジ：左.zip"}, {"a.zip：j1", ""}, {"a.zip：j1:.zip", ""}, {"a.zip", ""},
    };
    struct message m;
    for (size_t i = 0; i < COUNT(rows); i++) {
        read_text(rows[i].text, &m);
        assert_string_equal(m.literal, rows[i].literal);
        message_done(&m);
    }
    read_text("{\"v\":1,\"dataset\":\"ネジ：左.zip\"}", &m);
    assert_int_equal(m.faults, 0);
    assert_string_equal(m.request.zip, "ネジ：左.zip");
    message_done(&m);
}

/* Every table row has words, a known code, and its colon position once. */
static void test_table(void **state)
{
    (void)state;
    int positions = 0;
    for (size_t i = 0; rules_field(i); i++) {
        const struct rule *rule = rules_field(i);
        size_t known = 0;
        while (rules_code(known) && !str_is(rules_code(known)->code, rule->code))
            known++;
        assert_non_null(rules_code(known));
        assert_true(rule->name && rule->allowed && rule->types);
        assert_true(rule->check || rule->types == TYPE_OBJECT);
        positions |= rule->position ? 1 << rule->position : 0;
        assert_int_equal(rules_find(rule->name), i);
    }
    assert_int_equal(positions, 0x1fe);
}

/* README tells of every field, under each of its names, of every action, and of the last code. */
static void test_readme(void **state)
{
    (void)state;
    AUTO_STR readme = STR_MAX(1024 * 1024);
    golden_read("../../README.md", &readme);
    const char *from = strstr(str_c(&readme), "## What an annotator sends"), *to = strstr(str_c(&readme), "## What a device loads");
    assert_true(from && to);
    AUTO_STR chapter = STR_MAX(64 * 1024);
    str_add_n(&chapter, from, (size_t)(to - from));
    for (size_t i = 0; rules_field(i); i++) {
        const char *dot = strchr(rules_field(i)->name, '.'), *alias = rules_field(i)->alias;
        char name[64];
        snprintf(name, sizeof name, "\"%s\":", dot ? dot + 1 : rules_field(i)->name);
        bool json = strstr(str_c(&chapter), name);
        snprintf(name, sizeof name, "`%s`", rules_field(i)->name);
        bool row = strstr(str_c(&chapter), name) || (rules_field(i)->position && strstr(str_c(&chapter), rules_field(i)->name));
        if ((!json && !row) || (alias && !strstr(str_c(&chapter), alias)))
            fail_msg("README says nothing of %s", rules_field(i)->name);
    }
    for (enum message_action a = ACTION_STATUS; a < ACTIONS; a++) {
        char text[64];
        snprintf(text, sizeof text, "\"action\":\"%s\"", message_action_name(a));
        assert_non_null(strstr(str_c(&chapter), text));
    }
    size_t last = 0;
    while (rules_code(last + 1))
        last++;
    char codes[32];
    snprintf(codes, sizeof codes, "codes E01 to %s", rules_code(last)->code);
    assert_non_null(strstr(str_c(&chapter), codes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_all_faults_at_once),
        cmocka_unit_test(test_json_only_fields),
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_default_job_id),
        cmocka_unit_test(test_later_faults),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_heavy),
        cmocka_unit_test(test_zip_limits),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_echo_is_cut),
        cmocka_unit_test(test_literal),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_readme),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
