/* settings_reader.h - reading one setting, and saying what is wrong with it: for settings*.c alone. */
#ifndef SETTINGS_READER_H
#define SETTINGS_READER_H
#include <string.h>

#include "settings.h"

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

struct reader {
    const char *(*lookup)(const char *name);
    struct str *faults;
};

/* The value, or the row's fallback; never NULL. */
static inline const char *get(const struct reader *r, const char *name)
{
    const char *value = r->lookup(name);

    if (value != NULL && *value != '\0')
        return value;
    size_t count;
    const struct settings_row *rows = settings_rows(&count);
    for (size_t i = 0; i < count; i++)
        if (str_is(rows[i].name, name))
            return rows[i].fallback;
    return "";
}

/* The first that is set: a former name and its standard one. */
static inline const char *either(const struct reader *r, const char *name, const char *other)
{
    const char *value = get(r, name);

    return *value != '\0' ? value : get(r, other);
}

static inline void fault(const struct reader *r, const char *name, const char *what)
{
    str_addf(r->faults, "%s: %s\n", name, what);
}

static inline void text(const struct reader *r, const char *name, const char *value, const char *allowed, char *to, size_t size,
                        const char *rule)
{
    if (strlen(value) >= size || strspn(value, allowed) != strlen(value))
        fault(r, name, rule);
    else
        str_copy(to, size, value);
}

/* Whose token is taken, and where it is asked for (settings_identity.c). */
void settings_read_identity(const struct reader *r, struct settings *s);
#endif
