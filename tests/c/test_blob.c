#include "test.h"

#include "azure/blob.h"
#include "cloud.h"

#define ETAG "\"0x8D\""
#define WITH(...)                                                                                                                          \
    static const struct fake_step steps[] = {__VA_ARGS__};                                                                                 \
    struct cloud c;                                                                                                                        \
    struct err err = {0};                                                                                                                  \
    (void)state;                                                                                                                           \
    cloud_init(&c, steps, COUNT(steps))

static void get(void **state)
{
    WITH({.method = "GET",
          .url = BLOB_HOST "/jobs/a%20b/%E6%97%A5%2B.json",
          .expect = {"x-ms-version: 2025-07-05", "x-ms-date: Thu, 01 Jan 2026 00:00:00 GMT", "Authorization", "x-ms-client-request-id",
                     "Accept-Encoding: identity"},
          .status = 200,
          .reply = {"ETag: " ETAG, "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT", "x-ms-meta-job: j1", "x-ms-meta-version: v7"},
          .answer = "content"},
         {.method = "GET", .url = BLOB_HOST "/jobs/big", .status = 200, .answer = "12345678901"},
         {.method = "GET", .url = BLOB_HOST "/jobs/none", .status = 404, .reply = {"x-ms-error-code: BlobNotFound"}});
    AUTO_STR body = STR_MAX(10);
    struct blob_info info;
    str_add(&body, "old");
    assert_ok(blob_get(&c.storage, "jobs", "a b/\xE6\x97\xA5+.json", &body, &info, &err), err);
    assert_string_equal(str_c(&body), "content");
    assert_int_equal(body.max, 10);
    assert_string_equal(info.etag, ETAG);
    assert_int_equal(info.size, 7);
    assert_true(info.modified_s == 1767225600);
    assert_string_equal(info.meta_job, "j1");
    assert_string_equal(info.meta_version, "v7");
    assert_int_equal(blob_get(&c.storage, "jobs", "big", &body, NULL, &err), ERR_TOO_LARGE);
    assert_has(err.msg, "answer too large");
    assert_int_equal(blob_get(&c.storage, "jobs", "none", &body, NULL, &err), ERR_ABSENT);
    assert_string_equal(err.remote, "BlobNotFound");
    assert_int_equal(err.http_status, 404);
    cloud_done(&c);
}

static void errors_are_explained(void **state)
{
    WITH({.method = "GET",
          .url = BLOB_HOST "/c/n",
          .status = 403,
          .reply = {"Date: Thu, 01 Jan 2026 00:20:00 GMT"},
          .answer = "\xEF\xBB\xBF<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate.\n"
                    "RequestId:1</Message><AuthenticationErrorDetail>string to sign: x</AuthenticationErrorDetail></Error>"},
         {.method = "GET", .url = BLOB_HOST "/c/n", .status = 400, .answer = "not xml"},
         {.method = "GET", .url = BLOB_HOST "/c/n", .status = 409, .reply = {"x-ms-error-code: BlobArchived"}},
         {.method = "GET", .url = BLOB_HOST "/c/n", .status = 412, .answer = "<Error><Code>ConditionNotMet</Code></Error>"},
         {.method = "GET", .url = BLOB_HOST "/c/n", .status = 304},
         {.method = "GET",
          .url = BLOB_HOST "/c/n",
          .status = 503,
          .reply = {"Retry-After: 50"},
          .answer = "<Error><Code>ServerBusy</Code></Error>"});
    AUTO_STR body = STR_MAX(1000);
    assert_int_equal(blob_get(&c.storage, "c", "n", &body, NULL, &err), ERR_REFUSED);
    assert_string_equal(err.msg,
                        "GET " BLOB_HOST "/c/n: HTTP 403 AuthenticationFailed: Server failed to authenticate.; this machine's clock is "
                        "20 minutes off");
    assert_string_equal(err.remote, "AuthenticationFailed");
    assert_int_equal(blob_get(&c.storage, "c", "n", &body, NULL, &err), ERR_REFUSED);
    assert_string_equal(err.msg, "GET " BLOB_HOST "/c/n: HTTP 400 without a reason");
    assert_int_equal(blob_get(&c.storage, "c", "n", &body, NULL, &err), ERR_CONFLICT);
    assert_int_equal(blob_get(&c.storage, "c", "n", &body, NULL, &err), ERR_CONFLICT);
    assert_string_equal(err.remote, "ConditionNotMet");
    assert_int_equal(blob_get(&c.storage, "c", "n", &body, NULL, &err), ERR_REFUSED);
    assert_int_equal(blob_get(&c.storage, "c", "n", &body, NULL, &err), ERR_UNREACHABLE);
    assert_string_equal(err.remote, "ServerBusy");
    assert_int_equal(err.http_status, 503);
    cloud_done(&c);
}

static void one_operation_keeps_its_id(void **state)
{
    WITH({.method = "HEAD", .url = BLOB_HOST "/c/n", .expect = {"x-ms-client-request-id: 00000007-0000-4007-8007-000000000007"}},
         {.method = "HEAD",
          .url = BLOB_HOST "/c/n",
          .expect = {"x-ms-client-request-id: 00000007-0000-4007-8007-000000000007", "x-ms-date: Thu, 01 Jan 2026 00:00:00 GMT"},
          .takes_ms = 2000,
          .status = 500},
         {.method = "HEAD",
          .url = BLOB_HOST "/c/n",
          .expect = {"x-ms-client-request-id: 00000007-0000-4007-8007-000000000007", "x-ms-date: Thu, 01 Jan 2026 00:00:02 GMT"},
          .status = 200,
          .reply = {"content-length: 12", "x-ms-copy-status: success"}});
    struct blob_info info;
    c.clock.random = 7;
    assert_ok(blob_head(&c.storage, "c", "n", &info, &err), err);
    assert_int_equal(info.size, 12);
    assert_string_equal(info.copy_status, "success");
    cloud_done(&c);
}

static void put_conditions(void **state)
{
    WITH({.method = "PUT",
          .url = BLOB_HOST "/c/n",
          .expect = {"If-None-Match: *", "!If-Match", "Content-Type: application/json", "x-ms-blob-type: BlockBlob"},
          .body = "{}",
          .status = 201,
          .reply = {"etag: " ETAG}},
         {.method = "PUT", .url = BLOB_HOST "/c/n", .expect = {"If-Match: " ETAG, "!If-None-Match"}, .status = 412},
         {.method = "PUT", .url = BLOB_HOST "/c/n", .expect = {"!If-Match", "!If-None-Match"}, .body = "", .status = 201},
         {.method = "PUT", .url = BLOB_HOST "/c/n", .expect = {"If-Match: \"none\""}, .status = 412});
    char etag[ETAG_MAX] = "";
    assert_ok(blob_put(&c.storage, "c", "n", "{}", 2, "application/json", BLOB_IF_ABSENT, NULL, etag, &err), err);
    assert_string_equal(etag, ETAG);
    assert_int_equal(blob_put(&c.storage, "c", "n", "{}", 2, "application/json", BLOB_IF_MATCH, etag, etag, &err), ERR_CONFLICT);
    assert_ok(blob_put(&c.storage, "c", "n", NULL, 0, "text/plain", BLOB_ANY, NULL, NULL, &err), err);
    assert_int_equal(blob_put(&c.storage, "c", "n", NULL, 0, "text/plain", BLOB_IF_MATCH, "", NULL, &err), ERR_CONFLICT);
    cloud_done(&c);
}

static void put_makes_the_container_once(void **state)
{
    WITH({.method = "PUT", .url = BLOB_HOST "/c/n", .status = 404, .reply = {"x-ms-error-code: ContainerNotFound"}},
         {.method = "PUT",
          .url = BLOB_HOST "/c?restype=container",
          .body = "",
          .expect = {"!Content-Type"},
          .status = 409,
          .reply = {"x-ms-error-code: ContainerAlreadyExists"}},
         {.method = "PUT", .url = BLOB_HOST "/c/n", .body = "x", .status = 201},
         {.method = "PUT", .url = BLOB_HOST "/c/n", .status = 404, .reply = {"x-ms-error-code: ContainerNotFound"}},
         {.method = "PUT", .url = BLOB_HOST "/c?restype=container", .status = 201},
         {.method = "PUT", .url = BLOB_HOST "/c/n", .status = 404, .reply = {"x-ms-error-code: ContainerNotFound"}},
         {.method = "PUT", .url = BLOB_HOST "/c/n", .status = 404, .reply = {"x-ms-error-code: ContainerNotFound"}},
         {.method = "PUT", .url = BLOB_HOST "/c?restype=container", .status = 409, .reply = {"x-ms-error-code: ContainerBeingDeleted"}});
    assert_ok(blob_put(&c.storage, "c", "n", "x", 1, "text/plain", BLOB_ANY, NULL, NULL, &err), err);
    assert_int_equal(blob_put(&c.storage, "c", "n", "x", 1, "text/plain", BLOB_ANY, NULL, NULL, &err), ERR_ABSENT);
    assert_int_equal(blob_put(&c.storage, "c", "n", "x", 1, "text/plain", BLOB_ANY, NULL, NULL, &err), ERR_CONFLICT);
    assert_string_equal(err.remote, "ContainerBeingDeleted");
    cloud_done(&c);
}

static void hash(void **state)
{
    WITH({.method = "GET", .url = BLOB_HOST "/c/n", .expect = {"If-Match: " ETAG}, .answer = "abcdef"},
         {.method = "GET", .url = BLOB_HOST "/c/n", .status = 200, .reply = {"etag: " ETAG}, .answer = "abc"},
         {.method = "GET", .url = BLOB_HOST "/c/n", .expect = {"If-Match: " ETAG}, .status = 412, .answer = "<Error/>"},
         {.method = "GET", .url = BLOB_HOST "/c/n", .expect = {"!If-Match"}, .status = 200, .answer = ""});
    struct blob_info info = {.etag = ETAG};
    char hex[65];
    assert_ok(blob_hash(&c.storage, "c", "n", &info, hex, &err), err);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(info.size, 3);
    assert_int_equal(blob_hash(&c.storage, "c", "n", &info, hex, &err), ERR_CONFLICT);
    assert_string_equal(hex, "");
    info.etag[0] = '\0';
    assert_ok(blob_hash(&c.storage, "c", "n", &info, hex, &err), err);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    cloud_done(&c);
}

static void copy(void **state)
{
    WITH({.method = "PUT",
          .url = BLOB_HOST "/model/v%201/m.zip",
          .expect = {"x-ms-copy-source: " BLOB_HOST "/job-files/a%20b", "x-ms-source-if-match: " ETAG, "If-None-Match: *",
                     "x-ms-meta-job: j1", "x-ms-meta-version: 7", "!x-ms-requires-sync", "!Content-Type"},
          .body = "",
          .status = 202,
          .reply = {"x-ms-copy-status: pending"}},
         {.method = "PUT", .url = BLOB_HOST "/model/m", .status = 412, .reply = {"x-ms-error-code: SourceConditionNotMet"}});
    char status[16] = "";
    assert_ok(blob_copy(&c.storage, "job-files", "a b", ETAG, "model", "v 1/m.zip", BLOB_IF_ABSENT, NULL, "j1", "7", status, &err), err);
    assert_string_equal(status, "pending");
    assert_int_equal(blob_copy(&c.storage, "f", "a", ETAG, "model", "m", BLOB_ANY, NULL, "j", "1", status, &err), ERR_CONFLICT);
    assert_string_equal(err.remote, "SourceConditionNotMet");
    cloud_done(&c);
}

static void delete (void **state)
{
    WITH({.method = "DELETE", .url = BLOB_HOST "/c/n", .expect = {"If-Match: " ETAG}, .status = 202},
         {.method = "DELETE", .url = BLOB_HOST "/c/n", .expect = {"!If-Match"}, .status = 404},
         {.method = "DELETE", .url = BLOB_HOST "/c/n", .status = 412});
    assert_ok(blob_delete(&c.storage, "c", "n", ETAG, &err), err);
    assert_ok(blob_delete(&c.storage, "c", "n", "", &err), err);
    assert_int_equal(blob_delete(&c.storage, "c", "n", ETAG, &err), ERR_CONFLICT);
    cloud_done(&c);
}

struct listed {
    char text[1000];
    int stop_after, count;
};

static bool note(void *ctx, const char *name, const struct blob_info *info)
{
    struct listed *l = ctx;
    size_t len = strlen(l->text);
    (void)snprintf(l->text + len, sizeof l->text - len, "%s %s %d %s %s %s|", name, info->etag, (int)info->size, info->meta_job,
                   info->meta_version, info->copy_status);
    return ++l->count != l->stop_after;
}

#define LIST BLOB_HOST "/c?restype=container&comp=list&include=metadata%2Ccopy&maxresults=1000"
#define PAGE1                                                                                                                              \
    "\xEF\xBB\xBF<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"x\" ContainerName=\"c\"><Blobs><Blob>"    \
    "<Name>a &amp; b</Name><Properties><Last-Modified>Thu, 01 Jan 2026 00:00:00 GMT</Last-Modified><Etag>0x8D</Etag><Content-Length>5"     \
    "</Content-Length><CopyStatus>success</CopyStatus></Properties><Metadata><job>j1</job><version>2</version></Metadata></Blob><Blob>"    \
    "<Name>c</Name><Properties><Etag>\"q\"</Etag></Properties></Blob></Blobs><NextMarker>2!9/x</NextMarker></EnumerationResults>"

static void list(void **state)
{
    WITH({.method = "GET", .url = LIST "&prefix=a%20%2F", .status = 200, .answer = PAGE1},
         {.method = "GET",
          .url = LIST "&prefix=a%20%2F&marker=2%219%2Fx",
          .status = 200, /* an empty page may have another behind it */
          .answer = "<EnumerationResults><Blobs/><NextMarker>3</NextMarker></EnumerationResults>"},
         {.method = "GET",
          .url = LIST "&prefix=a%20%2F&marker=3",
          .status = 200,
          .answer = "<EnumerationResults><Blobs><Blob><Name>d</Name></Blob></Blobs><NextMarker/></EnumerationResults>"},
         {.method = "GET", .url = LIST, .status = 200, .answer = PAGE1},
         {.method = "GET", .url = LIST, .status = 404, .reply = {"x-ms-error-code: ContainerNotFound"}},
         {.method = "GET", .url = LIST, .status = 200, .answer = "<html>"});
    struct listed l = {.stop_after = 0};
    assert_ok(blob_list(&c.storage, "c", "a /", note, &l, &err), err);
    assert_string_equal(l.text, "a & b \"0x8D\" 5 j1 2 success|c \"q\" 0   |d  0   |");
    l = (struct listed){.stop_after = 1};
    assert_ok(blob_list(&c.storage, "c", "", note, &l, &err), err);
    assert_int_equal(l.count, 1);
    l = (struct listed){.stop_after = 0};
    assert_ok(blob_list(&c.storage, "c", NULL, note, &l, &err), err);
    assert_int_equal(l.count, 0);
    assert_int_equal(blob_list(&c.storage, "c", "", note, &l, &err), ERR_UNREACHABLE);
    cloud_done(&c);
}

static void queues(void **state)
{
    WITH({.method = "PUT", .url = QUEUE_HOST "/q", .body = "", .status = 201}, {.method = "PUT", .url = QUEUE_HOST "/q", .status = 204},
         {.method = "PUT", .url = QUEUE_HOST "/q", .status = 409, .reply = {"x-ms-error-code: QueueAlreadyExists"}},
         {.method = "PUT", .url = QUEUE_HOST "/q", .status = 409, .reply = {"x-ms-error-code: QueueBeingDeleted"}});
    for (int i = 0; i < 3; i++)
        assert_ok(queue_create(&c.storage, "q", &err), err);
    assert_int_equal(queue_create(&c.storage, "q", NULL), ERR_CONFLICT);
    c.storage.queue[0] = '\0';
    assert_int_equal(queue_create(&c.storage, "q", &err), ERR_INPUT);
    assert_has(err.msg, "no endpoint for this service");
    cloud_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(get),
                                       cmocka_unit_test(errors_are_explained),
                                       cmocka_unit_test(one_operation_keeps_its_id),
                                       cmocka_unit_test(put_conditions),
                                       cmocka_unit_test(put_makes_the_container_once),
                                       cmocka_unit_test(hash),
                                       cmocka_unit_test(copy),
                                       cmocka_unit_test(delete),
                                       cmocka_unit_test(list),
                                       cmocka_unit_test(queues)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
