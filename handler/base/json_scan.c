#include "base/json_scan.h"

#include <stdbool.h>
#include <string.h>

#include "base/str.h"

#define DEPTH_MAX 200 /* whatever the caller says: recursion must end */

struct scan {
    const char *text;
    size_t len, at;
    int depth, depth_max;
    const char *fault; /* the first one */
};

static bool fail(struct scan *s, const char *fault)
{
    if (!s->fault)
        s->fault = fault;
    return false;
}

/* The byte here, or NUL at the end: no valid text holds a NUL. */
static char peek(const struct scan *s)
{
    return s->at < s->len ? s->text[s->at] : '\0';
}

static void skip_blanks(struct scan *s)
{
    while (s->at < s->len && strchr(" \t\r\n", s->text[s->at]) && s->text[s->at])
        s->at++;
}

static bool take(struct scan *s, char c)
{
    if (peek(s) != c)
        return false;
    s->at++;
    return true;
}

static bool take_digits(struct scan *s)
{
    size_t first = s->at;
    while (peek(s) >= '0' && peek(s) <= '9')
        s->at++;
    return s->at > first;
}

static bool scan_number(struct scan *s)
{
    (void)take(s, '-');
    if (!take(s, '0') && !take_digits(s))
        return fail(s, "a value was expected");
    if (take(s, '.') && !take_digits(s))
        return fail(s, "a digit was expected");
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        if (!take_digits(s))
            return fail(s, "a digit was expected");
    }
    return true;
}

static bool take_hex4(struct scan *s, unsigned int *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        char c = peek(s);
        unsigned int digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned int)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned int)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            digit = (unsigned int)(c - 'A' + 10);
        else
            return fail(s, "four hexadecimal digits were expected");
        *out = *out << 4 | digit;
    }
    return true;
}

static bool scan_escape(struct scan *s)
{
    unsigned int high, low;
    char c = peek(s);
    if (c && strchr("\"\\/bfnrt", c)) {
        s->at++;
        return true;
    }
    if (!take(s, 'u'))
        return fail(s, "an unknown escape");
    if (!take_hex4(s, &high))
        return false;
    if (high == 0)
        return fail(s, "a NUL character");
    if (high >= 0xDC00 && high <= 0xDFFF)
        return fail(s, "half a surrogate pair");
    if (high < 0xD800 || high > 0xDBFF)
        return true;
    if (!take(s, '\\') || !take(s, 'u') || !take_hex4(s, &low) || low < 0xDC00 || low > 0xDFFF)
        return fail(s, "half a surrogate pair");
    return true;
}

static bool scan_string(struct scan *s)
{
    if (!take(s, '"'))
        return fail(s, "a string was expected");
    while (s->at < s->len) {
        char c = s->text[s->at++];
        if (c == '"')
            return true;
        if ((unsigned char)c < ' ') {
            s->at--;
            return fail(s, "a control character in a string");
        }
        if (c == '\\' && !scan_escape(s))
            return false;
    }
    return fail(s, "the text ends inside a string");
}

static bool scan_value(struct scan *s);

static bool scan_members(struct scan *s, char close, bool keys) // NOLINT(misc-no-recursion)
{
    if (++s->depth > s->depth_max)
        return fail(s, "nested too deeply");
    s->at++;
    skip_blanks(s);
    if (!take(s, close)) {
        do {
            skip_blanks(s);
            if (keys) {
                if (!scan_string(s))
                    return false;
                skip_blanks(s);
                if (!take(s, ':'))
                    return fail(s, "a colon was expected");
            }
            if (!scan_value(s))
                return false;
        } while (take(s, ','));
        if (!take(s, close))
            return fail(s, "a comma or closing bracket was expected");
    }
    s->depth--;
    return true;
}

static bool scan_word(struct scan *s, const char *word)
{
    size_t len = strlen(word);
    if (s->len - s->at < len || memcmp(s->text + s->at, word, len) != 0)
        return fail(s, "a value was expected");
    s->at += len;
    return true;
}

/* A value with the blanks around it. */
static bool scan_value(struct scan *s) // NOLINT(misc-no-recursion)
{
    bool good;
    skip_blanks(s);
    switch (peek(s)) {
    case '{':
        good = scan_members(s, '}', true);
        break;
    case '[':
        good = scan_members(s, ']', false);
        break;
    case '"':
        good = scan_string(s);
        break;
    case 't':
        good = scan_word(s, "true");
        break;
    case 'f':
        good = scan_word(s, "false");
        break;
    case 'n':
        good = scan_word(s, "null");
        break;
    default:
        good = scan_number(s);
    }
    skip_blanks(s);
    return good;
}

enum err_code json_scan(const char *text, size_t len, int max_depth, struct err *err)
{
    struct scan s = {.text = text ? text : "", .len = text ? len : 0, .depth_max = max_depth < DEPTH_MAX ? max_depth : DEPTH_MAX};
    if (!str_is_utf8(s.text, s.len))
        return err_set(err, ERR_INPUT, "not JSON: not UTF-8");
    if (scan_value(&s) && s.at != s.len)
        (void)fail(&s, "text after the value");
    if (s.fault)
        return err_set(err, ERR_INPUT, "not JSON: %s at byte %zu", s.fault, s.at);
    return OK;
}
