/* The environment: all faults at once, no secret in any line, and the table agrees with README and local.settings.json.example. */
#include "test.h"

#include "settings.h"

#define KEY "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#define STORAGE "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=" KEY ";EndpointSuffix=core.windows.net"

static const char *env[64][2];
static size_t env_count;

static void set(const char *name, const char *value)
{
    for (size_t i = 0; i < env_count; i++)
        if (strcmp(env[i][0], name) == 0) {
            env[i][1] = value;
            return;
        }
    env[env_count][0] = name;
    env[env_count++][1] = value;
}

static const char *lookup(const char *name)
{
    for (size_t i = 0; i < env_count; i++)
        if (strcmp(env[i][0], name) == 0)
            return env[i][1];
    return NULL;
}

static int good(void **state)
{
    (void)state;
    env_count = 0;
    set("AzureWebJobsStorage", STORAGE);
    set("TRAIN_VM_RESOURCE_GROUP", "train-rg");
    set("AZURE_SP_APP_ID", "app");
    set("AZURE_SP_PASSWORD", "sentinel-password");
    set("AZURE_SP_TENANT", "tenant");
    set("FUNCTIONS_CUSTOMHANDLER_PORT", "7071");
    return 0;
}

static enum err_code read(struct settings *s, struct str *faults, struct str *notes)
{
    uint16_t port = 0;
    enum err_code code = settings_read(lookup, s, faults, notes);
    if (settings_read_port(lookup, &port, faults) != OK)
        code = ERR_INPUT;
    assert_true(port == 7071 || code == ERR_INPUT);
    assert_null(strstr(str_c(faults), "sentinel"));
    assert_null(strstr(str_c(faults), "Eby8"));
    return code;
}

static void test_defaults(void **state)
{
    (void)state;
    AUTO_STR faults = STR_MAX(16384), notes = STR_MAX(4096);
    struct settings s;
    assert_int_equal(read(&s, &faults, &notes), OK);
    assert_int_equal(s.max_jobs, 2);
    assert_int_equal(s.max_minutes, 480);
    assert_int_equal(s.max_job_minutes, 1440);
    assert_int_equal(s.upload_wait_s, 300);
    assert_string_equal(s.arm_endpoint, "https://management.azure.com");
    assert_string_equal(s.storage.file, "https://acct.file.core.windows.net");
    assert_int_equal(s.identity.kind, IDENTITY_PRINCIPAL);
    settings_done(&s);
}

static void test_former_and_standard_names(void **state)
{
    (void)state;
    AUTO_STR faults = STR_MAX(16384), notes = STR_MAX(4096);
    struct settings s;
    set("AzureWebJobsStorage", "");
    set("AZURE_STORAGE_ACCOUNT_NAME", "acct");
    set("AZURE_STORAGE_ACCOUNT_KEY", KEY);
    set("AZURE_SP_APP_ID", NULL);
    set("AZURE_CLIENT_ID", "other-app");
    set("ACI_RESOURCE_GROUP", "x");
    set("GITHUB_REPO_URL", "https://example");
    assert_int_equal(read(&s, &faults, &notes), OK);
    assert_string_equal(s.identity.client_id, "other-app");
    assert_has(str_c(&notes), "ACI_RESOURCE_GROUP is set");
    assert_has(str_c(&notes), "GITHUB_REPO_URL is set");
    settings_done(&s);
}

static void test_lists(void **state)
{
    (void)state;
    AUTO_STR faults = STR_MAX(16384), notes = STR_MAX(4096);
    struct settings s;
    assert_int_equal(read(&s, &faults, &notes), OK);
    assert_string_equal(s.vm_size, "Standard_D8s_v4");
    assert_string_equal(s.vm_sizes, "");
    assert_string_equal(s.location, "japaneast");
    assert_string_equal(s.regions, "japaneast");
    assert_int_equal(s.spot, SPOT_NEVER);
    settings_done(&s);
    set("VM_SIZES", " Standard_D8s_v5 ,Standard_D8s_v4");
    set("REGIONS", "Japan West, japaneast");
    set("SPOT", "prefer");
    assert_int_equal(read(&s, &faults, &notes), OK); /* the settings for one are left out */
    assert_string_equal(s.vm_size, "Standard_D8s_v5");
    assert_string_equal(s.vm_sizes, "Standard_D8s_v5,Standard_D8s_v4");
    assert_string_equal(s.location, "japanwest");
    assert_string_equal(s.regions, "japanwest,japaneast");
    assert_int_equal(s.spot, SPOT_PREFER);
    settings_done(&s);
    set("VM_SIZE", "Standard_D8s_v5");
    set("AZURE_LOCATION", "JapanWest");
    assert_int_equal(read(&s, &faults, &notes), OK); /* or are the first ones */
    assert_string_equal(s.location, "japanwest");
    settings_done(&s);
}

static void test_both_must_agree(void **state)
{
    (void)state;
    AUTO_STR faults = STR_MAX(16384), notes = STR_MAX(4096);
    struct settings s;
    set("VM_SIZE", "Standard_D8s_v4");
    set("VM_SIZES", "Standard_D8s_v5,Standard_D8s_v4");
    set("AZURE_LOCATION", "japaneast");
    set("REGIONS", "japanwest,japaneast");
    assert_int_equal(read(&s, &faults, &notes), ERR_INPUT);
    assert_has(str_c(&faults), "VM_SIZE: must be the first of VM_SIZES");
    assert_has(str_c(&faults), "AZURE_LOCATION: must be the first of REGIONS");
    settings_done(&s);
}

/* Microsoft's order, and what is half of one. */
static void test_whose_identity(void **state)
{
    (void)state;
    static const struct {
        const char *env[7][2];
        enum identity_kind kind;
        const char *client_id, *fault;
    } rows[] = {
        {{{"AZURE_CLIENT_ID", "a"},
          {"AZURE_CLIENT_SECRET", "sentinel"},
          {"AZURE_TENANT_ID", "t"},
          {"IDENTITY_ENDPOINT", "http://localhost/"},
          {"IDENTITY_HEADER", "sentinel"}},
         IDENTITY_PRINCIPAL,
         "a",
         NULL},
        {{{"IDENTITY_ENDPOINT", "http://169.254.129.2:8081/msi/token"}, {"IDENTITY_HEADER", "sentinel"}}, IDENTITY_APP, "", NULL},
        {{{"IDENTITY_ENDPOINT", "http://172.16.5.3:8081/msi/token"},
          {"IDENTITY_HEADER", "sentinel"},
          {"AZURE_CLIENT_ID", "mine"},
          {"AZURE_TENANT_ID", "t"}},
         IDENTITY_APP,
         "mine",
         NULL},
        {{{"AZURE_CLIENT_ID", "mine"}}, IDENTITY_VM, "mine", NULL},
        {{{"AZURE_IMDS_ENDPOINT", "http://127.0.0.1:4000"}}, IDENTITY_VM, "", NULL},
        {{{"AZURE_IMDS_ENDPOINT", "http://169.254.169.253"}}, IDENTITY_VM, "", "AZURE_IMDS_ENDPOINT: http://169.254.169.254 is needed"},
        {{{"WEBSITE_INSTANCE_ID", "x"}}, IDENTITY_VM, "", "AZURE_SP_APP_ID: is not set, and this app has no managed identity"},
        {{{"AZURE_CLIENT_ID", "a"}, {"AZURE_TENANT_ID", "t"}}, IDENTITY_PRINCIPAL, "a", "AZURE_SP_PASSWORD: is not set"},
        {{{"AZURE_CLIENT_SECRET", "sentinel"}, {"IDENTITY_ENDPOINT", "http://localhost/"}, {"IDENTITY_HEADER", "sentinel"}},
         IDENTITY_PRINCIPAL,
         "",
         "AZURE_SP_APP_ID: is not set"},
        {{{"AZURE_SP_APP_ID", "a"}, {"IDENTITY_ENDPOINT", "http://localhost/"}, {"IDENTITY_HEADER", "sentinel"}},
         IDENTITY_PRINCIPAL,
         "a",
         "AZURE_SP_PASSWORD: is not set"},
        {{{"IDENTITY_ENDPOINT", "http://localhost/"}}, IDENTITY_APP, "", "IDENTITY_HEADER: is not set"},
        {{{"IDENTITY_HEADER", "sentinel"}}, IDENTITY_APP, "", "IDENTITY_ENDPOINT: is not set"},
        {{{"IDENTITY_ENDPOINT", "http://8.8.8.8/"}, {"IDENTITY_HEADER", "sentinel"}}, IDENTITY_APP, "", "IDENTITY_ENDPOINT: an https"},
        {{{"IDENTITY_ENDPOINT", "http://elsewhere/"}, {"IDENTITY_HEADER", "sentinel"}}, IDENTITY_APP, "", "IDENTITY_ENDPOINT: an https"},
        {{{"AZURE_CLIENT_ID", "a/b"}}, IDENTITY_VM, "", "AZURE_SP_APP_ID: letters, digits and dashes only"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_STR faults = STR_MAX(16384), notes = STR_MAX(4096);
        struct settings s;
        good(NULL);
        set("AZURE_SP_APP_ID", NULL);
        set("AZURE_SP_PASSWORD", NULL);
        set("AZURE_SP_TENANT", NULL);
        for (size_t k = 0; k < COUNT(rows[i].env) && rows[i].env[k][0] != NULL; k++)
            set(rows[i].env[k][0], rows[i].env[k][1]);
        assert_int_equal(read(&s, &faults, &notes), rows[i].fault != NULL ? ERR_INPUT : OK);
        assert_int_equal(s.identity.kind, rows[i].kind);
        assert_string_equal(s.identity.client_id, rows[i].client_id);
        if (rows[i].fault != NULL)
            assert_has(str_c(&faults), rows[i].fault);
        settings_done(&s);
    }
}

static void test_each_fault(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *says;
    } rows[] = {
        {"AzureWebJobsStorage", "", "AzureWebJobsStorage: is not set"},
        {"AzureWebJobsStorage", "BlobEndpoint=https://a.blob.core.windows.net;SharedAccessSignature=sv=1&sig=sentinel",
         "AzureWebJobsStorage: "},
        {"AzureWebJobsStorage", "UseDevelopmentStorage=true", "FileEndpoint"},
        {"AZURE_STORAGE_CONNECTION_STRING",
         "DefaultEndpointsProtocol=https;AccountName=another;AccountKey=" KEY ";EndpointSuffix=core.windows.net", "another account"},
        {"AZURE_STORAGE_ACCOUNT_NAME", "another", "another account"},
        {"TRAIN_VM_RESOURCE_GROUP", NULL, "TRAIN_VM_RESOURCE_GROUP: is not set"},
        {"TRAIN_VM_RESOURCE_GROUP", "0123456789012345678901234567890123456789", "at most 39"},
        {"TRAIN_VM_RESOURCE_GROUP", "a/b", "letters, digits"},
        {"AZURE_SP_APP_ID", NULL, "AZURE_SP_APP_ID"},
        {"AZURE_SP_PASSWORD", NULL, "AZURE_SP_PASSWORD"},
        {"AZURE_SP_TENANT", "a/../b", "AZURE_SP_TENANT"},
        {"AZURE_AUTHORITY_HOST", "http://login.example", "AZURE_AUTHORITY_HOST: an https address"},
        {"AZURE_ARM_ENDPOINT", "http://arm.example", "AZURE_ARM_ENDPOINT: an https address"},
        {"SLACK_URL", "http://hooks.example/sentinel", "SLACK_URL: an https address"},
        {"MAX_JOBS", "0", "MAX_JOBS"},
        {"MAX_JOBS", "two", "MAX_JOBS"},
        {"MAX_JOBS", "1.5", "whole"},
        {"MAX_HOURS", "25", "must not be above MAX_JOB_HOURS"},
        {"MAX_JOB_HOURS", "49", "MAX_JOB_HOURS"},
        {"EPOCHS", "2000", "EPOCHS"},
        {"WAIT_FOR_UPLOAD", "0", "WAIT_FOR_UPLOAD"},
        {"VM_SIZE", "D8s", "VM_SIZE"},
        {"VM_SIZES", "Standard_D8s_v4,D8s", "VM_SIZES: different sizes"},
        {"VM_SIZES", "Standard_D8s_v4,,Standard_D8s_v5", "VM_SIZES: different sizes"},
        {"VM_SIZES", "Standard_D8s_v4,standard_d8s_v4", "VM_SIZES: different sizes"},
        {"AZURE_LOCATION", "japan-east", "AZURE_LOCATION: a region"},
        {"REGIONS", "japaneast,Japan East", "REGIONS: at most 5 different"},
        {"REGIONS", "a1,a2,a3,a4,a5,a6", "REGIONS: at most 5 different"},
        {"SPOT", "yes", "SPOT: one of never, prefer, only"},
        {"TRAINER", "otx", "TRAINER: one of tiny, getitune"},
        {"LEGACY_ROOT", "yes", "LEGACY_ROOT: one of keep, replace"},
        {"TRAIN_IMAGE_ID", "trainer-2026", "TRAIN_IMAGE_ID: the resource id"},
        {"TRAIN_IMAGE_ID", "/subscriptions/0/images/a\"b", "TRAIN_IMAGE_ID: the resource id"},
        {"VM_STORAGE_HOST", "10.0.2.2", "VM_STORAGE_HOST: an address"}, /* the account is no emulator's */
        {"FUNCTIONS_CUSTOMHANDLER_PORT", NULL, "FUNCTIONS_CUSTOMHANDLER_PORT"},
        {"FUNCTIONS_CUSTOMHANDLER_PORT", "99999", "FUNCTIONS_CUSTOMHANDLER_PORT"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_STR faults = STR_MAX(16384), notes = STR_MAX(4096);
        struct settings s;
        good(NULL);
        set(rows[i].name, rows[i].value);
        assert_int_equal(read(&s, &faults, &notes), ERR_INPUT);
        assert_has(str_c(&faults), rows[i].says);
        settings_done(&s);
    }
}

static void test_all_faults_are_told_together(void **state)
{
    (void)state;
    AUTO_STR faults = STR_MAX(16384), notes = STR_MAX(4096);
    struct settings s;
    env_count = 0;
    set("WEBSITE_INSTANCE_ID", "in App Service, where no VM's identity is");
    assert_int_equal(read(&s, &faults, &notes), ERR_INPUT);
    static const char *const names[] = {"AzureWebJobsStorage", "TRAIN_VM_RESOURCE_GROUP", "AZURE_SP_APP_ID",
                                        "AZURE_SP_PASSWORD",   "AZURE_SP_TENANT",         "FUNCTIONS_CUSTOMHANDLER_PORT"};
    for (size_t i = 0; i < COUNT(names); i++)
        assert_has(str_c(&faults), names[i]);
    settings_done(&s);
}

static void load(const char *file, struct str *to)
{
    char piece[4096];
    size_t n;
    AUTO_STR path = STR_MAX(4096);
    str_addf(&path, "%s/../../%s", TEST_GOLDEN, file);
    FILE *f = fopen(str_c(&path), "rbe");
    assert_non_null(f);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        str_add_n(to, piece, n);
    fclose(f);
}

static void test_readme_and_example_name_every_setting(void **state)
{
    (void)state;
    size_t count;
    const struct settings_row *rows = settings_rows(&count);
    AUTO_STR readme = STR_MAX(1024 * 1024), example = STR_MAX(1024 * 1024);
    load("README.md", &readme);
    load("local.settings.json.example", &example);
    for (size_t i = 0; i < count; i++) {
        AUTO_STR line = STR_MAX(1024), member = STR_MAX(256);
        str_addf(&line, "| `%s` | %s%s%s | %s |", rows[i].name, *rows[i].fallback != '\0' ? "`" : "", rows[i].fallback,
                 *rows[i].fallback != '\0' ? "`" : "", rows[i].meaning);
        assert_has(str_c(&readme), str_c(&line));
        str_addf(&member, "\"%s\"", rows[i].name);
        /* Former names are not for new files, and what the platform sets must not be set over by people. */
        if (!str_starts(rows[i].name, "AZURE_STORAGE_") && !str_starts(rows[i].name, "IDENTITY_"))
            assert_has(str_c(&example), str_c(&member));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_defaults, good),
        cmocka_unit_test_setup(test_former_and_standard_names, good),
        cmocka_unit_test_setup(test_lists, good),
        cmocka_unit_test_setup(test_both_must_agree, good),
        cmocka_unit_test_setup(test_whose_identity, good),
        cmocka_unit_test_setup(test_each_fault, good),
        cmocka_unit_test_setup(test_all_faults_are_told_together, good),
        cmocka_unit_test(test_readme_and_example_name_every_setting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
