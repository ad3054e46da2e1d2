/* request_places.c - short lists of sizes or regions (job/request.h). */
#include <string.h>

#include "job/request.h"

const char *places_first(const struct places *p)
{
    return p->count > 0 ? p->name[0] : "";
}

bool places_has(const struct places *p, const char *name)
{
    for (int32_t i = 0; i < p->count; i++)
        if (str_is_nocase(p->name[i], name))
            return true;
    return false;
}

bool places_add(struct places *p, const char *name)
{
    if (!name || !*name || strlen(name) >= PLACE_MAX || p->count >= PLACES_MAX || places_has(p, name))
        return false;
    str_copy(p->name[p->count++], PLACE_MAX, name);
    return true;
}

bool places_same(const struct places *a, const struct places *b)
{
    bool same = a->count == b->count;
    for (int32_t i = 0; same && i < a->count; i++)
        same = str_is(a->name[i], b->name[i]);
    return same;
}

bool places_next(const char **list, char name[PLACE_MAX])
{
    *list += strspn(*list, ", \t");
    size_t len = strcspn(*list, ", \t");
    str_copy(name, len < PLACE_MAX ? len + 1 : 1, *list);
    *list += len;
    return len > 0;
}

void places_split(struct places *p, const char *list)
{
    char name[PLACE_MAX];
    *p = (struct places){0};
    while (list && places_next(&list, name))
        (void)places_add(p, name);
}

bool region_plain(const char *name, char *out, size_t size)
{
    size_t len = 0;
    for (; *name; name++) {
        char c = *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name;
        if (c == ' ')
            continue;
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) || len + 1 >= size)
            return false;
        out[len++] = c;
    }
    out[len] = '\0';
    return len > 0 && out[0] >= 'a';
}
