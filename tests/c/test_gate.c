/* Whether a model is published: what a machine may say of it, and what is decided and told from that. */
#include "test.h"

#include "job/gate.h"
#include "job/report.h"

#define CLASS(name, n, now, former) "{\"class\":\"" name "\",\"images\":" #n ",\"new\":" #now ",\"current\":" #former "}"
#define GATE(n, now, current, version, sd, classes, ms, bytes, rest)                                                                       \
    "\"gate\":{\"images\":" n ",\"new\":" now ",\"current\":" current ",\"current_version\":" version ",\"difference_sd\":" sd             \
    ",\"floor\":0.05,\"per_class\":[" classes "],\"latency_ms\":{\"new\":" ms "},\"size_bytes\":{\"new\":" bytes "}" rest "}"
/* Against version 7 on 40 images; the new score, the former one and the deviation vary. */
#define AGAINST(now, former, sd)                                                                                                           \
    "{\"baseline\":7," GATE("40", now, former, "7", sd, "", "3.1,\"current\":3.0", "9000,\"current\":9000", "") "}"
#define AGAINST_CLASS(classes)                                                                                                             \
    "{\"baseline\":7," GATE("40", "0.712", "0.695", "7", "0.004", classes, "3.1,\"current\":3.0", "9000,\"current\":9000", "") "}"
#define AGAINST_COST(ms, bytes) "{\"baseline\":7," GATE("40", "0.712", "0.695", "7", "0.004", "", ms, bytes, "") "}"
#define FIRST(n, score)                                                                                                                    \
    "{\"baseline\":null," GATE(n, score, "null", "null", "null", "", "3.1,\"current\":null", "9000,\"current\":null", "") "}"
#define NOT(n, why) "{\"baseline\":7," GATE(n, "0.7", "null", "7", "null", "", "3.1", "9000", why) "}"

static enum err_code read_text(const char *text, struct gate_facts *facts, struct err *err)
{
    AUTO_JSON doc = NULL;
    enum err_code code = json_parse(text, strlen(text), 8, &doc, err);
    return code == OK ? gate_read(doc, facts, err) : code;
}

static const char two[][GATE_CLASS_MAX] = {"ok", "dent"}, three[][GATE_CLASS_MAX] = {"ok", "dent", "rust \xE9\x8C\x86"},
                  one[][GATE_CLASS_MAX] = {"dent"};
static const struct gate_names TWO = {two, 2}, THREE = {three, 3}, ONE = {one, 1}, NONE = {NULL, 0};

static void decide(const char *manifest, enum publish_policy policy, int64_t current, const struct gate_names *line,
                   const struct gate_names *model, struct gate_verdict *out)
{
    struct err err = {0};
    struct gate_facts facts;
    assert_ok(read_text(manifest, &facts, &err), err);
    gate_decide(&(struct gate_question){policy, &facts, "map", current, *line, *model}, out);
}

static void test_if_better(void **state)
{
    (void)state;
    static const struct {
        const char *manifest;
        int64_t current;
        enum gate_code code;
        const char *text;
    } rows[] = {
        {AGAINST("0.712", "0.695", "0.004"), 7, GATE_BETTER,
         "it is better: map 0.712 against 0.695 of version 7 on 40 images (+0.017, it takes more than 0.010)"},
        {AGAINST("0.706", "0.695", "0"), 7, GATE_BETTER, NULL},
        {AGAINST("0.705", "0.695", "0"), 7, GATE_TIE, /* 0.010000000000000009 in binary */
         "it is not clearly better: map 0.705 against 0.695 of version 7 on 40 images (+0.010, it takes more than 0.010)"},
        {AGAINST("0.712", "0.695", "0.013"), 7, GATE_TIE,
         "it is not clearly better: map 0.712 against 0.695 of version 7 on 40 images (+0.017, it takes more than 0.021)"},
        {AGAINST("0.695", "0.695", "0.004"), 7, GATE_TIE,
         "it is not clearly better: map 0.695 against 0.695 of version 7 on 40 images (+0.000, it takes more than 0.010)"},
        {AGAINST("0.685", "0.695", "0"), 7, GATE_TIE, NULL},
        {AGAINST("0.6", "0.695", "0.004"), 7, GATE_WORSE, "it is worse: map 0.600 against 0.695 of version 7 on 40 images (-0.095)"},
        {AGAINST("0", "1", "0"), 7, GATE_WORSE, NULL},
        /* only chance: better than next to nothing */
        {AGAINST("0.05", "0.02", "0.004"), 7, GATE_FLOOR,
         "it is better: map 0.050 against 0.020 of version 7 on 40 images (+0.030, it takes more than 0.010), but guessing reaches up to "
         "0.050"},
        {AGAINST_CLASS(CLASS("ok", 20, 0.8, 0.7) "," CLASS("dent", 10, 0.61, 0.69) "," CLASS("rust", 10, 0.60, 0.66)), 7, GATE_CLASS,
         "it is better: map 0.712 against 0.695 of version 7 on 40 images (+0.017, it takes more than 0.010), but class `dent` falls from "
         "0.690 "
         "to 0.610 on 10 images (at most 0.050 may be lost)"},
        {AGAINST_CLASS(CLASS("dent", 10, 0.65, 0.70)), 7, GATE_BETTER, NULL},
        {AGAINST_CLASS(CLASS("dent", 9, 0, 1)), 7, GATE_BETTER, NULL},                                    /* rare: chance */
        {AGAINST_CLASS(CLASS("new", 20, 0.1, null) "," CLASS("x", 20, null, 0.9)), 7, GATE_BETTER, NULL}, /* not common */
        {AGAINST_COST("4.5,\"current\":3.0", "13500,\"current\":9000"), 7, GATE_BETTER, NULL},
        {AGAINST_COST("6.1,\"current\":3.0", "9000,\"current\":9000"), 7, GATE_SLOWER,
         "it is better: map 0.712 against 0.695 of version 7 on 40 images (+0.017, it takes more than 0.010), but slower: 6.1 ms an image "
         "against 3.0 ms (at most 1.5 times)"},
        {AGAINST_COST("3.0,\"current\":3.0", "18000000,\"current\":9000"), 7, GATE_LARGER,
         "it is better: map 0.712 against 0.695 of version 7 on 40 images (+0.017, it takes more than 0.010), but larger: 18.0 MB against "
         "9.0 kB "
         "(at most 1.5 times)"},
        {AGAINST_COST("3.0,\"current\":null", "18000,\"current\":null"), 7, GATE_BETTER, NULL}, /* not known */
        {AGAINST("0.712", "0.695", "0.004"), 8, GATE_MOVED,
         "it was compared with version 7, and meanwhile version 8 has become current; train it again to compare it with that one"},
        {AGAINST("0.712", "0.695", "0.004"), 0, GATE_MOVED,
         "it was compared with version 7, and meanwhile that one is no longer current; train it again"},
        {FIRST("40", "0.7"), 1, GATE_MOVED,
         "its line had no model when it was ordered, and meanwhile version 1 has become current; train it again to compare it with that "
         "one"},
        {FIRST("40", "0.7"), 0, GATE_FIRST, "it is the line's first model: map 0.700 on 40 images, and guessing reaches up to 0.050"},
        {FIRST("1", "0.051"), 0, GATE_FIRST, "it is the line's first model: map 0.051 on 1 image, and guessing reaches up to 0.050"},
        {FIRST("40", "0.05"), 0, GATE_FLOOR, "it is no better than guessing: map 0.050 on 40 images, and guessing reaches up to 0.050"},
        {FIRST("0", "1"), 0, GATE_FLOOR, "there was no image to measure it on; add labelled images"},
        {NOT("40", ",\"not_comparable\":\"it answers in another form\""), 7, GATE_NOT_COMPARABLE,
         "it is not comparable with version 7: it answers in another form"},
        {NOT("6", ""), 7, GATE_NOT_COMPARABLE,
         "it is not comparable with version 7: 6 images that neither model was trained on, and 10 are needed; add at least 4 labelled "
         "images "
         "that "
         "neither has seen"},
        {NOT("40", ""), 7, GATE_NOT_COMPARABLE, "it is not comparable with version 7: its machine could not measure that one"},
        {"{\"baseline\":7," GATE("9", "0.9", "0.1", "7", "0", "", "1", "1", "") "}", 7, GATE_NOT_COMPARABLE,
         "it is not comparable with version 7: 9 images that neither model was trained on, and 10 are needed; add at least 1 labelled "
         "image that "
         "neither has seen"},
        /* a machine with older scripts */
        {"{}", 0, GATE_FIRST, "it is the line's first model; its machine did not measure what guessing reaches (older scripts)"},
        {"{\"baseline\":7}", 7, GATE_NOT_COMPARABLE,
         "it is not comparable with version 7: its machine did not measure the two side by side (older scripts)"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gate_verdict v;
        decide(rows[i].manifest, PUBLISH_IF_BETTER, rows[i].current, rows[i].current > 0 ? &TWO : &NONE, &TWO, &v);
        if (v.code != rows[i].code || v.publish != (v.code == GATE_BETTER || v.code == GATE_FIRST) || v.breaking)
            fail_msg("row %zu: %s, publish %d: %s", i, gate_code_words[v.code], v.publish, v.text);
        if (rows[i].text != NULL)
            assert_string_equal(v.text, rows[i].text);
    }
}

static void test_what_the_message_says(void **state)
{
    (void)state;
    static const char better[] = AGAINST("0.712", "0.695", "0.004"), worse[] = AGAINST("0.1", "0.695", "0.004");
    struct gate_verdict v;
    decide(better, PUBLISH_NEVER, 7, &TWO, &TWO, &v);
    assert_false(v.publish);
    assert_int_equal(v.code, GATE_NEVER);
    assert_string_equal(v.text, "as the message says (\"publish\":\"never\"): map 0.712 against 0.695 of version 7 on 40 images");
    decide(worse, PUBLISH_ALWAYS, 9, &TWO, &TWO, &v);
    assert_true(v.publish);
    assert_int_equal(v.code, GATE_ALWAYS);
    assert_string_equal(v.text, "as the message says (\"publish\":\"always\"): map 0.100 against 0.695 of version 7 on 40 images");
    decide("{}", PUBLISH_ALWAYS, 9, &TWO, &TWO, &v);
    assert_true(v.publish);
    assert_string_equal(v.text, "as the message says (\"publish\":\"always\")");
    decide(worse, PUBLISH_UNGATED, 9, &TWO, &TWO, &v); /* a record from before there was a gate */
    assert_true(v.publish);
    assert_int_equal(v.code, GATE_NONE);
    assert_string_equal(v.text, "");
}

static void test_a_class_that_goes_missing(void **state)
{
    (void)state;
    static const char better[] = AGAINST("0.712", "0.695", "0.004");
    struct gate_verdict v;
    decide(better, PUBLISH_IF_BETTER, 7, &THREE, &TWO, &v);
    assert_false(v.publish || v.breaking);
    assert_int_equal(v.code, GATE_MISSING);
    assert_string_equal(v.text, "it lacks class `rust \xE9\x8C\x86`, which the line has: devices that look for it would break");
    decide(better, PUBLISH_IF_BETTER, 7, &THREE, &ONE, &v);
    assert_has(v.text, "`ok` (and 1 more)");
    decide(better, PUBLISH_ALWAYS, 7, &THREE, &TWO, &v);
    assert_true(v.publish && v.breaking);
    assert_has(v.text, "; it lacks class `rust \xE9\x8C\x86`");
    decide(better, PUBLISH_NEVER, 7, &THREE, &TWO, &v);
    assert_false(v.publish || v.breaking);
    decide("{}", PUBLISH_UNGATED, 7, &THREE, &TWO, &v);
    assert_true(v.publish && v.breaking);
    decide(better, PUBLISH_IF_BETTER, 7, &TWO, &THREE, &v); /* one more is welcome */
    assert_true(v.publish);
    decide(better, PUBLISH_IF_BETTER, 7, &ONE, &TWO, &v); /* in another order too */
    assert_true(v.publish);
}

/* Every figure that is not what it must be is told by its name, and nothing is decided from it. */
static void test_malformed(void **state)
{
    (void)state;
#define MEMBERS "\"images\":40,\"new\":0.7,\"floor\":0.05"
#define COMPARED MEMBERS ",\"current\":0.6,\"current_version\":7,\"difference_sd\":0.01"
#define COSTS ",\"latency_ms\":{\"new\":1,\"current\":1},\"size_bytes\":{\"new\":1,\"current\":1}"
    static const struct {
        const char *gate, *says;
    } rows[] = {
        {"7", "gate must be an object"},
        {"\"better\"", "gate must be an object"},
        {"[]", "gate must be an object"},
        {"{}", "gate.images"},
        {"{\"images\":-1,\"new\":0.7,\"floor\":0}", "gate.images"},
        {"{\"images\":1.5,\"new\":0.7,\"floor\":0}", "gate.images"},
        {"{\"images\":\"40\",\"new\":0.7,\"floor\":0}", "gate.images"},
        {"{\"images\":1e300,\"new\":0.7,\"floor\":0}", "gate.images"},
        {"{\"images\":40,\"floor\":0}", "gate.new"},
        {"{\"images\":40,\"new\":null,\"floor\":0}", "gate.new"},
        {"{\"images\":40,\"new\":\"0.7\",\"floor\":0}", "gate.new"},
        {"{\"images\":40,\"new\":-0.1,\"floor\":0}", "gate.new"},
        {"{\"images\":40,\"new\":1.001,\"floor\":0}", "gate.new"},
        {"{\"images\":40,\"new\":1e999,\"floor\":0}", "number"},
        {"{\"images\":40,\"new\":NaN,\"floor\":0}", ""},
        {"{\"images\":40,\"new\":0.7}", "gate.floor"},
        {"{\"images\":40,\"new\":0.7,\"floor\":-1}", "gate.floor"},
        {"{\"images\":40,\"new\":0.7,\"floor\":1e999}", "number"},
        {"{" MEMBERS ",\"current\":70}", "gate.current must"},
        {"{" MEMBERS ",\"current\":\"0.6\"}", "gate.current must"},
        {"{" MEMBERS ",\"not_comparable\":7}", "gate.not_comparable"},
        {"{" MEMBERS ",\"current\":0.6}", "gate.current_version"},
        {"{" MEMBERS ",\"current\":0.6,\"current_version\":6,\"difference_sd\":0.01}", "gate.current_version"},
        {"{" MEMBERS ",\"current\":0.6,\"current_version\":7}", "gate.difference_sd"},
        {"{" MEMBERS ",\"current\":0.6,\"current_version\":7,\"difference_sd\":-0.01}", "gate.difference_sd"},
        {"{" COMPARED "}", "gate.per_class"},
        {"{" COMPARED ",\"per_class\":{}}", "gate.per_class"},
        {"{" COMPARED ",\"per_class\":[7]}", "gate.per_class"},
        {"{" COMPARED ",\"per_class\":[{\"class\":\"\",\"images\":1}]}", "gate.per_class"},
        {"{" COMPARED ",\"per_class\":[{\"class\":\"a\\nb\",\"images\":1}]}", "gate.per_class"},
        {"{" COMPARED ",\"per_class\":[{\"class\":\"a\"}]}", "gate.per_class.images"},
        {"{" COMPARED ",\"per_class\":[{\"class\":\"a\",\"images\":1,\"new\":2}]}", "gate.per_class.new"},
        {"{" COMPARED ",\"per_class\":[{\"class\":\"a\",\"images\":1,\"new\":1,\"current\":\"x\"}]}", "gate.per_class.current"},
        {"{" COMPARED ",\"per_class\":[]}", "gate.latency_ms"},
        {"{" COMPARED ",\"per_class\":[],\"latency_ms\":3}", "gate.latency_ms"},
        {"{" COMPARED ",\"per_class\":[],\"latency_ms\":{\"new\":\"3\"}}", "latency_ms.new"},
        {"{" COMPARED ",\"per_class\":[],\"latency_ms\":{\"new\":-1}}", "latency_ms.new"},
        {"{" COMPARED ",\"per_class\":[],\"latency_ms\":{\"new\":1,\"current\":1e999}}", "number"},
        {"{" COMPARED ",\"per_class\":[],\"latency_ms\":{\"new\":1}}", "gate.size_bytes"},
        {"{" COMPARED ",\"per_class\":[],\"latency_ms\":{\"new\":1},\"size_bytes\":{\"new\":1e16}}", "size_bytes.new"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err err = {0};
        struct gate_facts facts;
        AUTO_STR text = STR_MAX(4096);
        str_addf(&text, "{\"baseline\":7,\"gate\":%s}", rows[i].gate);
        assert_int_equal(read_text(str_c(&text), &facts, &err), ERR_INPUT);
        assert_has(err.msg, rows[i].says);
    }
    struct err err = {0};
    struct gate_facts facts;
    assert_ok(read_text("{\"baseline\":7,\"gate\":{" COMPARED ",\"per_class\":[]" COSTS "}}", &facts, &err), err); /* all are there */
    assert_true(facts.compared);
    assert_int_equal(read_text("{\"baseline\":-1}", &facts, &err), ERR_INPUT);
    assert_int_equal(read_text("{\"baseline\":\"7\"}", &facts, &err), ERR_INPUT);
    assert_has(err.msg, "baseline");
}

/* More than there is room for: cut, never spilt. */
static void test_long_names(void **state)
{
    (void)state;
    static char line[1][GATE_CLASS_MAX], name[GATE_CLASS_MAX];
    struct gate_verdict v;
    AUTO_STR text = STR_MAX(8192), why = STR_MAX(8192);
    memset(line[0], 'n', GATE_CLASS_MAX - 1);
    memset(name, 'c', GATE_CLASS_MAX - 1);
    decide("{}", PUBLISH_IF_BETTER, 7, &(struct gate_names){line, 1}, &TWO, &v);
    assert_true(strlen(v.text) < GATE_TEXT_MAX);
    str_addf(&text,
             "{\"baseline\":7,\"gate\":{" COMPARED ",\"per_class\":[{\"class\":\"%s\",\"images\":10,\"new\":0,\"current\":1}]" COSTS "}}",
             name);
    decide(str_c(&text), PUBLISH_IF_BETTER, 7, &TWO, &TWO, &v);
    assert_int_equal(v.code, GATE_CLASS);
    assert_has(v.text, "may be lost");
    for (int i = 0; i < 1000; i++)
        str_add(&why, "why ");
    str_clear(&text);
    str_addf(&text, "{\"baseline\":7,\"gate\":{" MEMBERS ",\"not_comparable\":\"%s https://a/b?sig=SECRET\"}}", str_c(&why));
    decide(str_c(&text), PUBLISH_IF_BETTER, 7, &TWO, &TWO, &v);
    assert_int_equal(v.code, GATE_NOT_COMPARABLE);
    assert_has(v.text, "version 7: why why");
    assert_lacks(v.text, "SECRET");
}

static void test_words(void **state)
{
    (void)state;
    enum publish_policy p = PUBLISH_UNGATED;
    assert_true(publish_parse("never", &p));
    assert_int_equal(p, PUBLISH_NEVER);
    assert_false(publish_parse("", &p));
    assert_false(publish_parse("If_Better", &p));
    assert_string_equal(publish_name(PUBLISH_IF_BETTER), "if_better");
    assert_string_equal(gate_code_words[GATE_FLOOR], "floor");
    assert_null(gate_code_words[GATE_FLOOR + 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_if_better),
        cmocka_unit_test(test_what_the_message_says),
        cmocka_unit_test(test_a_class_that_goes_missing),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
