#include "base/crypto.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

struct sha256 {
    EVP_MD_CTX *ctx;
};

struct sha256 *sha256_new(void)
{
    struct sha256 *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->ctx = EVP_MD_CTX_new();
    if (!h->ctx || EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1) {
        sha256_free(h);
        return NULL;
    }
    return h;
}

bool sha256_add(struct sha256 *h, const void *bytes, size_t len)
{
    return len == 0 || EVP_DigestUpdate(h->ctx, bytes, len) == 1;
}

static void write_hex(const unsigned char *bytes, size_t len, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * len] = '\0';
}

bool sha256_end(struct sha256 *h, char hex[SHA256_HEX])
{
    unsigned char digest[SHA256_BYTES];
    hex[0] = '\0';
    if (EVP_DigestFinal_ex(h->ctx, digest, NULL) != 1)
        return false;
    write_hex(digest, sizeof digest, hex);
    return true;
}

void sha256_free(struct sha256 *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->ctx);
    free(h);
}

void sha256_cleanup(struct sha256 **h)
{
    sha256_free(*h);
    *h = NULL;
}

bool sha256_of(const void *bytes, size_t len, char hex[SHA256_HEX])
{
    AUTO_SHA256 h = sha256_new();
    hex[0] = '\0';
    return h && sha256_add(h, bytes, len) && sha256_end(h, hex);
}

enum err_code crypto_hmac(const void *key, size_t key_len, const char *text, struct str *base64, struct err *err)
{
    unsigned char mac[SHA256_BYTES];
    unsigned int mac_len = sizeof mac;
    if (!key || key_len == 0 || key_len > 4096) /* HMAC() takes an empty key without a word */
        return err_set(err, ERR_INPUT, "the signing key is empty or too long");
    if (!text)
        return err_set(err, ERR_MEMORY, "the text to sign is too long");
    if (!HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, strlen(text), mac, &mac_len) || mac_len != sizeof mac)
        return err_set(err, ERR_INTERNAL, "HMAC-SHA256 failed");
    base64_encode(base64, mac, sizeof mac);
    OPENSSL_cleanse(mac, sizeof mac);
    return str_check(base64, "a signature", err);
}

void base64_encode(struct str *to, const void *bytes, size_t len)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = bytes;
    for (size_t at = 0; at < len && !to->failed; at += 3) {
        size_t left = len - at;
        unsigned int three = (unsigned int)p[at] << 16 | (left > 1 ? (unsigned int)p[at + 1] << 8 : 0u) | (left > 2 ? p[at + 2] : 0u);
        char out[4] = {alphabet[three >> 18], alphabet[three >> 12 & 63], '=', '='};
        if (left > 1)
            out[2] = alphabet[three >> 6 & 63];
        if (left > 2)
            out[3] = alphabet[three & 63];
        str_add_n(to, out, sizeof out);
    }
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

enum err_code base64_decode(struct str *to, const char *text, size_t len, struct err *err)
{
    size_t padding = 0;
    if (len % 4 != 0)
        return err_set(err, ERR_INPUT, "not base64: the length is not a multiple of 4");
    while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
        padding++;
    for (size_t at = 0; at < len; at += 4) {
        size_t used = at + 4 == len ? 4 - padding : 4;
        unsigned int three = 0;
        for (size_t i = 0; i < 4; i++) {
            int value = i < used ? base64_value(text[at + i]) : 0;
            if (value < 0)
                return err_set(err, ERR_INPUT, "not base64: a character that does not belong at %zu", at + i);
            three = three << 6 | (unsigned int)value;
        }
        /* Bits below the last byte must be zero, else two texts would mean the same bytes. */
        if ((used == 3 && (three & 0xFF)) || (used == 2 && (three & 0xFFFF)))
            return err_set(err, ERR_INPUT, "not base64: the last character holds left-over bits");
        unsigned char out[3] = {(unsigned char)(three >> 16), (unsigned char)(three >> 8), (unsigned char)three};
        str_add_n(to, out, used - 1);
        explicit_bzero(out, sizeof out);
    }
    return str_check(to, "base64", err);
}

uint32_t crypto_random(void)
{
    uint32_t value = 0;
    if (RAND_bytes((unsigned char *)&value, sizeof value) != 1)
        (void)!getrandom(&value, sizeof value, 0); /* the kernel's own, should the library be out of order */
    return value;
}
