#include "controller/assets.h"

#include <stdio.h>
#include <string.h>

#include "base/crypto.h"

#define SCRIPTS_MAX ((size_t)128 * 1024 * 1024)
#define BOOT_FILE_MAX ((size_t)16 * 1024)

static void close_file(FILE **f)
{
    if (*f != NULL)
        fclose(*f);
}

static enum err_code load(const char *root, const char *name, size_t max, struct str *to, struct err *err)
{
    char piece[65536];
    size_t got;
    AUTO_STR path = STR_MAX(4096);

    str_addf(&path, "%s/%s", root, name);
    __attribute__((cleanup(close_file))) FILE *f = str_c(&path) != NULL ? fopen(str_c(&path), "rbe") : NULL;
    if (f == NULL)
        return err_set(err, ERR_ABSENT, "the app root has no %s: it is made by `cmake --install`", name);
    str_done(to);
    *to = STR_MAX(max);
    while ((got = fread(piece, 1, sizeof piece, f)) > 0)
        str_add_n(to, piece, got);
    if (ferror(f) || to->len == 0)
        return err_set(err, ERR_INTERNAL, "%s cannot be read", name);
    return str_check(to, name, err);
}

enum err_code assets_scripts(const struct assets *a, struct str *to, struct err *err)
{
    char hex[65];
    enum err_code code = load(a->root, "vm-scripts.tar.gz", SCRIPTS_MAX, to, err);

    if (code == OK && (!sha256_of(to->p, to->len, hex) || !str_is(hex, a->scripts_sha256)))
        code = err_set(err, ERR_INTERNAL, "vm-scripts.tar.gz is not what vm-scripts.sha256 says: install the app again");
    return code;
}

static enum err_code load_sha256(struct assets *a, struct err *err)
{
    AUTO_STR text = STR_MAX(128);
    enum err_code code = load(a->root, "vm-scripts.sha256", 128, &text, err);

    if (code == OK && (text.len < 64 || strspn(text.p, "0123456789abcdef") != 64))
        code = err_set(err, ERR_INTERNAL, "vm-scripts.sha256 holds no sha256: install the app again");
    if (code == OK) {
        memcpy(a->scripts_sha256, text.p, 64);
        a->scripts_sha256[64] = '\0';
    }
    return code;
}

enum err_code assets_load(const char *root, struct assets *a, struct err *err)
{
    struct {
        const char *name;
        struct str *to;
    } boot[] = {
        {"vm-scripts/boot/start", &a->start},   {"vm-scripts/boot/claim", &a->claim},          {"vm-scripts/boot/fetch", &a->fetch},
        {"vm-scripts/boot/report", &a->report}, {"vm-scripts/boot/retrain.service", &a->unit},
    };

    str_copy(a->root, sizeof a->root, root);
    enum err_code code = load_sha256(a, err);
    for (size_t i = 0; code == OK && i < sizeof boot / sizeof *boot; i++)
        code = load(root, boot[i].name, BOOT_FILE_MAX, boot[i].to, err);
    return code;
}

void assets_done(struct assets *a)
{
    struct str *all[] = {&a->start, &a->claim, &a->fetch, &a->report, &a->unit};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        str_done(all[i]);
}
