#include "base/str.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for more bytes and the NUL. The old block is wiped before it goes back, which realloc() would not do. */
static bool grow(struct str *s, size_t more)
{
    if (s->failed)
        return false;
    if (more > s->max || s->len > s->max - more) {
        s->failed = true;
        return false;
    }
    size_t need = s->len + more + 1;
    if (need <= s->cap)
        return true;
    size_t cap = s->cap < 64 ? 64 : s->cap * 2;
    if (cap < need)
        cap = need;
    if (cap > s->max + 1)
        cap = s->max + 1;
    char *p = malloc(cap);
    if (!p) {
        s->failed = true;
        return false;
    }
    if (s->p) {
        memcpy(p, s->p, s->len);
        explicit_bzero(s->p, s->cap);
        free(s->p);
    }
    s->p = p;
    s->cap = cap;
    s->p[s->len] = '\0';
    return true;
}

void str_add_n(struct str *s, const void *bytes, size_t len)
{
    if (!bytes && len) {
        s->failed = true;
        return;
    }
    if (!grow(s, len) || !s->p)
        return;
    if (len)
        memcpy(s->p + s->len, bytes, len);
    s->len += len;
    s->p[s->len] = '\0';
}

void str_add(struct str *s, const char *text)
{
    if (text)
        str_add_n(s, text, strlen(text));
    else
        s->failed = true;
}

void str_addf(struct str *s, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        s->failed = true;
    else if (grow(s, (size_t)len)) {
        (void)vsnprintf(s->p + s->len, (size_t)len + 1, format, again);
        s->len += (size_t)len;
    }
    va_end(again);
}

static void add_escaped(struct str *s, const char *text, bool keep_slash)
{
    static const char hex[] = "0123456789ABCDEF";
    if (!text) {
        s->failed = true;
        return;
    }
    for (const unsigned char *p = (const unsigned char *)text; *p && !s->failed; p++) {
        bool plain = (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' || *p == '.' ||
                     *p == '_' || *p == '~' || (keep_slash && *p == '/');
        char out[3] = {'%', hex[*p >> 4], hex[*p & 15]};
        if (plain)
            str_add_n(s, p, 1);
        else
            str_add_n(s, out, sizeof out);
    }
}

void str_add_percent(struct str *s, const char *text)
{
    add_escaped(s, text, false);
}

void str_add_path(struct str *s, const char *text)
{
    add_escaped(s, text, true);
}

void str_add_xml(struct str *s, const char *text)
{
    if (!text) {
        s->failed = true;
        return;
    }
    for (const char *p = text; *p && !s->failed; p++) {
        switch (*p) {
        case '&':
            str_add(s, "&amp;");
            break;
        case '<':
            str_add(s, "&lt;");
            break;
        case '>':
            str_add(s, "&gt;");
            break;
        case '"':
            str_add(s, "&quot;");
            break;
        case '\'':
            str_add(s, "&apos;");
            break;
        default:
            str_add_n(s, p, 1);
        }
    }
}

void str_clear(struct str *s)
{
    if (s->p) {
        explicit_bzero(s->p, s->cap);
    }
    s->len = 0;
    s->failed = false;
}

void str_done(struct str *s)
{
    if (!s)
        return;
    if (s->p) {
        explicit_bzero(s->p, s->cap);
        free(s->p);
    }
    *s = (struct str){.max = s->max};
}

const char *str_c(const struct str *s)
{
    if (s->failed)
        return NULL;
    return s->p ? s->p : "";
}

enum err_code str_check(const struct str *s, const char *what, struct err *err)
{
    if (s->failed)
        return err_set(err, ERR_MEMORY, "%s is too long", what);
    return OK;
}

char *str_take(struct str *s)
{
    if (!grow(s, 0)) /* an empty text is a text too */
        return NULL;
    char *p = s->p;
    *s = (struct str){.max = s->max};
    return p;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool str_is(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

bool str_is_nocase(const char *a, const char *b)
{
    a = a ? a : "";
    b = b ? b : "";
    while (*a && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return *a == *b;
}

bool str_starts(const char *text, const char *prefix)
{
    prefix = prefix ? prefix : "";
    return strncmp(text ? text : "", prefix, strlen(prefix)) == 0;
}

bool str_ends_nocase(const char *text, const char *suffix)
{
    text = text ? text : "";
    suffix = suffix ? suffix : "";
    size_t a = strlen(text), b = strlen(suffix);
    return a >= b && str_is_nocase(text + a - b, suffix);
}

void str_copy(char *to, size_t size, const char *from)
{
    if (!size)
        return;
    from = from ? from : "";
    size_t len = strnlen(from, size);
    if (len == size) {
        len = size - 1;
        while (len && ((unsigned char)from[len] & 0xC0) == 0x80)
            len--;
    }
    memmove(to, from, len);
    to[len] = '\0';
}

void str_lower(char *text)
{
    for (; text && *text; text++)
        *text = lower(*text);
}

/* The length of the well-formed sequence at p (Unicode 15, table 3-7), or 0. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || len > left)
        return 0;
    unsigned char low = 0x80, high = 0xBF;
    if (p[0] == 0xE0)
        low = 0xA0;
    else if (p[0] == 0xED)
        high = 0x9F;
    else if (p[0] == 0xF0)
        low = 0x90;
    else if (p[0] == 0xF4)
        high = 0x8F;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (p[i] < 0x80 || p[i] > 0xBF)
            return 0;
    return len;
}

bool str_is_utf8(const char *bytes, size_t len)
{
    const unsigned char *p = (const unsigned char *)bytes;
    for (size_t at = 0; at < len;) {
        size_t step = utf8_sequence(p + at, len - at);
        if (!step)
            return false;
        at += step;
    }
    return true;
}

enum err_code secret_set(struct secret *s, const void *bytes, size_t len, struct err *err)
{
    secret_done(s);
    s->hidden.max = len;
    str_add_n(&s->hidden, bytes, len);
    return str_check(&s->hidden, "a secret", err);
}

const char *secret_reveal(const struct secret *s)
{
    const char *text = str_c(&s->hidden);
    return text ? text : "";
}

size_t secret_len(const struct secret *s)
{
    return s->hidden.failed ? 0 : s->hidden.len;
}

void secret_done(struct secret *s)
{
    if (s)
        str_done(&s->hidden);
}

void free_text(char **p)
{
    free(*p);
    *p = NULL;
}
