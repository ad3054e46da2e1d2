/* str.h - growing text with a mandatory maximum and a sticky failure; secrets as a type of their own.
 *
 * Ownership: a struct str owns its memory; str_done frees and wipes it. Declare it with its maximum and cleanup on one line:
 *     AUTO_STR url = STR_MAX(2048);
 * Appending past the maximum, or without memory, sets `failed`; later calls do nothing, and str_c answers NULL. So a sequence of appends
 * is checked once, at its end. The old block is wiped when text grows, so secrets do not linger. The content is always NUL-terminated.
 * Thread rule: one thread at a time. The only way to put a variable into a URL or XML is the escaping calls below. */
#ifndef STR_H
#define STR_H
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct str {
    char *p;
    size_t len, cap, max;
    bool failed;
};
#define STR_MAX(bytes) ((struct str){.max = (bytes)})
#define AUTO_STR __attribute__((cleanup(str_done))) struct str

void str_add(struct str *s, const char *text);                /* NULL is a failure */
void str_add_n(struct str *s, const void *bytes, size_t len); /* any bytes */
void str_addf(struct str *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void str_add_percent(struct str *s, const char *text); /* all but A-Z a-z 0-9 - . _ ~ as %XX */
void str_add_path(struct str *s, const char *text);    /* the same, `/` kept */
void str_add_xml(struct str *s, const char *text);     /* & < > " ' escaped */
void str_clear(struct str *s);                         /* empty again, not failed; memory is kept (and wiped) */
void str_done(struct str *s);
const char *str_c(const struct str *s);                                                     /* NULL if failed; never NULL otherwise */
enum err_code str_check(const struct str *s, const char *what, struct err *err) MUST_CHECK; /* ERR_MEMORY "what is too long" */
char *str_take(struct str *s); /* the caller owns the text (free()); NULL if failed; s is empty after */

/* Small helpers over C text. All accept NULL as "". */
bool str_is(const char *a, const char *b);
bool str_is_nocase(const char *a, const char *b); /* ASCII */
bool str_starts(const char *text, const char *prefix);
bool str_ends_nocase(const char *text, const char *suffix);
void str_copy(char *to, size_t size, const char *from); /* cuts at a UTF-8 boundary; always terminates */
void str_lower(char *text);                             /* ASCII, in place */
bool str_is_utf8(const char *bytes, size_t len);        /* strict: no surrogates, no overlong forms */

/* A secret cannot be printed by accident: it has no const char * but the one that is asked for by name. */
struct secret {
    struct str hidden;
};
#define AUTO_SECRET __attribute__((cleanup(secret_done))) struct secret
enum err_code secret_set(struct secret *s, const void *bytes, size_t len, struct err *err) MUST_CHECK;
const char *secret_reveal(const struct secret *s); /* "" when unset; for the header or body that needs it, nowhere else */
size_t secret_len(const struct secret *s);
void secret_done(struct secret *s);

/* Frees what was malloc'd at the end of the scope. */
void free_text(char **p);
#define AUTO_TEXT __attribute__((cleanup(free_text))) char *

#endif
