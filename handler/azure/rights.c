#include "azure/rights.h"

#include <ctype.h>
#include <string.h>

#define PAGES_MAX 20
#define FIRST_PAGE "/providers/Microsoft.Authorization/permissions?api-version=2022-04-01"

bool rights_cover(const char *pattern, const char *action)
{
    const char *star = NULL, *retry = NULL; /* the last `*`, and what it swallowed so far */
    if (!pattern)
        return false;
    while (*action) {
        if (*pattern == '*') {
            star = pattern++;
            retry = action;
        } else if (tolower((unsigned char)*pattern) == tolower((unsigned char)*action)) {
            pattern++;
            action++;
        } else if (star) {
            pattern = star + 1;
            action = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static bool any_covers(const struct json *patterns, const char *action)
{
    for (size_t i = 0; i < json_len(patterns); i++)
        if (rights_cover(json_text(json_at(patterns, i)), action))
            return true;
    return false;
}

static void add_roles(const struct json *roles, const char *const actions[], size_t count, bool allowed[])
{
    for (size_t r = 0; r < json_len(roles); r++) {
        const struct json *role = json_at(roles, r);
        for (size_t i = 0; i < count; i++)
            if (any_covers(json_get(role, "actions"), actions[i]) && !any_covers(json_get(role, "notActions"), actions[i]))
                allowed[i] = true;
    }
}

enum err_code rights_read(const struct arm *a, const char *const actions[], size_t count, bool allowed[], struct err *err)
{
    AUTO_STR tail = STR_MAX(8000);
    str_add(&tail, FIRST_PAGE);
    for (size_t i = 0; i < count; i++)
        allowed[i] = false;
    for (int pages = 0; pages < PAGES_MAX; pages++) {
        AUTO_JSON answer = NULL;
        enum err_code code = str_check(&tail, "the next page of rights", err);
        if (code == OK)
            code = arm_read(a, str_c(&tail), &answer, err);
        if (code)
            return code;
        if (json_type(json_get(answer, "value")) != JSON_ARRAY)
            return err_set(err, ERR_UNREACHABLE, "Azure's answer is not understood: no list of rights");
        add_roles(json_get(answer, "value"), actions, count, allowed);
        const char *next = json_get_text(answer, "nextLink");
        if (!next[0])
            return OK;
        const char *rest = arm_tail(a, next);
        if (!rest)
            return err_set(err, ERR_REFUSED, "the next page of rights is somewhere else");
        str_clear(&tail);
        str_add(&tail, rest);
    }
    return err_set(err, ERR_UNREACHABLE, "the list of rights does not end");
}
