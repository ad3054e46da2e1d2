/* json_scan.h - the strict grammar of JSON (RFC 8259), which cJSON's reader does not keep. Used by json.c only. */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H
#include <stddef.h>

#include "base/error.h"

/* OK if text is exactly one value: no NUL (raw or \u0000), valid UTF-8, no lone surrogates, nesting at most max_depth. */
enum err_code json_scan(const char *text, size_t len, int max_depth, struct err *err) MUST_CHECK;
#endif
