#include "job/decode.h"

#include <string.h>

#include "base/crypto.h"
#include "base/json.h"
#include "job/text.h"

#define RAW_MAX (128 * 1024)

static void replace(struct str *text, const char *with)
{
    AUTO_STR copy = STR_MAX(RAW_MAX);
    str_add(&copy, with);
    str_clear(text);
    str_add(text, str_c(&copy));
}

static void trim(struct str *text)
{
    if (text->p)
        replace(text, text_trim(text->p));
}

static bool inner_control(const char *text)
{
    AUTO_STR copy = STR_MAX(RAW_MAX);
    str_add(&copy, text);
    return copy.p && text_has_control(text_trim(copy.p));
}

/* A string literal of a tool that encoded twice, or quotes put around by hand. "C:\temp\new.zip" (Windows: copy as path) is not a literal,
 * though it reads as one. */
static bool unquote(struct str *text)
{
    if (!text->p || text->len < 2 || text->p[0] != '"' || text->p[text->len - 1] != '"')
        return false;
    AUTO_JSON literal = NULL;
    bool escaped = strchr(text->p, '\\') != NULL;
    if (json_parse(text->p, text->len, 1, &literal, NULL) == OK && json_text(literal)) {
        const char *inner = json_text(literal);
        if (!escaped || inner[0] == '{' || inner[0] == '"' || !inner_control(inner)) {
            replace(text, inner);
            return true;
        }
    }
    text->p[text->len - 1] = '\0';
    AUTO_STR copy = STR_MAX(RAW_MAX);
    str_add(&copy, text->p + 1);
    replace(text, str_c(&copy));
    return true;
}

/* Takes bytes as UTF-8 text, trimmed and without quotes. */
static enum decoded take(const char *bytes, size_t len, struct str *text)
{
    str_clear(text);
    if (!str_is_utf8(bytes, len))
        return DECODED_NOT_TEXT;
    str_add_n(text, bytes, len);
    if (text->p)
        for (size_t i = 0; i < len; i++)
            if (text->p[i] == '\0')
                text->p[i] = '\001';
    trim(text);
    for (int i = 0; i < 2 && unquote(text); i++)
        trim(text);
    if (text->len == 0 || !text->p)
        return DECODED_EMPTY;
    if (text->p[0] == '{')
        return DECODED_JSON;
    bool colon = strchr(text->p, ':') || strchr(text->p, '.') || strstr(text->p, "：") || strchr(text->p, '/') == text->p;
    return colon ? DECODED_COLON : DECODED_UNKNOWN;
}

enum decoded decode_message(const char *bytes, size_t len, struct str *text)
{
    enum decoded form = len > RAW_MAX / 2 ? DECODED_LONG : take(bytes, len, text);
    if (form == DECODED_UNKNOWN) {
        AUTO_STR inner = STR_MAX(RAW_MAX);
        if (base64_decode(&inner, text->p, text->len, NULL) == OK) {
            AUTO_STR plain = STR_MAX(RAW_MAX);
            enum decoded within = take(str_c(&inner), inner.len, &plain);
            if (within != DECODED_NOT_TEXT && within != DECODED_EMPTY) { /* else it was a word that happens to be base64, or a key */
                form = within;
                replace(text, str_c(&plain));
            }
        }
    }
    if (form == DECODED_LONG || form == DECODED_NOT_TEXT)
        str_clear(text);
    else if (text->len > MESSAGE_BYTES_MAX) {
        str_clear(text);
        form = DECODED_LONG;
    }
    return form;
}
