#include "job/console.h"

#include <stdio.h>
#include <string.h>

#include "job/text.h"

#define SHOWN_MAX 301
#define ESCAPE 0x1b

/* Behind the escape at p: past a sequence like ESC [ 1 ; 31 m, or one other character. */
static const char *skip_escape(const char *p, const char *end)
{
    if (p < end && *p == '[') {
        for (p++; p < end && !(*p >= '@' && *p <= '~'); p++)
            continue;
    }
    return p < end ? p + 1 : end;
}

static void clean_line(const char *p, const char *end, struct str *to)
{
    char plain[CONSOLE_LINE_MAX + 1], shown[CONSOLE_LINE_MAX + 1];
    size_t len = 0;

    while (p < end && len < CONSOLE_LINE_MAX) {
        if (*p == ESCAPE)
            p = skip_escape(p + 1, end);
        else {
            plain[len++] = *p == '\0' || *p == '\t' ? ' ' : *p;
            p++;
        }
    }
    while (len > 0 && (plain[len - 1] == ' ' || plain[len - 1] == '\r'))
        len--;
    if (p < end) /* cut between characters */
        while (len > 0 && ((unsigned char)plain[len - 1] & 0xc0) == 0x80)
            len--;
    if (p < end && len > 0 && (unsigned char)plain[len - 1] >= 0xc0)
        len--;
    plain[len] = '\0';
    for (size_t i = 0; !str_is_utf8(plain, len) && i < len; i++)
        if ((unsigned char)plain[i] >= 0x80)
            plain[i] = '?';
    text_mask(plain, shown, sizeof shown);
    str_addf(to, "%s\n", shown);
}

void console_clean(const char *bytes, size_t len, bool cut, struct str *to)
{
    const char *end = bytes + len;

    while (bytes < end) {
        const char *line_end = memchr(bytes, '\n', (size_t)(end - bytes));
        if (line_end == NULL)
            line_end = end;
        if (!cut)
            clean_line(bytes, line_end, to);
        cut = false;
        bytes = line_end < end ? line_end + 1 : end;
    }
}

/* The start of the line that ends at end. */
static const char *line_start(const char *text, const char *end)
{
    while (end > text && end[-1] != '\n')
        end--;
    return end;
}

void console_last(const char *text, int lines, char *out, size_t size)
{
    const char *end = text + strlen(text), *from[64];
    int count = 0, most = lines < 64 ? lines : 64;
    size_t room = size - 1;

    out[0] = '\0';
    while (end > text && count < most) {
        const char *start = line_start(text, end);
        size_t len = (size_t)(end - start), shown = len < SHOWN_MAX - 1 ? len : SHOWN_MAX - 1;
        if (len > 0) {
            if (shown + 1 > room)
                break;
            room -= shown + 1;
            from[count++] = start;
        }
        end = start > text ? start - 1 : text;
    }
    for (size_t used = 0; count-- > 0;) {
        char line[SHOWN_MAX], whole[CONSOLE_LINE_MAX + 1];
        snprintf(whole, sizeof whole, "%.*s", (int)strcspn(from[count], "\n"), from[count]);
        str_copy(line, sizeof line, whole);
        used += (size_t)snprintf(out + used, size - used, "%s\n", line);
    }
}
