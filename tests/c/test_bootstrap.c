/* What a machine is sent, as golden files: the cloud-config, the links and their rights, the deployment body. Repeated orders send the same
 * bytes. */
#include "test.h"

#include "base/crypto.h"
#include "controller/bootstrap.h"
#include "controller/template.h"
#include "golden.h"
#include "sample.h"

#define KEY "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

static struct controller c;

static void asset(struct str *to, const char *text)
{
    *to = STR_MAX(1024);
    str_add(to, text);
}

static int set_up(void **state)
{
    (void)state;
    struct err err = {0};
    c = (struct controller){0};
    assert_ok(storage_parse("DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=" KEY ";EndpointSuffix=core.windows.net",
                            &c.storage, &err),
              err);
    asset(&c.assets.start, "#!/bin/bash\nstart\n");
    asset(&c.assets.claim, "#!/bin/bash\nclaim\n");
    asset(&c.assets.fetch, "#!/bin/bash\nfetch\n");
    asset(&c.assets.report, "#!/bin/bash\nreport \"quoted\"\n");
    asset(&c.assets.unit, "[Service]\nRuntimeMaxSec=@RUN_MAX_S@\nRestart=no\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assets_done(&c.assets);
    storage_done(&c.storage);
    return 0;
}

static void test_custom_data(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_RECORD rec = {0};
    AUTO_STR first = STR_MAX(CUSTOM_DATA_MAX), again = STR_MAX(CUSTOM_DATA_MAX);
    sample_record(&rec);
    assert_ok(bootstrap_custom_data(&c, &rec, &first, &err), err);
    assert_ok(bootstrap_custom_data(&c, &rec, &again, &err), err);
    assert_string_equal(str_c(&first), str_c(&again));
    assert_lacks(str_c(&first), "Eby8vdM0");
    assert_has(str_c(&first), "RuntimeMaxSec=86400\\n");
    golden_same("cloud-config", &first);
}

static size_t links_same(const struct record *rec, const char *golden)
{
    static const char *const service[] = {"blob", "queue", "file"};
    AUTO_STR list = STR_MAX(65536);
    struct grant grants[GRANTS_MAX];
    size_t all = bootstrap_grants(rec, grants);
    for (size_t i = 0; i < all; i++)
        str_addf(&list, "%-18s %-4s %-5s %s/%s\n", grants[i].name, grants[i].permissions, service[grants[i].service], grants[i].container,
                 grants[i].path);
    golden_same(golden, &list);
    return all;
}

static void test_links(void **state)
{
    (void)state;
    AUTO_RECORD rec = {0};
    struct grant grants[GRANTS_MAX];
    sample_record(&rec);
    size_t all = links_same(&rec, "links.txt");
    rec.parent_name[0] = '\0';
    rec.baseline = rec.validation = 0;
    assert_int_equal(bootstrap_grants(&rec, grants), all - 8); /* nothing of other jobs without need */
    rec.request.task = TASK_INSTANCE_SEGMENTATION;
    assert_int_equal(bootstrap_grants(&rec, grants), all - 7); /* predict.py */
}

/* After an eviction the next machine reads what the former ones kept, newest first, and writes under names of its own. */
static void test_links_after_an_eviction(void **state)
{
    (void)state;
    AUTO_RECORD rec = {0};
    struct grant grants[GRANTS_MAX];
    sample_record(&rec);
    size_t all = bootstrap_grants(&rec, grants);
    rec.state.attempt = 4; /* of which some were refused */
    assert_int_equal(bootstrap_grants(&rec, grants), all);
    rec.state.evictions = 1;
    assert_int_equal(links_same(&rec, "links.2.txt"), all + 5);
    rec.state.evictions = 8;
    assert_int_equal(bootstrap_grants(&rec, grants), all + 15); /* of the last three, however many there were */
    assert_string_equal(grants[all].name, "former_1_ckpt");
    assert_string_equal(grants[all].path, "Screws-0412/run-8.ckpt.json");
    assert_string_equal(grants[all + 14].name, "former_3_best_1");
    assert_string_equal(grants[all + 14].path, "Screws-0412/run-6.best.1.pth");
    for (size_t i = all; i < all + 15; i++)
        assert_string_equal(grants[i].permissions, "r");
}

static void fill(char *to, size_t size, const char *character)
{
    size_t step = strlen(character), at = 0;

    for (; at + step < size; at += step)
        memcpy(to + at, character, step);
    to[at] = '\0';
}

/* Azure takes 65535 bytes: the boot files as they are shipped, and the longest names that a message may bring. */
static void test_the_longest_names_fit(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_RECORD rec = {0};
    AUTO_STR data = STR_MAX(CUSTOM_DATA_MAX);
    struct grant grants[GRANTS_MAX];
    sample_record(&rec);
    for (int i = 0; i < 350; i++) /* about 10000 bytes of scripts are shipped */
        str_add(&c.assets.start, "0123456789abcdef0123456789abcde\n");
    storage_done(&c.storage);
    assert_ok(storage_parse("DefaultEndpointsProtocol=https;AccountName=abcdefghijklmnopqrstuvwx;AccountKey=" KEY
                            ";EndpointSuffix=core.windows.net",
                            &c.storage, &err),
              err);
    fill(rec.job_id, sizeof rec.job_id, "j");
    fill(rec.request.job_id, sizeof rec.request.job_id, "j");
    fill(rec.request.job_name, sizeof rec.request.job_name, "J");
    fill(rec.request.zip, sizeof rec.request.zip, "\xE3\x83\x8D"); /* nine bytes each in a link */
    fill(rec.request.line, sizeof rec.request.line, "l");
    fill(rec.request.requested_by, sizeof rec.request.requested_by, "r");
    fill(rec.request.note, sizeof rec.request.note, "\xE3\x83\x8D");
    fill(rec.parent_name, sizeof rec.parent_name, "p");
    free(rec.request.classes);
    rec.request.classes = calloc(CLASSES_MAX, sizeof *rec.request.classes);
    assert_non_null(rec.request.classes);
    rec.request.classes_count = CLASSES_MAX;
    for (int i = 0; i < CLASSES_MAX; i++)
        fill(rec.request.classes[i], 64 * 3 + 1, "\xE3\x83\x8D");
    rec.request.task = TASK_INSTANCE_SEGMENTATION;
    rec.state.attempt = 99;
    rec.state.evictions = 98;
    rec.baseline = 99999;
    assert_true(bootstrap_grants(&rec, grants) <= GRANTS_MAX);
    assert_ok(bootstrap_custom_data(&c, &rec, &data, &err), err);
    print_message("customData: %zu of %d bytes\n", data.len, CUSTOM_DATA_MAX);
}

/* What the machine is told of its model; a job of former times brings scripts that read the number. */
static void test_the_model_as_the_scripts_know_it(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_RECORD rec = {0};
    AUTO_STR now = STR_MAX(CUSTOM_DATA_MAX), former = STR_MAX(CUSTOM_DATA_MAX);
    sample_record(&rec);
    str_copy(rec.model_name, sizeof rec.model_name, "ssd_mobilenetv2");
    rec.input_size = 384;
    rec.request.pretrained = false;
    assert_ok(bootstrap_custom_data(&c, &rec, &now, &err), err);
    assert_has(str_c(&now), "\\\"model\\\":\\\"ssd_mobilenetv2\\\",\\\"input_size\\\":384,\\\"pretrained\\\":false,");
    rec.model_name[0] = '\0';
    rec.input_size = 0;
    assert_ok(bootstrap_custom_data(&c, &rec, &former, &err), err);
    assert_has(str_c(&former), "\\\"model\\\":1,\\\"continue_from");
}

static void test_links_end_with_the_job(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_RECORD rec = {0};
    AUTO_STR text = STR_MAX(CUSTOM_DATA_MAX);
    sample_record(&rec);
    assert_ok(bootstrap_custom_data(&c, &rec, &text, &err), err);
    assert_has(str_c(&text), "se=2026-01-02T01%3A01%3A40Z"); /* hard stop + 1 h */
    assert_has(str_c(&text), "st=2025-12-31T23%3A46%3A40Z"); /* start - 15 min */
}

static void test_deployment_body(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_RECORD rec = {0};
    AUTO_STR data = STR_MAX(64), body = STR_MAX(256 * 1024);
    sample_record(&rec);
    str_add(&data, "#cloud-config\n{}");
    assert_ok(template_body(&c, &rec, &data, &body, &err), err);
    str_add(&body, "\n");
    golden_same("deployment.json", &body);
}

static void test_an_image_of_ones_own(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_RECORD rec = {0};
    AUTO_STR data = STR_MAX(64), body = STR_MAX(256 * 1024);
    sample_record(&rec);
    str_add(&data, "#cloud-config\n{}");
    str_copy(c.image_id, sizeof c.image_id, "/subscriptions/0/images/trainer");
    assert_ok(template_body(&c, &rec, &data, &body, &err), err);
    assert_has(str_c(&body), "\"image\":{\"value\":{\"id\":\"/subscriptions/0/images/trainer\"}}");
}

static void test_machines_reach_an_emulator_elsewhere(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_RECORD rec = {0};
    AUTO_STR text = STR_MAX(CUSTOM_DATA_MAX);
    sample_record(&rec);
    storage_done(&c.storage);
    assert_ok(storage_parse("AccountName=acct;AccountKey=" KEY ";BlobEndpoint=http://127.0.0.1:10000/acct;"
                            "QueueEndpoint=http://127.0.0.1:10001/acct;FileEndpoint=http://127.0.0.1:10004/acct",
                            &c.storage, &err),
              err);
    str_copy(c.vm_storage_host, sizeof c.vm_storage_host, "10.0.2.2");
    assert_ok(bootstrap_custom_data(&c, &rec, &text, &err), err);
    assert_has(str_c(&text), "http://10.0.2.2:10000/acct/job-files/claim/");
    assert_has(str_c(&text), "http://10.0.2.2:10001/acct/delete-resources/messages?");
    assert_has(str_c(&text), "http://10.0.2.2:10004/acct/logs/");
    assert_lacks(str_c(&text), "127.0.0.1");
    assert_string_equal(c.storage.blob, "http://127.0.0.1:10000/acct"); /* the app's own stays */
}

static void test_too_much_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO_RECORD rec = {0};
    AUTO_STR data = STR_MAX(CUSTOM_DATA_MAX);
    sample_record(&rec);
    c.assets.start.max = 128 * 1024;
    for (int i = 0; i < 7000; i++)
        str_add(&c.assets.start, "0123456789");
    assert_int_equal(bootstrap_custom_data(&c, &rec, &data, &err), ERR_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_custom_data, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_links, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_links_after_an_eviction, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_longest_names_fit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_model_as_the_scripts_know_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_links_end_with_the_job, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deployment_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_image_of_ones_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_machines_reach_an_emulator_elsewhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_much_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
