/* The writing half of json.h. It needs no library: only json_put_value looks at a parsed value, by the getters of json.h. */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_string(struct str *to, const char *value)
{
    size_t len = strlen(value);
    str_add(to, "\"");
    for (size_t at = 0; at < len && !to->failed;) {
        unsigned char c = (unsigned char)value[at];
        size_t step = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
        if (c == '"' || c == '\\')
            str_addf(to, "\\%c", c);
        else if (c == '\n')
            str_add(to, "\\n");
        else if (c < ' ' || c == 0x7F)
            str_addf(to, "\\u%04x", c);
        else if (step <= len - at && str_is_utf8(value + at, step))
            str_add_n(to, value + at, step);
        else {
            str_add(to, "\xEF\xBF\xBD");
            step = 1;
        }
        at += step;
    }
    str_add(to, "\"");
}

/* A comma, unless this is the first member or the first text at all; then the name. */
static void start(struct str *to, const char *name)
{
    if (to->len && !to->failed && !strchr("{[:, \n", to->p[to->len - 1]))
        str_add(to, ",");
    if (name) {
        add_string(to, name);
        str_add(to, ":");
    }
}

void json_open(struct str *to, const char *name, char bracket)
{
    start(to, name);
    str_add_n(to, &bracket, 1);
}

void json_close(struct str *to, char bracket)
{
    str_add_n(to, &bracket, 1);
}

void json_put_text(struct str *to, const char *name, const char *value)
{
    if (!value) {
        json_put_null(to, name);
        return;
    }
    start(to, name);
    add_string(to, value);
}

void json_put_int(struct str *to, const char *name, int64_t value)
{
    start(to, name);
    str_addf(to, "%" PRId64, value);
}

void json_put_number(struct str *to, const char *name, double value)
{
    if (!isfinite(value)) {
        json_put_null(to, name);
        return;
    }
    start(to, name);
    if (fabs(value) < 9007199254740992.0 && value == (double)(int64_t)value) {
        str_addf(to, "%" PRId64, (int64_t)value);
        return;
    }
    /* The shortest form that reads back as the same number. */
    for (int digits = 15; digits <= 17; digits++) {
        char text[40];
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (digits == 17 || strtod(text, NULL) == value) {
            str_add(to, text);
            return;
        }
    }
}

void json_put_bool(struct str *to, const char *name, bool value)
{
    start(to, name);
    str_add(to, value ? "true" : "false");
}

void json_put_null(struct str *to, const char *name)
{
    start(to, name);
    str_add(to, "null");
}

void json_put_value(struct str *to, const char *name, const struct json *value) // NOLINT(misc-no-recursion)
{
    enum json_type type = json_type(value);
    double number = 0;
    switch (type) {
    case JSON_NULL:
        json_put_null(to, name);
        break;
    case JSON_BOOL:
        json_put_bool(to, name, json_true(value));
        break;
    case JSON_NUMBER:
        (void)json_number(value, &number);
        json_put_number(to, name, number);
        break;
    case JSON_STRING:
        json_put_text(to, name, json_text(value));
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        json_open(to, name, type == JSON_OBJECT ? '{' : '[');
        for (size_t i = 0, count = json_len(value); i < count && !to->failed; i++) {
            const struct json *member = json_at(value, i);
            json_put_value(to, type == JSON_OBJECT ? json_name(member) : NULL, member);
        }
        json_close(to, type == JSON_OBJECT ? '}' : ']');
    }
}
