#include "test.h"

#include "base/crypto.h"

static void sha256_known_answers(void **state)
{
    (void)state;
    char hex[SHA256_HEX];
    assert_true(sha256_of("", 0, hex));
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_true(sha256_of("abc", 3, hex));
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    AUTO_SHA256 h = sha256_new();
    for (int i = 0; i < 1000; i++) {
        assert_true(sha256_add(h, "a", 1));
        assert_true(sha256_add(h, "", 0));
    }
    assert_true(sha256_end(h, hex));
    assert_string_equal(hex, "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3");
}

static void hmac_known_answers(void **state)
{
    (void)state;
    AUTO_STR mac = STR_MAX(100);
    struct err err;
    str_add(&mac, "SharedKey a:"); /* appends */
    assert_ok(crypto_hmac("key", 3, "The quick brown fox jumps over the lazy dog", &mac, &err), err);
    assert_string_equal(str_c(&mac), "SharedKey a:97yD9DBThCSxMpjmqm+xQ+9NWaFJRhdZl0edvC0aPNg=");
    str_clear(&mac);
    assert_int_equal(crypto_hmac("", 0, "text", &mac, &err), ERR_INPUT);
    assert_int_equal(crypto_hmac(NULL, 0, "text", &mac, &err), ERR_INPUT);
    assert_int_equal(crypto_hmac("key", 3, NULL, &mac, &err), ERR_MEMORY);
    AUTO_STR small = STR_MAX(43);
    assert_int_equal(crypto_hmac("key", 3, "text", &small, &err), ERR_MEMORY);
}

static void base64_both_ways(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xFB\xFF\xBF", "+/+/"}};
    for (size_t i = 0; i < COUNT(pairs); i++) {
        AUTO_STR to = STR_MAX(20);
        AUTO_STR back = STR_MAX(20);
        base64_encode(&to, pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(str_c(&to), pairs[i][1]);
        assert_int_equal(base64_decode(&back, str_c(&to), to.len, NULL), OK);
        assert_string_equal(str_c(&back), pairs[i][0]);
    }
}

static void base64_refusals(void **state)
{
    (void)state;
    static const char *const bad[] = {"Z",
                                      "Zg",
                                      "Zg=",
                                      "Zg===",
                                      "Z===",
                                      "====",
                                      "Zg==Zg==",
                                      "Zm 9",
                                      "Zm9v\n",
                                      " Zm9v",
                                      "Zm-_",
                                      "Zm9\xC3",
                                      "=m9v",
                                      "Z=9v",
                                      "Zh==" /* left-over bits */,
                                      "Zm9=",
                                      "Zm9vYg==\n\n\n\n"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO_STR to = STR_MAX(40);
        if (base64_decode(&to, bad[i], strlen(bad[i]), NULL) != ERR_INPUT)
            fail_msg("taken: %s", bad[i]);
    }
    AUTO_STR nul = STR_MAX(40);
    assert_int_equal(base64_decode(&nul, "Zm\0v", 4, NULL), ERR_INPUT);
    AUTO_STR small = STR_MAX(2);
    assert_int_equal(base64_decode(&small, "Zm9v", 4, NULL), ERR_MEMORY);
}

static void account_keys_have_64_bytes(void **state)
{
    (void)state;
    static const char key[] = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
    AUTO_STR bytes = STR_MAX(100);
    AUTO_STR again = STR_MAX(100);
    assert_int_equal(base64_decode(&bytes, key, strlen(key), NULL), OK);
    assert_int_equal(bytes.len, 64);
    base64_encode(&again, bytes.p, bytes.len);
    assert_string_equal(str_c(&again), key);
}

static void random_differs(void **state)
{
    (void)state;
    uint32_t a = crypto_random(), b = crypto_random(), c = crypto_random();
    assert_false(a == b && b == c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sha256_known_answers),       cmocka_unit_test(hmac_known_answers),
                                       cmocka_unit_test(base64_both_ways),           cmocka_unit_test(base64_refusals),
                                       cmocka_unit_test(account_keys_have_64_bytes), cmocka_unit_test(random_differs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
