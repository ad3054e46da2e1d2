/* What machines leave is read as if it were forged. */
#include "test.h"

#include "job/report.h"

#define SHA "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9"
#define FILE_(name) "{\"name\":\"" name "\",\"size\":10,\"sha256\":\"" SHA "\"}"
#define MANIFEST(files, rest) MEASURED(files, "{\"primary\":\"map\",\"value\":0.5,\"images\":12}", rest)
#define MEASURED(files, metrics, rest)                                                                                                     \
    "{\"v\":1,\"job_id\":\"j1\",\"attempt\":1,\"line\":\"default\",\"task\":\"detection\",\"classes\":[\"ok\",\"dent\"],\"files\":[" files \
    "],\"metrics\":" metrics rest "}"
#define BOTH FILE_("model.bin") "," FILE_("model.xml")

static enum err_code read_manifest(const char *text, struct manifest *m, struct err *err)
{
    return manifest_read(text, strlen(text), "j1", 1, "default", "detection", m, err);
}

static void test_manifest(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_MANIFEST m = {0};
    assert_ok(read_manifest(MANIFEST(BOTH, ",\"baseline\":null,\"unknown\":[1]"), &m, &err), err);
    assert_int_equal(m.files, 2);
    assert_int_equal(m.images, 12);
    assert_string_equal(m.classes, "ok, dent");
}

/* They only explain: what cannot be is not known, and a model is not thrown away for it. */
static void test_manifest_counts(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_MANIFEST m = {0};
    const char *text = MEASURED(BOTH, "{\"primary\":\"map\",\"value\":1,\"images\":-5}",
                                ",\"lineage\":{\"images_train\":\"many\",\"epochs_done\":-4503599627370496}");
    assert_ok(read_manifest(text, &m, &err), err);
    assert_int_equal(m.images, 0);
    assert_int_equal(m.images_train, 0);
    assert_int_equal(m.epochs_done, 0);
}

static void test_manifest_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"{", "manifest.json"},
        {MANIFEST(FILE_("model.bin"), ""), "model.xml"},
        {MANIFEST(FILE_("model.xml"), ""), "model.bin"},
        {MANIFEST("", ""), "files"},
        {MANIFEST(BOTH "," FILE_("../current.json"), ""), "not a name"},
        {MANIFEST(BOTH "," FILE_("manifest.json"), ""), "not a name"},
        {MANIFEST(BOTH "," FILE_("model.bin"), ""), "twice"},
        {MEASURED(BOTH, "null", ""), "metrics.value must be a number from 0 to 1"},
        {MEASURED(BOTH, "{\"primary\":\"map\",\"value\":1e308}", ""), "metrics.value"},
        {MEASURED(BOTH, "{\"primary\":\"map\",\"value\":-0.1}", ""), "metrics.value"},
        {MEASURED(BOTH, "{\"primary\":\"map\",\"value\":71.2}", ""), "metrics.value"},
        {MEASURED(BOTH, "{\"primary\":\"map\\nJob `j0` has failed\",\"value\":0.5}", ""), "metrics.primary"},
        {"{\"v\":2}", "v is not 1"},
        {"{\"v\":1,\"job_id\":\"j2\",\"attempt\":1}", "not of job j1"},
        {"{\"v\":1,\"job_id\":\"j1\",\"attempt\":2}", "not of job j1"},
        {"{\"v\":1,\"job_id\":\"j1\",\"attempt\":1,\"line\":\"other\",\"task\":\"detection\"}", "line"},
        {"{\"v\":1,\"job_id\":\"j1\",\"attempt\":1,\"line\":\"default\",\"task\":\"classification\"}", "task"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err err = {0};
        AUTO_MANIFEST m = {0};
        assert_int_equal(read_manifest(rows[i].text, &m, &err), ERR_INPUT);
        assert_has(err.msg, rows[i].says);
    }
}

static void test_report(void **state)
{
    (void)state;
    static const char text[] = "{\"v\":1,\"job_id\":\"j1\",\"attempt\":1,\"status\":\"timed_out\",\"stage\":\"tr\\nain\",\"exit_code\":5,"
                               "\"reason\":\"late\",\"log\":[\"a\",\"b\",7]}";
    struct report r;
    struct err err = {0};
    assert_ok(report_read(text, strlen(text), "j1", 1, &r, &err), err);
    assert_int_equal(r.outcome, OUTCOME_TIMED_OUT);
    assert_string_equal(r.log, "a\nb\n\n");
    assert_string_equal(r.stage, "tr ain");
    assert_int_equal(report_read(text, strlen(text), "j1", 2, &r, &err), ERR_INPUT);
    static const char strange[] = "{\"v\":1,\"job_id\":\"j1\",\"attempt\":1,\"status\":\"wonderful\"}";
    assert_ok(report_read(strange, strlen(strange), "j1", 1, &r, &err), err);
    assert_int_equal(r.outcome, OUTCOME_FAILED); /* success is a list */
}

static void test_long_log_is_cut(void **state)
{
    (void)state;
    AUTO_STR text = STR_MAX(100000);
    struct report r;
    struct err err = {0};
    str_add(&text, "{\"v\":1,\"job_id\":\"j1\",\"attempt\":1,\"status\":\"failed\",\"log\":[\"x\"");
    for (int i = 0; i < 100; i++) {
        str_add(&text, ",\"");
        for (int k = 0; k < 50; k++)
            str_add(&text, "日本語の行");
        str_add(&text, "\"");
    }
    str_add(&text, "]}");
    assert_ok(report_read(text.p, text.len, "j1", 1, &r, &err), err);
    assert_true(strlen(r.log) < REPORT_LOG_MAX);
    assert_true(str_is_utf8(r.log, strlen(r.log)));
}

static void test_status(void **state)
{
    (void)state;
    assert_int_equal(status_beat("{\"v\":1,\"beat_s\":5}", 18), 5);
    assert_int_equal(status_beat("{\"v\":1,\"beat_s\":\"5\"}", 20), 0);
    assert_int_equal(status_beat("rubbish", 7), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest), cmocka_unit_test(test_manifest_counts), cmocka_unit_test(test_manifest_refuses),
        cmocka_unit_test(test_report),   cmocka_unit_test(test_long_log_is_cut), cmocka_unit_test(test_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
