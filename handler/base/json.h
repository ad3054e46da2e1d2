/* json.h - the only file that knows cJSON. Reading is strict; writing appends to a bounded str.
 *
 * Reading: json_parse refuses trailing text, duplicate keys, control characters, NUL, invalid UTF-8 and nesting beyond max_depth (cJSON
 * alone accepts them). Getters are case-sensitive. A struct json belongs to its root; json_free the root only. Thread rule: read-only
 * sharing is fine. Writing: text goes straight into a struct str; commas are set by looking at what stands before, the str's sticky failure
 * covers all. A NULL name writes an array element. Integers are written exactly (cJSON would print 1e+15). */
#ifndef JSON_H
#define JSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

struct json;
enum err_code json_parse(const char *text, size_t len, int max_depth, struct json **ret, struct err *err) MUST_CHECK;
void json_free(struct json *root);
void json_cleanup(struct json **root);
#define AUTO_JSON __attribute__((cleanup(json_cleanup))) struct json *

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
enum json_type json_type(const struct json *v);                              /* NULL counts as JSON_NULL */
const struct json *json_get(const struct json *object, const char *name);    /* NULL: no object, or no such member */
const struct json *json_path(const struct json *object, const char *dotted); /* "properties.provisioningState" */
size_t json_len(const struct json *v);                                       /* members of an array or object */
const struct json *json_at(const struct json *v, size_t index);              /* the same, in order */
const char *json_name(const struct json *member);                            /* the key of an object's member */
const char *json_text(const struct json *v);                                 /* NULL unless a string */
bool json_int(const struct json *v, int64_t *out);                           /* an integral number within +-2^53 */
bool json_number(const struct json *v, double *out);
bool json_true(const struct json *v);
/* Short forms for object members; a default when absent or of another type. */
const char *json_get_text(const struct json *object, const char *name); /* "" by default */
int64_t json_get_int(const struct json *object, const char *name, int64_t otherwise);

void json_open(struct str *to, const char *name, char bracket);          /* '{' or '[' */
void json_close(struct str *to, char bracket);                           /* '}' or ']' */
void json_put_text(struct str *to, const char *name, const char *value); /* NULL writes null; invalid UTF-8 becomes U+FFFD */
void json_put_int(struct str *to, const char *name, int64_t value);
void json_put_number(struct str *to, const char *name, double value); /* not finite: null */
void json_put_bool(struct str *to, const char *name, bool value);
void json_put_null(struct str *to, const char *name);
void json_put_value(struct str *to, const char *name, const struct json *value); /* a parsed value, written again */
#endif
