#include "job/zipname.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/text.h"

bool zipname_valid(const char *name)
{
    size_t len = strlen(name);
    return len < ZIP_MAX && str_ends_nocase(name, ".zip") && !strpbrk(name, ZIP_FORBIDDEN) && !strstr(name, "..") && name[0] != '.' &&
           name[0] != '-' && !text_has_control(name) && text_blank(name) == 0;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF", *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) % 16 : -1;
}

static void percent_decode(char *text)
{
    char *to = text;
    for (const char *p = text; *p; p++) {
        int high = *p == '%' ? hex_digit(p[1]) : -1;
        int low = high >= 0 ? hex_digit(p[2]) : -1;
        *to++ = low > 0 || (low == 0 && high > 0) ? (char)(high * 16 + low) : *p;
        if (low > 0 || (low == 0 && high > 0))
            p += 2;
    }
    *to = '\0';
}

/* Drops what a name must not hold, keeps what it may, and ends it with .zip. */
static void repair(const char *from, char meant[ZIP_MAX])
{
    char kept[ZIP_MAX] = "", stem[ZIP_MAX] = "";
    const char *from_all = from;
    size_t len = 0;
    uint32_t c = 0;
    for (size_t n = 0; (n = text_next(from, &c)) > 0 && len + n < sizeof kept; from += n) {
        bool bad = text_is_control(c) || (n == 1 && (strchr(ZIP_FORBIDDEN, *from) || (*from == '.' && len > 0 && kept[len - 1] == '.')));
        if (!bad)
            memcpy(kept + len, from, n);
        len += bad ? 0 : n;
    }
    kept[len] = '\0';
    char *name = text_trim(kept);
    static const char *const ending[] = {".zip", ".tar.gz", ".tar.bz2", ".tgz", ".tar", ".7z", ".rar", ".gz"};
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
        if (str_ends_nocase(name, ending[i])) {
            name[strlen(name) - strlen(ending[i])] = '\0';
            break;
        }
    char *start = name;
    while (*start && (strchr(".-", *start) || text_blank(start) > 0))
        start += text_blank(start) > 0 ? text_blank(start) : 1;
    str_copy(stem, sizeof stem - 8, start);
    text_trim(stem);
    snprintf(meant, ZIP_MAX, "%.*s.zip", ZIP_MAX - 5, stem);
    if (!zipname_valid(meant) || text_has_secret(from_all))
        str_copy(meant, ZIP_MAX, ZIP_EXAMPLE);
}

/* A path or a web address: the sentence, and the bare name in it. False if name is neither. */
static bool judge_path(const char *name, const char *shown, struct zipname_fault *out)
{
    bool web = strstr(name, "://") != NULL;
    bool drive = strlen(name) > 2 && name[1] == ':' && strchr("\\/", name[2]);
    bool windows = drive || strchr(name, '\\');
    if (!web && !windows && !strchr(name, '/'))
        return false;
    char path[2 * ZIP_MAX], *bare = path;
    size_t len = web ? strcspn(name, "?#") : strlen(name);
    size_t skip = len < sizeof path ? 0 : len - sizeof path + 1; /* the end of it holds the name */
    while (skip > 0 && (name[skip] & 0xc0) == 0x80)
        skip++;
    snprintf(path, sizeof path, "%.*s", (int)(len - skip), name + skip);
    for (char *p = path; *p; p++)
        if (*p == '/' || *p == '\\')
            bare = p + 1;
    if (web)
        percent_decode(bare);
    bool usable =
        str_is_utf8(bare, strlen(bare)) && (!web || str_ends_nocase(bare, ".zip")); /* else it may be the secret part of an address */
    repair(usable ? bare : "", out->meant);
    out->code = "E03";
    if (web)
        snprintf(out->text, sizeof out->text, "this looks like a web address; put the file in share `train` and send only its name");
    else if (windows)
        snprintf(out->text, sizeof out->text, "`%s` looks like a Windows path; send only the file's name in share `train`", shown);
    else
        snprintf(out->text, sizeof out->text, "`%s`: folder parts are not allowed; the file lies directly in share `train`", shown);
    return true;
}

void zipname_judge(const char *name, struct zipname_fault *out)
{
    char shown[180];
    text_echo(name, shown, sizeof shown);
    if (judge_path(name, shown, out))
        return;
    repair(name, out->meant);
    uint32_t full = 0;
    size_t place = text_find_full(name, &full);
    if (strpbrk(name, ZIP_FORBIDDEN) || text_has_control(name) || name[0] == '-') {
        out->code = "E13";
        snprintf(out->text, sizeof out->text, "`%s` has characters that are not allowed; nothing is ever passed through a shell", shown);
    } else if (!str_ends_nocase(name, ".zip") && place > 0) {
        char folded[ZIP_MAX], one[8] = "";
        str_copy(folded, sizeof folded, name);
        text_fold(folded, false);
        char *zip = strcasestr(folded, ".zip");
        if (zip)
            zip[4] = '\0';
        repair(folded, out->meant);
        for (size_t i = 1; i < place; i++)
            name += text_next(name, &full);
        memcpy(one, name, text_next(name, &full));
        out->code = "E04";
        snprintf(out->text, sizeof out->text, "`%s`: character %zu, `%s`, is full-width (U+%04X); type it in half width", shown, place, one,
                 full);
    } else if (strlen(name) >= ZIP_MAX) {
        out->code = "E02";
        snprintf(out->text, sizeof out->text, "`%s` is longer than %d bytes", shown, ZIP_MAX - 1);
    } else if (!str_ends_nocase(name, ".zip")) {
        out->code = "E02";
        snprintf(out->text, sizeof out->text, "`%s` is not a .zip", shown);
    } else {
        out->code = "E02";
        snprintf(out->text, sizeof out->text, "`%s` starts with a dot or has two dots in a row", shown);
    }
}
