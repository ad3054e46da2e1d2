/* crypto.h - the only file that knows OpenSSL: hashes, HMAC, base64, random ids. Thread-safe; nothing is shared. */
#ifndef CRYPTO_H
#define CRYPTO_H
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

#define SHA256_BYTES 32
#define SHA256_HEX 65 /* with the NUL */

struct sha256;                   /* a running hash */
struct sha256 *sha256_new(void); /* NULL without memory; sha256_free */
bool sha256_add(struct sha256 *h, const void *bytes, size_t len);
bool sha256_end(struct sha256 *h, char hex[SHA256_HEX]); /* lower case */
void sha256_free(struct sha256 *h);
void sha256_cleanup(struct sha256 **h);
#define AUTO_SHA256 __attribute__((cleanup(sha256_cleanup))) struct sha256 *

bool sha256_of(const void *bytes, size_t len, char hex[SHA256_HEX]);

/* Appends base64 of HMAC-SHA256 over text. An empty key is refused (ERR_INPUT). */
enum err_code crypto_hmac(const void *key, size_t key_len, const char *text, struct str *base64, struct err *err) MUST_CHECK;

void base64_encode(struct str *to, const void *bytes, size_t len);
/* Strict: padding required, no blanks. Appends the bytes. ERR_INPUT otherwise. */
enum err_code base64_decode(struct str *to, const char *text, size_t len, struct err *err) MUST_CHECK;

uint32_t crypto_random(void); /* for jitter and ids */
#endif
