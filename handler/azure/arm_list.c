/* The list of groups, page by page. */
#include <string.h>

#include "azure/arm.h"
#include "azure/arm_call.h"

#define PAGES_MAX 200

bool arm_is_here(const struct arm *a, const char *url)
{
    size_t len = strcspn(a->endpoint, "/") + 2;

    len += strcspn(a->endpoint + len, "/");
    return strncmp(url, a->endpoint, len) == 0 && url[len] == '/';
}

static enum err_code get_page(const struct arm *a, const char *url, const char *tag, const char *value, struct json **page, struct err *err)
{
    AUTO_REQUEST req = {0};

    arm_start(a, "GET", &req);
    if (url != NULL) {
        str_clear(&req.url);
        str_add(&req.url, url);
    } else {
        str_add(&req.url, "/subscriptions/");
        str_add_percent(&req.url, a->subscription);
        str_addf(&req.url,
                 "/resourcegroups?api-version=" ARM_VERSION "&$filter=tagName%%20eq%%20%%27%s%%27%%20and%%20tagValue%%20eq%%20%%27%s%%27",
                 tag, value);
    }
    return arm_call(a, &req, "", page, err);
}

enum err_code arm_groups_list(const struct arm *a, const char *tag, const char *value, arm_visit visit, void *ctx, struct err *err)
{
    AUTO_STR next = STR_MAX(8192);

    for (int pages = 0; pages < PAGES_MAX; pages++) {
        AUTO_JSON page = NULL;
        enum err_code code = get_page(a, next.len > 0 ? str_c(&next) : NULL, tag, value, &page, err);
        if (code != OK)
            return code;
        const struct json *groups = json_get(page, "value");
        if (json_type(groups) != JSON_ARRAY)
            return err_set(err, ERR_UNREACHABLE, "Azure's answer is not understood: no value");
        for (size_t i = 0; i < json_len(groups); i++)
            if (!visit(ctx, json_get_text(json_at(groups, i), "name")))
                return OK;
        str_clear(&next);
        str_add(&next, json_get_text(page, "nextLink"));
        if (next.len == 0 && !next.failed)
            return OK;
        if (str_c(&next) == NULL || !arm_is_here(a, str_c(&next)))
            return err_set(err, ERR_UNREACHABLE, "Azure's next page is at another host");
    }
    return err_set(err, ERR_TOO_LARGE, "more than %d pages of groups", PAGES_MAX);
}
