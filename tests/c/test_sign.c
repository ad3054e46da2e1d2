#include "test.h"

#include "azure/sign.h"
#include "base/crypto.h"
#include "fake_http.h"
#include "vectors.h"

#define AT_S 1767225600 /* 2026-01-01T00:00:00Z, the date of all vectors */

static void set_key(struct storage *s, const char *account, const char *key)
{
    AUTO_STR bytes = STR_MAX(200);
    *s = (struct storage){0};
    str_copy(s->account, sizeof s->account, account);
    assert_int_equal(base64_decode(&bytes, key, strlen(key), NULL), OK);
    assert_int_equal(secret_set(&s->key, bytes.p, bytes.len, NULL), OK);
}

static void build(const struct json *v, struct http_request *req, struct str *body)
{
    const struct json *headers = json_get(v, "headers");
    const char *base64 = json_get_text(v, "body_base64");
    http_request_init(req, json_get_text(v, "method"), 0);
    str_add(&req->url, json_get_text(v, "url"));
    for (size_t i = 0; i < json_len(headers); i++) {
        const struct json *h = json_at(headers, i);
        if (!str_is_nocase(json_name(h), "content-length")) /* curl's to send */
            http_set(&req->headers, json_name(h), json_text(h));
    }
    if (base64[0])
        assert_int_equal(base64_decode(body, base64, strlen(base64), NULL), OK);
    else
        str_add(body, json_get_text(v, "body_utf8"));
    while ((int64_t)body->len < json_get_int(v, "content_length", 0))
        str_add(body, "x"); /* only its length is signed */
    req->body = body->p;
    req->body_len = body->len;
}

static void all_shared_key_vectors(void **state)
{
    (void)state;
    AUTO_JSON root = vectors_load("shared_key.json");
    const struct json *vectors = json_get(root, "vectors");
    int tried = 0;
    for (size_t i = 0; i < json_len(vectors); i++) {
        const struct json *v = json_at(vectors, i);
        const char *id = json_get_text(v, "id");
        if (!str_is(json_get_text(v, "scheme"), "SharedKey") || str_is(json_get_text(v, "service"), "table"))
            continue;
        AUTO_REQUEST req = {0};
        AUTO_STR body = STR_MAX(1024 * 1024);
        AUTO_STR text = STR_MAX(65536);
        struct storage s;
        struct err err = {0};
        set_key(&s, json_get_text(v, "account"), json_get_text(v, "account_key"));
        build(v, &req, &body);
        sign_string(s.account, &req, &text);
        if (!str_is(str_c(&text), json_get_text(v, "string_to_sign")))
            fail_msg("%s: signed\n%s\nnot\n%s", id, str_c(&text), json_get_text(v, "string_to_sign"));
        assert_ok(sign_authorize(&s, &req, AT_S, &err), err);
        if (!str_is(http_get(&req.headers, "authorization"), json_get_text(v, "authorization")))
            fail_msg("%s: %s", id, http_get(&req.headers, "authorization"));
        storage_done(&s);
        tried++;
    }
    assert_int_equal(tried, 25);
}

static void wrong_strings_are_not_made(void **state)
{
    (void)state;
    AUTO_JSON root = vectors_load("shared_key.json");
    const struct json *negative = json_get(root, "negative");
    assert_int_equal(json_len(negative), 6);
    for (size_t i = 0; i < json_len(negative); i++) {
        const struct json *v = json_at(negative, i);
        AUTO_REQUEST req = {0};
        AUTO_STR text = STR_MAX(65536);
        http_request_init(&req, json_get_text(v, "method"), 0);
        str_add(&req.url, json_get_text(v, "url"));
        http_set(&req.headers, "x-ms-date", "Thu, 01 Jan 2026 00:00:00 GMT");
        http_set(&req.headers, "x-ms-version", "2025-07-05");
        sign_string("devstoreaccount1", &req, &text);
        assert_string_not_equal(str_c(&text), json_get_text(v, "string_to_sign"));
    }
}

static void odd_requests(void **state)
{
    (void)state;
    static const struct {
        const char *url, *end; /* of the string to sign */
    } cases[] = {
        {"https://a.blob.core.windows.net", "\n/a/"},
        {"https://a.blob.core.windows.net?comp=list", "\n/a/\ncomp:list"},
        {"https://h/p?", "\n/a/p"},
        {"https://h/p?b=2&&a=1&", "\n/a/p\na:1\nb:2"},
        {"https://h/p?A=%2f%3d&a=%zz%", "\n/a/p\na:%zz%,/="},
        {"https://h/p?x", "\n/a/p\nx:"},
        {"https://h/p?x=a=b+c", "\n/a/p\nx:a=b+c"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO_REQUEST req = {0};
        AUTO_STR text = STR_MAX(4096);
        http_request_init(&req, "GET", 0);
        str_add(&req.url, cases[i].url);
        sign_string("a", &req, &text);
        size_t len = strlen(cases[i].end);
        assert_true(text.len > len);
        assert_string_equal(text.p + text.len - len, cases[i].end);
    }
    AUTO_REQUEST req = {0};
    AUTO_STR text = STR_MAX(4096);
    http_request_init(&req, "GET", 0);
    str_add(&req.url, "https://h/p?a=%00b");
    sign_string("a", &req, &text);
    assert_null(str_c(&text));
    str_clear(&text);
    str_clear(&req.url);
    str_add(&req.url, "https://h/p?");
    for (int i = 0; i < 30; i++)
        str_addf(&req.url, "&a%d=1", i);
    sign_string("a", &req, &text);
    assert_null(str_c(&text));
    str_clear(&text);
    str_clear(&req.url);
    str_add(&req.url, "https://h/p");
    http_set(&req.headers, "X-MS-B", "  padded \t");
    http_set(&req.headers, "x-ms-a", "");
    http_set(&req.headers, "other", "1");
    sign_string("a", &req, &text);
    assert_has(str_c(&text), "\nx-ms-a:\nx-ms-b:padded\n/a/p");
    struct storage s = {.account = "a"};
    struct err err;
    assert_int_equal(sign_authorize(&s, &req, AT_S, &err), ERR_INPUT); /* no key */
    assert_null(http_get(&req.headers, "authorization"));
}

/* Finds the query of a vector by its id. */
static const char *query_of(const struct json *root, const char *id)
{
    const struct json *vectors = json_get(root, "vectors");
    for (size_t i = 0; i < json_len(vectors); i++)
        if (str_is(json_get_text(json_at(vectors, i), "id"), id))
            return json_get_text(json_at(vectors, i), "query");
    fail_msg("no vector %s", id);
    return "";
}

static void grants(void **state)
{
    (void)state;
    static const char key[] = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
    static const char name[] = "\xE6\x97\xA5\xE6\x9C\xAC a+b%.csv";
    static const int64_t end_s = 2082758400; /* 2036-01-01T00:00:00Z */
    AUTO_JSON root = vectors_load("sas.json");
    AUTO_STR url = STR_MAX(4096);
    AUTO_STR want = STR_MAX(4096);
    AUTO_STR blob = STR_MAX(200);
    struct storage s;
    struct err err = {0};
    set_key(&s, "devstoreaccount1", key);
    str_copy(s.blob, sizeof s.blob, "http://127.0.0.1:10000/devstoreaccount1");
    str_copy(s.queue, sizeof s.queue, "http://127.0.0.1:10001/devstoreaccount1");
    str_copy(s.file, sizeof s.file, "http://127.0.0.1:13004/devstoreaccount1");

    str_addf(&blob, "data sets/%s", name);
    assert_ok(sign_blob_url(&s, "vec-data", str_c(&blob), "r", AT_S, end_s, &url, &err), err);
    str_addf(&want, "%s/vec-data/data%%20sets/%%E6%%97%%A5%%E6%%9C%%AC%%20a%%2Bb%%25.csv?%s", s.blob,
             query_of(root, "service-blob-read-2025-07-05"));
    assert_string_equal(str_c(&url), str_c(&want));

    str_clear(&url), str_clear(&want), str_clear(&blob);
    assert_ok(sign_queue_url(&s, "vec-jobs", "a", AT_S, end_s, &url, &err), err);
    str_addf(&want, "%s/vec-jobs/messages?%s", s.queue, query_of(root, "service-queue-add-2025-07-05"));
    assert_string_equal(str_c(&url), str_c(&want));

    str_clear(&url), str_clear(&want);
    str_addf(&blob, "train/%s", name);
    assert_ok(sign_file_url(&s, "datasets", str_c(&blob), "r", AT_S, end_s, &url, &err), err);
    str_addf(&want, "%s/datasets/train/%%E6%%97%%A5%%E6%%9C%%AC%%20a%%2Bb%%25.csv?%s", s.file,
             query_of(root, "service-file-read-2025-07-05"));
    assert_string_equal(str_c(&url), str_c(&want));

    str_clear(&url);
    str_copy(s.blob, sizeof s.blob, "https://devstoreaccount1.blob.core.windows.net");
    assert_ok(sign_blob_url(&s, "c", "b", "r", AT_S, end_s, &url, &err), err);
    assert_has(str_c(&url), "&spr=https&sig=");

    str_clear(&url);
    assert_int_equal(sign_blob_url(&s, "c", "", "r", AT_S, end_s, &url, &err), ERR_INPUT);
    assert_int_equal(sign_blob_url(&s, "", "b", "r", AT_S, end_s, &url, &err), ERR_INPUT);
    assert_int_equal(sign_blob_url(&s, "c", "a\nb", "r", AT_S, end_s, &url, &err), ERR_INPUT);
    assert_int_equal(sign_queue_url(&s, "", "a", AT_S, end_s, &url, &err), ERR_INPUT);
    s.file[0] = '\0';
    assert_int_equal(sign_file_url(&s, "s", "f", "r", AT_S, end_s, &url, &err), ERR_INPUT);
    assert_has(err.msg, "no file endpoint");
    assert_string_equal(str_c(&url), "");
    storage_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_shared_key_vectors), cmocka_unit_test(wrong_strings_are_not_made),
                                       cmocka_unit_test(odd_requests), cmocka_unit_test(grants)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
