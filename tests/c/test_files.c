#include "test.h"

#include "azure/files.h"
#include "cloud.h"

#define WITH(...)                                                                                                                          \
    static const struct fake_step steps[] = {__VA_ARGS__};                                                                                 \
    struct cloud c;                                                                                                                        \
    struct err err = {0};                                                                                                                  \
    (void)state;                                                                                                                           \
    cloud_init(&c, steps, COUNT(steps))

static void head(void **state)
{
    WITH({.method = "HEAD",
          .url = FILE_HOST "/train/a%20b/x.zip",
          .status = 200,
          .reply = {"content-length: 10737418240", "etag: \"e\"", "last-modified: Thu, 01 Jan 2026 00:00:00 GMT",
                    "date: Thu, 01 Jan 2026 00:01:00 GMT"}},
         {.method = "HEAD", .url = FILE_HOST "/train/none", .status = 404, .reply = {"x-ms-error-code: ResourceNotFound"}});
    struct file_info info;
    assert_ok(files_head(&c.storage, "train", "a b/x.zip", &info, &err), err);
    assert_true(info.size == INT64_C(10737418240));
    assert_string_equal(info.etag, "\"e\"");
    assert_true(info.modified_s == 1767225600 && info.answered_s == 1767225660);
    assert_int_equal(files_head(&c.storage, "train", "none", &info, &err), ERR_ABSENT);
    assert_string_equal(err.remote, "ResourceNotFound");
    cloud_done(&c);
}

static void read_range(void **state)
{
    WITH({.method = "GET",
          .url = FILE_HOST "/logs/f",
          .expect = {"x-ms-range: bytes=10-14", "!Range"},
          .status = 206,
          .reply = {"content-range: bytes 10-14/100", "content-length: 5"},
          .answer = "hello"},
         {.method = "GET",
          .url = FILE_HOST "/logs/f",
          .status = 416,
          .reply = {"content-range: bytes */100", "x-ms-error-code: InvalidRange"},
          .answer = "<Error><Code>InvalidRange</Code></Error>"},
         {.method = "GET", .url = FILE_HOST "/logs/f", .status = 404, .reply = {"x-ms-error-code: ParentNotFound"}});
    AUTO_STR body = STR_MAX(100);
    struct file_info info;
    assert_ok(files_read(&c.storage, "logs", "f", 10, 5, &body, &info, &err), err);
    assert_string_equal(str_c(&body), "hello");
    assert_int_equal(info.size, 100);
    assert_ok(files_read(&c.storage, "logs", "f", 100, 5, &body, &info, &err), err);
    assert_string_equal(str_c(&body), "");
    assert_int_equal(info.size, 100);
    assert_int_equal(files_read(&c.storage, "logs", "f", 0, 5, &body, NULL, &err), ERR_ABSENT);
    assert_int_equal(files_read(&c.storage, "logs", "f", -1, 5, &body, NULL, &err), ERR_INPUT);
    assert_int_equal(files_read(&c.storage, "logs", "f", 0, 0, &body, NULL, &err), ERR_INPUT);
    cloud_done(&c);
}

static void write(void **state)
{
    WITH({.method = "PUT",
          .url = FILE_HOST "/logs/d/RESULT.txt",
          .expect = {"x-ms-type: file", "x-ms-content-length: 5", "!Content-Type"},
          .body = "",
          .status = 201},
         {.method = "PUT",
          .url = FILE_HOST "/logs/d/RESULT.txt?comp=range",
          .expect = {"x-ms-range: bytes=0-4", "x-ms-write: update"},
          .body = "hello",
          .status = 201},
         {.method = "PUT", .url = FILE_HOST "/logs/empty", .expect = {"x-ms-content-length: 0"}, .status = 201},
         {.method = "PUT", .url = FILE_HOST "/logs/no/f", .status = 404, .reply = {"x-ms-error-code: ParentNotFound"}});
    assert_ok(files_write(&c.storage, "logs", "d/RESULT.txt", "hello", 5, &err), err);
    assert_ok(files_write(&c.storage, "logs", "empty", "", 0, &err), err);
    assert_int_equal(files_write(&c.storage, "logs", "no/f", "x", 1, &err), ERR_ABSENT);
    assert_int_equal(files_write(&c.storage, "logs", "f", "x", 4u * 1024 * 1024 + 1, &err), ERR_INPUT);
    cloud_done(&c);
}

static void make(void **state)
{
    WITH({.method = "PUT", .url = FILE_HOST "/logs/a%20b?restype=directory", .body = "", .status = 201},
         {.method = "PUT",
          .url = FILE_HOST "/logs/a%20b?restype=directory",
          .status = 409,
          .reply = {"x-ms-error-code: ResourceAlreadyExists"}},
         {.method = "PUT", .url = FILE_HOST "/logs/a/b?restype=directory", .status = 404, .reply = {"x-ms-error-code: ParentNotFound"}},
         {.method = "PUT", .url = FILE_HOST "/logs?restype=share", .status = 201},
         {.method = "PUT", .url = FILE_HOST "/logs?restype=share", .status = 409, .reply = {"x-ms-error-code: ShareAlreadyExists"}},
         {.method = "PUT", .url = FILE_HOST "/logs?restype=share", .status = 409, .reply = {"x-ms-error-code: ShareBeingDeleted"}});
    assert_ok(files_make_directory(&c.storage, "logs", "a b", &err), err);
    assert_ok(files_make_directory(&c.storage, "logs", "a b", NULL), err);
    assert_int_equal(files_make_directory(&c.storage, "logs", "a/b", &err), ERR_ABSENT);
    assert_ok(files_create_share(&c.storage, "logs", &err), err);
    assert_ok(files_create_share(&c.storage, "logs", &err), err);
    assert_int_equal(files_create_share(&c.storage, "logs", &err), ERR_CONFLICT);
    cloud_done(&c);
}

struct listed {
    char text[500];
    int stop_after, count;
};

static bool note(void *ctx, const char *name, int64_t modified_s)
{
    struct listed *l = ctx;
    size_t len = strlen(l->text);
    (void)snprintf(l->text + len, sizeof l->text - len, "%s %lld|", name, (long long)modified_s);
    return ++l->count != l->stop_after;
}

#define QUERY "?restype=directory&comp=list&include=Timestamps"
#define PAGE                                                                                                                               \
    "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Entries><Directory><Name>ab-dir</Name></Directory><File><Name>ab "     \
    "&amp; 1"                                                                                                                              \
    "</Name><Properties><Content-Length>3</Content-Length><Last-Modified>Thu, 01 Jan 2026 00:00:00 "                                       \
    "GMT</Last-Modified></Properties></File>"                                                                                              \
    "<File><Name>AB2</Name></File><File><Name>ab3</Name><Properties/></File></Entries><NextMarker>"

static void list(void **state)
{
    WITH({.method = "GET",
          .url = FILE_HOST "/logs/d%20e" QUERY "&prefix=ab",
          .expect = {"x-ms-file-extended-info: true"},
          .status = 200,
          .answer = PAGE "m&amp;1</NextMarker></EnumerationResults>"},
         {.method = "GET",
          .url = FILE_HOST "/logs/d%20e" QUERY "&prefix=ab&marker=m%261",
          .status = 200,
          .answer = "<EnumerationResults><Entries><File><Name>ab9</Name></File></Entries><NextMarker/></EnumerationResults>"},
         {.method = "GET", .url = FILE_HOST "/logs" QUERY, .status = 200, .answer = PAGE "m</NextMarker></EnumerationResults>"},
         {.method = "GET", .url = FILE_HOST "/logs/no" QUERY, .status = 404, .reply = {"x-ms-error-code: ResourceNotFound"}});
    struct listed l = {.stop_after = 0};
    assert_ok(files_list(&c.storage, "logs", "d e", "ab", note, &l, &err), err);
    assert_string_equal(l.text, "ab & 1 1767225600|ab3 0|ab9 0|");
    l = (struct listed){.stop_after = 2};
    assert_ok(files_list(&c.storage, "logs", "", "", note, &l, &err), err);
    assert_int_equal(l.count, 2);
    assert_int_equal(files_list(&c.storage, "logs", "no", NULL, note, &l, &err), ERR_ABSENT);
    cloud_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(head), cmocka_unit_test(read_range), cmocka_unit_test(write),
                                       cmocka_unit_test(make), cmocka_unit_test(list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
