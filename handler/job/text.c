#include "job/text.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"

#define KEY_LIKE 56 /* base64 characters in a row, of every sort: taken for a key */

size_t text_next(const char *p, uint32_t *character)
{
    const unsigned char *u = (const unsigned char *)p;
    size_t len = u[0] == 0 ? 0 : u[0] < 0x80 ? 1 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
    static const unsigned char first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    *character = u[0] & first[len];
    for (size_t i = 1; i < len; i++)
        *character = *character << 6 | (u[i] & 0x3fu);
    return len;
}

size_t text_characters(const char *text)
{
    size_t count = 0;
    uint32_t c = 0;
    for (size_t n = 0; (n = text_next(text, &c)) > 0; text += n)
        count++;
    return count;
}

bool text_is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

bool text_has_control(const char *text)
{
    uint32_t c = 0;
    for (size_t n = 0; (n = text_next(text, &c)) > 0; text += n)
        if (text_is_control(c))
            return true;
    return false;
}

void text_blank_controls(char *text)
{
    uint32_t c = 0;
    for (size_t n = 0; (n = text_next(text, &c)) > 0; text += n)
        if (text_is_control(c))
            memset(text, ' ', n);
}

size_t text_blank(const char *p)
{
    if (*p && strchr(" \t\r\n", *p))
        return 1;
    return str_starts(p, "\u3000") || str_starts(p, "\ufeff") ? 3 : 0;
}

char *text_trim(char *text)
{
    for (size_t n = 0; (n = text_blank(text)) > 0;)
        text += n;
    char *end = text;
    uint32_t c = 0;
    for (char *p = text; *p;) {
        size_t blank = text_blank(p);
        p += blank ? blank : text_next(p, &c);
        if (!blank)
            end = p;
    }
    *end = '\0';
    return text;
}

/* The ASCII form of a full-width character, else 0. */
static char half_of(uint32_t c)
{
    if (c == 0x3000)
        return ' ';
    return c >= 0xff01 && c <= 0xff5e ? (char)(c - 0xff01 + '!') : '\0';
}

size_t text_find_full(const char *text, uint32_t *character)
{
    size_t place = 1;
    for (size_t n = 0; (n = text_next(text, character)) > 0; text += n, place++)
        if (half_of(*character))
            return place;
    return 0;
}

bool text_fold(char *text, bool digits_only)
{
    char *to = text;
    bool folded = false;
    uint32_t c = 0;
    for (size_t n = 0; (n = text_next(text, &c)) > 0; text += n) {
        char half = half_of(c);
        if (half && (!digits_only || (half >= '0' && half <= '9'))) {
            *to++ = half;
            folded = true;
        } else {
            memmove(to, text, n);
            to += n;
        }
    }
    *to = '\0';
    return folded;
}

/* The length of a word at p after which a secret stands; else 0. */
static size_t secret_word(const char *p)
{
    static const char *const word[] = {"sig=",    "accountkey=", "sharedaccesssignature=", "sharedaccesskey=", "password=",
                                       "secret=", "token=",      "hooks.slack.com/",       "bearer "};
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (strncasecmp(p, word[i], strlen(word[i])) == 0)
            return strlen(word[i]);
    return 0;
}

/* The length of a run at p that looks like a key: long, with capitals, small letters and digits. */
static size_t key_like(const char *p)
{
    size_t len = 0, upper = 0, lower = 0, digit = 0;
    for (; p[len] && len < 2 * KEY_LIKE; len++) {
        char c = p[len];
        if (c >= 'A' && c <= 'Z')
            upper++;
        else if (c >= 'a' && c <= 'z')
            lower++;
        else if (c >= '0' && c <= '9')
            digit++;
        else if (!strchr("+/=", c))
            break;
    }
    return len >= KEY_LIKE && upper > 0 && lower > 0 && digit > 0 ? len : 0;
}

bool text_has_secret(const char *text)
{
    for (const char *p = text; *p; p++)
        if (secret_word(p) > 0 || key_like(p) > 0)
            return true;
    return false;
}

struct echo {
    char *out;
    size_t size, used, shown, most; /* shown, most: characters */
};

/* Adds one character, or "..." instead if there is no room for more. False after that. */
static bool echo_put(struct echo *e, const char *piece, size_t len)
{
    bool fits = e->shown < e->most && e->used + len + sizeof "..." <= e->size;
    if (!fits) {
        piece = "...";
        len = 3;
    }
    memcpy(e->out + e->used, piece, len);
    e->used += len;
    e->out[e->used] = '\0';
    e->shown++;
    return fits;
}

static void echo(const char *text, size_t most, char *out, size_t size)
{
    struct echo e = {.out = out, .size = size, .most = most};
    out[0] = '\0';
    uint32_t c = 0;
    for (size_t n = 0, named = 0; (n = text_next(text, &c)) > 0; text += n) {
        size_t key = key_like(text), word = named > 0 ? 0 : secret_word(text);
        bool more = true;
        if (key > 0) {
            n = key;
            more = echo_put(&e, "***", 3);
        } else {
            more = echo_put(&e, text_is_control(c) ? " " : text, text_is_control(c) ? 1 : n);
        }
        named = word > 0 ? word : named;
        if (named > 0 && --named == 0) { /* the word is out: its value is not shown */
            more = more && echo_put(&e, "***", 3);
            n += strcspn(text + n, "&; \"',");
        }
        if (!more)
            return;
    }
}

void text_echo(const char *text, char *out, size_t size)
{
    echo(text, ECHO_CHARACTERS, out, size);
}

void text_mask(const char *text, char *out, size_t size)
{
    echo(text, size, out, size);
}

int text_distance(const char *a, const char *b)
{
    enum { LONGEST = 72 };
    int row[LONGEST + 1];
    int len = 0;
    for (; b[len] && len < LONGEST; len++)
        row[len] = len;
    row[len] = len;
    for (int i = 0; a[i] && i < LONGEST; i++) {
        int diagonal = row[0];
        row[0] = i + 1;
        for (int j = 0; j < len; j++) {
            int change = diagonal + (strncasecmp(a + i, b + j, 1) != 0);
            diagonal = row[j + 1];
            int step = 1 + (row[j] < row[j + 1] ? row[j] : row[j + 1]);
            row[j + 1] = change < step ? change : step;
        }
    }
    return row[len];
}
