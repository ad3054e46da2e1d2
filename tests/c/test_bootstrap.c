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

static void test_links(void **state)
{
    (void)state;
    static const char *const service[] = {"blob", "queue", "file"};
    AUTO_RECORD rec = {0};
    AUTO_STR list = STR_MAX(65536);
    struct grant grants[GRANTS_MAX];
    sample_record(&rec);
    size_t all = bootstrap_grants(&rec, grants);
    for (size_t i = 0; i < all; i++)
        str_addf(&list, "%-18s %-4s %-5s %s/%s\n", grants[i].name, grants[i].permissions, service[grants[i].service], grants[i].container,
                 grants[i].path);
    golden_same("links.txt", &list);
    rec.parent_name[0] = '\0';
    rec.baseline = 0;
    assert_int_equal(bootstrap_grants(&rec, grants), all - 3); /* nothing of other jobs without need */
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
    assert_ok(template_body(&rec, &data, &body, &err), err);
    str_add(&body, "\n");
    golden_same("deployment.json", &body);
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
        cmocka_unit_test_setup_teardown(test_links_end_with_the_job, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deployment_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_much_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
