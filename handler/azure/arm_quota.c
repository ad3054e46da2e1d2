#include "azure/arm_quota.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "azure/arm_call.h"
#include "base/json_items.h"

#define SKUS_VERSION "2021-07-01"
#define REGIONS_MAX 8
#define ITEMS_MAX 4000 /* a region has about 1000 sizes */
#define PAGES_MAX 20
#define BYTES_MAX (64u * 1024 * 1024)
#define REFUSED_S 300 /* a role that lacks is not asked for with each machine */
#define SILENT_S 60   /* nor a service that is down */

/* What one region's list came to; items begin with their name. */
struct answer {
    char subscription[64], region[64];
    int64_t asked_s; /* 0: never */
    struct err err;
    char *items;
    size_t count;
};
/* One kind of list, and the latest answers to it. */
struct shelf {
    pthread_mutex_t lock; /* held while it is fetched too: whoever comes waits for the same answer */
    size_t item_size;
    int64_t kept_s, limit_ms;
    bool (*read)(const struct json *item, const char *region, void *out);
    void (*url)(struct str *to, const char *region);
    struct answer answer[REGIONS_MAX];
};
struct arm_quota {
    const struct clock *clock;
    struct shelf sizes, usages;
};

/* ---- sizes ---- */

static void sizes_url(struct str *to, const char *region)
{
    str_add(to, "/providers/Microsoft.Compute/skus?api-version=" SKUS_VERSION "&$filter=location%20eq%20%27");
    str_add_percent(to, region);
    str_add(to, "%27");
}

static bool names_region(const struct json *list, const char *region)
{
    for (size_t i = 0; i < json_len(list); i++)
        if (str_is_nocase(json_text(json_at(list, i)), region))
            return true;
    return false;
}

/* A zone that is restricted leaves the others. */
static void read_restriction(const struct json *restriction, const char *region, struct arm_size *size)
{
    const char *why = json_get_text(restriction, "reasonCode");

    if (str_is_nocase(json_get_text(restriction, "type"), "Location") &&
        (names_region(json_get(restriction, "values"), region) ||
         names_region(json_path(restriction, "restrictionInfo.locations"), region)))
        str_copy(size->restricted, sizeof size->restricted, why[0] ? why : "restricted");
}

static void read_capability(const struct json *capability, struct arm_size *size)
{
    const char *name = json_get_text(capability, "name"), *value = json_get_text(capability, "value");
    int32_t vcpus = (int32_t)strtol(value, NULL, 10);

    /* A size with constrained cores tells both numbers; the smaller one refuses nobody wrongly. */
    if ((str_is_nocase(name, "vCPUs") || str_is_nocase(name, "vCPUsAvailable")) && vcpus > 0 && (size->vcpus == 0 || vcpus < size->vcpus))
        size->vcpus = vcpus;
    if (str_is_nocase(name, "LowPriorityCapable"))
        size->never_spot = str_is_nocase(value, "False");
}

static bool read_size(const struct json *item, const char *region, void *out)
{
    struct arm_size *size = out;
    const char *name = json_get_text(item, "name"), *family = json_get_text(item, "family");
    const struct json *list;

    if (!str_is_nocase(json_get_text(item, "resourceType"), "virtualMachines") || !name[0] || strlen(name) >= sizeof size->name ||
        strlen(family) >= sizeof size->family)
        return false;
    *size = (struct arm_size){.vcpus = 0};
    str_copy(size->name, sizeof size->name, name);
    str_copy(size->family, sizeof size->family, family);
    list = json_get(item, "restrictions");
    for (size_t i = 0; i < json_len(list); i++)
        read_restriction(json_at(list, i), region, size);
    list = json_get(item, "capabilities");
    for (size_t i = 0; i < json_len(list); i++)
        read_capability(json_at(list, i), size);
    return true;
}

/* ---- usages ---- */

static void usages_url(struct str *to, const char *region)
{
    str_add(to, "/providers/Microsoft.Compute/locations/");
    str_add_percent(to, region);
    str_add(to, "/usages?api-version=" ARM_VERSION);
}

static bool read_usage(const struct json *item, const char *region, void *out)
{
    struct arm_usage *usage = out;
    const char *name = json_get_text(json_get(item, "name"), "value");

    (void)region;
    *usage = (struct arm_usage){.used = json_get_int(item, "currentValue", -1), .limit = json_get_int(item, "limit", -1)};
    if (!name[0] || strlen(name) >= sizeof usage->name || usage->used < 0 || usage->limit < 0)
        return false;
    str_copy(usage->name, sizeof usage->name, name);
    return true;
}

/* ---- fetching ---- */

struct fetch {
    const struct shelf *shelf;
    const char *region;
    struct json_items items;
    char *found;
    size_t count, room, bytes;
    bool failed; /* no memory, or too many */
};

static void take_item(void *ctx, const struct json *item)
{
    struct fetch *f = ctx;
    size_t size = f->shelf->item_size;

    if (f->failed)
        return;
    if (f->count == f->room) {
        size_t room = f->room ? f->room * 2 : 64;
        char *more = room <= 2 * ITEMS_MAX ? realloc(f->found, room * size) : NULL;
        f->failed = more == NULL;
        if (f->failed)
            return;
        f->found = more;
        f->room = room;
    }
    if (f->shelf->read(item, f->region, f->found + f->count * size))
        f->count++;
}

static bool take_bytes(void *ctx, const void *bytes, size_t len)
{
    struct fetch *f = ctx;

    f->bytes += len;
    json_items_feed(&f->items, bytes, len);
    return f->bytes <= BYTES_MAX;
}

static void begin_page(void *ctx)
{
    struct fetch *f = ctx;

    json_items_done(&f->items);
    json_items_start(&f->items, take_item, f);
}

/* An attempt that broke off may have left elements of its page: they come again, and the first of a name counts. */
static enum err_code fetch_page(struct fetch *f, const struct arm *a, const char *link, struct str *next, struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_JSON rest = NULL;

    begin_page(f);
    arm_start(a, "GET", &req);
    if (link[0]) {
        str_clear(&req.url);
        str_add(&req.url, link);
    } else {
        str_add(&req.url, "/subscriptions/");
        str_add_percent(&req.url, a->subscription);
        f->shelf->url(&req.url, f->region);
    }
    req.sink = take_bytes;
    req.restart = begin_page;
    req.sink_ctx = f;
    req.max_attempts = 2;
    req.deadline_ms = clock_mono_ms(a->http->clock) + f->shelf->limit_ms;
    enum err_code code = arm_call(a, &req, "", NULL, err);
    if (code == OK)
        code = json_items_end(&f->items, &rest, err);
    if (code == OK && f->failed)
        code = err_set(err, ERR_TOO_LARGE, "a list of more than %d", ITEMS_MAX);
    str_clear(next);
    if (code == OK)
        str_add(next, json_get_text(rest, "nextLink"));
    return code;
}

static enum err_code fetch_all(struct fetch *f, const struct arm *a, struct err *err)
{
    AUTO_STR next = STR_MAX(4096), link = STR_MAX(4096);
    enum err_code code = fetch_page(f, a, "", &next, err);

    for (int pages = 1; code == OK && next.len > 0; pages++) {
        if (next.failed || pages == PAGES_MAX || !arm_is_here(a, str_c(&next)))
            return err_set(err, ERR_INPUT, "a list of Azure does not end, or goes on elsewhere");
        str_clear(&link);
        str_add(&link, str_c(&next));
        code = fetch_page(f, a, str_c(&link), &next, err);
    }
    if (code == OK && next.failed)
        code = err_set(err, ERR_INPUT, "a list of Azure goes on at an address that is too long");
    if (code == OK && f->count == 0)
        code = err_set(err, ERR_INPUT, "a list of Azure is empty");
    return code;
}

/* With the lock held. */
static void renew(struct shelf *s, const struct arm *a, int64_t now_s, struct answer *to)
{
    struct fetch f = {.shelf = s, .region = to->region};

    free(to->items);
    to->items = NULL;
    to->count = 0;
    to->err = (struct err){.code = OK};
    to->asked_s = now_s;
    enum err_code code = fetch_all(&f, a, &to->err);
    if (code == OK) {
        to->items = f.found;
        to->count = f.count;
    } else
        free(f.found);
    to->err.code = code == ERR_ABSENT ? ERR_REFUSED : code; /* no list at all does not say that something is not in it */
    json_items_done(&f.items);
}

/* The place of a region's answer; the oldest one makes room. */
static struct answer *find(struct shelf *s, const struct arm *a, const char *region)
{
    struct answer *oldest = &s->answer[0];

    for (size_t i = 0; i < REGIONS_MAX; i++) {
        struct answer *at = &s->answer[i];
        if (at->asked_s > 0 && str_is(at->subscription, a->subscription) && str_is(at->region, region))
            return at;
        if (at->asked_s < oldest->asked_s)
            oldest = at;
    }
    oldest->asked_s = 0;
    str_copy(oldest->subscription, sizeof oldest->subscription, a->subscription);
    str_copy(oldest->region, sizeof oldest->region, region);
    return oldest;
}

static enum err_code look_up(struct shelf *s, const struct clock *clock, const struct arm *a, const char *region, const char *name,
                             int64_t age_s, void *out, struct err *err)
{
    int64_t now_s = clock_now_s(clock);
    enum err_code code;

    (void)pthread_mutex_lock(&s->lock);
    struct answer *at = find(s, a, region);
    int64_t most_s = at->err.code == ERR_UNREACHABLE ? SILENT_S : at->err.code != OK ? REFUSED_S : age_s < s->kept_s ? age_s : s->kept_s;
    /* A clock that was set back makes nothing last longer. */
    if (at->asked_s == 0 || now_s < at->asked_s || now_s - at->asked_s >= most_s)
        renew(s, a, now_s, at);
    code = at->err.code;
    if (code != OK && err != NULL)
        *err = at->err;
    if (code == OK) {
        code = ERR_ABSENT;
        for (size_t i = 0; i < at->count && code != OK; i++)
            if (str_is_nocase(at->items + i * s->item_size, name)) {
                memcpy(out, at->items + i * s->item_size, s->item_size);
                code = OK;
            }
        if (code != OK)
            (void)err_set(err, code, "%s is not in Azure's list for %s", name, region);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return code;
}

enum err_code arm_quota_size(struct arm_quota *q, const struct arm *a, const char *region, const char *size, int64_t age_s,
                             struct arm_size *out, struct err *err)
{
    return look_up(&q->sizes, q->clock, a, region, size, age_s, out, err);
}

enum err_code arm_quota_usage(struct arm_quota *q, const struct arm *a, const char *region, const char *name, int64_t age_s,
                              struct arm_usage *out, struct err *err)
{
    return look_up(&q->usages, q->clock, a, region, name, age_s, out, err);
}

enum err_code arm_quota_open(const struct clock *clock, struct arm_quota **ret, struct err *err)
{
    struct arm_quota *q = calloc(1, sizeof *q);

    if (q == NULL)
        return err_set(err, ERR_MEMORY, "no memory");
    q->clock = clock;
    q->sizes =
        (struct shelf){.item_size = sizeof(struct arm_size), .kept_s = 3600, .limit_ms = 40 * 1000, .read = read_size, .url = sizes_url};
    q->usages =
        (struct shelf){.item_size = sizeof(struct arm_usage), .kept_s = 60, .limit_ms = 15 * 1000, .read = read_usage, .url = usages_url};
    (void)pthread_mutex_init(&q->sizes.lock, NULL);
    (void)pthread_mutex_init(&q->usages.lock, NULL);
    *ret = q;
    return OK;
}

static void empty(struct shelf *s)
{
    for (size_t i = 0; i < REGIONS_MAX; i++)
        free(s->answer[i].items);
    (void)pthread_mutex_destroy(&s->lock);
}

void arm_quota_close(struct arm_quota *q)
{
    if (q == NULL)
        return;
    empty(&q->sizes);
    empty(&q->usages);
    free(q);
}
