#include "test.h"

#include "azure/storage.h"

#define KEY "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#define DEV "devstoreaccount1"

static const struct {
    const char *text, *account, *blob, *queue, *file;
} forms[] = {
    {"DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=" KEY ";EndpointSuffix=core.windows.net", "acc",
     "https://acc.blob.core.windows.net", "https://acc.queue.core.windows.net", "https://acc.file.core.windows.net"},
    {"accountkey=" KEY ";ACCOUNTNAME=acc", "acc", "https://acc.blob.core.windows.net", "https://acc.queue.core.windows.net",
     "https://acc.file.core.windows.net"},
    {"AccountName=acc;AccountKey=" KEY ";EndpointSuffix=core.chinacloudapi.cn;;", "acc", "https://acc.blob.core.chinacloudapi.cn",
     "https://acc.queue.core.chinacloudapi.cn", "https://acc.file.core.chinacloudapi.cn"},
    {" \"DefaultEndpointsProtocol = https ; AccountName= 'acc' ;\r\n AccountKey=\"" KEY "\"\" \r\n", "acc",
     "https://acc.blob.core.windows.net", "https://acc.queue.core.windows.net", "https://acc.file.core.windows.net"},
    {"AccountName=acc;AccountKey=" KEY ";BlobEndpoint=https://acc.z12.blob.storage.azure.net/;DefaultEndpointsProtocol=https;"
     "BlobSecondaryEndpoint=https://acc-secondary.blob.core.windows.net/;Unknown=x",
     "acc", "https://acc.z12.blob.storage.azure.net", "https://acc.queue.core.windows.net", "https://acc.file.core.windows.net"},
    {"DefaultEndpointsProtocol=http;AccountName=" DEV ";AccountKey=" KEY ";BlobEndpoint=http://127.0.0.1:10000/" DEV
     ";QueueEndpoint=http://127.0.0.1:10001/" DEV ";TableEndpoint=http://127.0.0.1:10002/" DEV ";",
     DEV, "http://127.0.0.1:10000/" DEV, "http://127.0.0.1:10001/" DEV, ""},
    {"AccountName=a1;AccountKey=c2hvcnQ=;BlobEndpoint=http://localhost:1/a1;FileEndpoint=http://localhost:2/a1//", "a1",
     "http://localhost:1/a1", "", "http://localhost:2/a1"},
    {"UseDevelopmentStorage=true", DEV, "http://127.0.0.1:10000/" DEV, "http://127.0.0.1:10001/" DEV, ""},
    {"usedevelopmentstorage=TRUE;DevelopmentStorageProxyUri=http://localhost:8888/x", DEV, "http://localhost:10000/" DEV,
     "http://localhost:10001/" DEV, ""},
};

static void every_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct storage s;
        struct err err = {0};
        memset(&s, 0x5A, sizeof s); /* what was there before does not matter */
        assert_ok(storage_parse(forms[i].text, &s, &err), err);
        assert_string_equal(s.account, forms[i].account);
        assert_string_equal(s.blob, forms[i].blob);
        assert_string_equal(s.queue, forms[i].queue);
        assert_string_equal(s.file, forms[i].file);
        assert_int_equal(secret_len(&s.key), strstr(forms[i].text, "c2hvcnQ=") ? 5 : 64);
        assert_int_equal(s.call_ms, 30000);
        storage_done(&s);
    }
}

/* No fault text may show what was in the string: each of these values holds VALUE. */
static void every_fault(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } faults[] = {
        {"", "is empty"},
        {" \r\n\"\"", "is empty"},
        {"VALUE", "a part without '='"},
        {"AccountName=VALUE;VALUE", "a part without '='"},
        {"AccountName=acc", "has no AccountKey"},
        {"AccountKey=" KEY, "has no AccountName"},
        {"AccountName=;AccountKey=" KEY, "has no AccountName"},
        {"AccountName=VALUE;AccountKey=", "has no AccountKey"},
        {"AccountName=VALUE;accountname=VALUE;AccountKey=" KEY, "AccountName twice"},
        {"AccountName=VALUE/../x;AccountKey=" KEY, "AccountName is not the name"},
        {"AccountName=acc;AccountKey=VALUE", "AccountKey is not base64"},
        {"AccountName=acc;AccountKey=VALUEVALUE==", "AccountKey is not base64"},
        {"AccountName=acc;AccountKey=VALUEVALUE0=", "AccountKey has 8 bytes instead of 64"},
        {"AccountName=acc;AccountKey=" KEY ";DefaultEndpointsProtocol=VALUE", "DefaultEndpointsProtocol can only be"},
        {"AccountName=acc;AccountKey=" KEY ";DefaultEndpointsProtocol=http", "DefaultEndpointsProtocol is http: only https"},
        {"AccountName=acc;AccountKey=" KEY ";BlobEndpoint=VALUE", "BlobEndpoint is not an address"},
        {"AccountName=acc;AccountKey=" KEY ";BlobEndpoint=http://VALUE.example", "BlobEndpoint is http: only https"},
        {"AccountName=acc;AccountKey=" KEY ";QueueEndpoint=https://VALUE/?sig=1", "QueueEndpoint is not an address"},
        {"AccountName=acc;AccountKey=" KEY ";FileEndpoint=https://u:VALUE@host", "FileEndpoint is not an address"},
        {"AccountName=acc;AccountKey=" KEY ";FileEndpoint=https://", "FileEndpoint"},
        {"AccountName=acc;AccountKey=" KEY ";EndpointSuffix=VALUE?x", "EndpointSuffix is not an address"},
        {"BlobEndpoint=https://VALUE.blob.core.windows.net;SharedAccessSignature=?sv=1&sig=VALUE==",
         "SharedAccessSignature: one with AccountName"},
        {"AccountName=acc;AccountKey=" KEY ";SharedAccessSignature=sig=VALUE", "SharedAccessSignature"},
        {"UseDevelopmentStorage=VALUE", "UseDevelopmentStorage can only be true"},
        {"UseDevelopmentStorage=true;DevelopmentStorageProxyUri=VALUE", "DevelopmentStorageProxyUri is not an address"},
        {"UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://VALUE", "DevelopmentStorageProxyUri is http: only https"},
    };
    for (size_t i = 0; i < COUNT(faults); i++) {
        struct storage s;
        struct err err = {0};
        if (storage_parse(faults[i].text, &s, &err) != ERR_INPUT)
            fail_msg("taken: %s", faults[i].text);
        assert_has(err.msg, faults[i].says);
        assert_lacks(err.msg, "VALUE");
        assert_lacks(err.msg, "Eby8");
        assert_int_equal(secret_len(&s.key), 0);
    }
    struct storage s;
    assert_int_equal(storage_parse(NULL, &s, NULL), ERR_INPUT);
    AUTO_STR longer = STR_MAX(4000);
    struct err err;
    str_add(&longer, "AccountName=acc;AccountKey=" KEY ";BlobEndpoint=https://");
    for (int i = 0; i < 300; i++)
        str_add(&longer, "x");
    assert_int_equal(storage_parse(str_c(&longer), &s, &err), ERR_INPUT);
    assert_has(err.msg, "BlobEndpoint is too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_form), cmocka_unit_test(every_fault)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
