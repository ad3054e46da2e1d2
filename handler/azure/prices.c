#include "azure/prices.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_items.h"

#define KEPT_MAX 32
#define KEPT_S 86400
#define FAILED_S 180
#define PAGES_MAX 5
#define BYTES_MAX (8u * 1024 * 1024)
#define LOOK_MS 15000
#define HOURLY_MAX 10000.0 /* dollars; more is a mistake of the list */
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

struct price {
    char region[64], size[70];
    int64_t asked_s;       /* 0: never */
    int64_t regular, spot; /* 0: not in the list */
    struct err err;        /* when it could not be read */
};
struct prices {
    const struct http *http;
    char endpoint[256];
    pthread_mutex_t lock; /* over kept; held while one is fetched too */
    struct price kept[KEPT_MAX];
};

struct reading {
    struct price *price;
    struct json_items items;
    size_t bytes;
};

static bool says(const struct json *item, const char *name, const char *what)
{
    return strcasestr(json_get_text(item, name), what) != NULL;
}

static void take_item(void *ctx, const struct json *item)
{
    struct price *p = ((struct reading *)ctx)->price;
    double dollars = 0;

    if (!str_is_nocase(json_get_text(item, "armSkuName"), p->size) || !str_is_nocase(json_get_text(item, "armRegionName"), p->region) ||
        !str_is(json_get_text(item, "type"), "Consumption") || !str_is(json_get_text(item, "currencyCode"), "USD") ||
        !str_is(json_get_text(item, "unitOfMeasure"), "1 Hour") || says(item, "productName", "Windows") ||
        says(item, "productName", "Cloud Services") || says(item, "skuName", "Low Priority"))
        return;
    if (!json_number(json_get(item, "retailPrice"), &dollars) || !(dollars > 0 && dollars <= HOURLY_MAX))
        return;
    int64_t micro = (int64_t)ceil(dollars * 1e6 - 1e-3); /* 0.0768 is 76800, though no double is exactly 0.0768 */
    int64_t *to = says(item, "skuName", "Spot") ? &p->spot : &p->regular;
    if (micro > *to)
        *to = micro;
}

static bool take_bytes(void *ctx, const void *bytes, size_t len)
{
    struct reading *r = ctx;

    r->bytes += len;
    json_items_feed(&r->items, bytes, len);
    return r->bytes <= BYTES_MAX;
}

static void begin_page(void *ctx)
{
    struct reading *r = ctx;

    json_items_done(&r->items);
    json_items_start(&r->items, take_item, r);
}

static void first_url(const struct prices *p, const struct price *price, struct str *to)
{
    str_add(to, p->endpoint);
    str_add(to, "/api/retail/prices?api-version=2023-01-01-preview&currencyCode=%27USD%27&$filter=armRegionName%20eq%20%27");
    str_add_percent(to, price->region);
    str_add(to, "%27%20and%20armSkuName%20eq%20%27");
    str_add_percent(to, price->size);
    str_add(to, "%27%20and%20serviceName%20eq%20%27Virtual%20Machines%27%20and%20priceType%20eq%20%27Consumption%27");
}

/* The next page lies where the first did: only the path of the link is used. It comes with the port, https://prices.azure.com:443/... */
static bool next_url(const struct prices *p, const char *link, struct str *to)
{
    size_t len = strlen(p->endpoint);

    if (strncasecmp(link, p->endpoint, len) != 0)
        return false;
    link += len;
    if (str_starts(link, ":443/"))
        link += strlen(":443");
    str_add(to, p->endpoint);
    str_add(to, link);
    return link[0] == '/';
}

/* *next is the next page, "" after the last. */
static enum err_code read_page(const struct prices *p, struct reading *r, struct str *next, int64_t deadline_ms, struct err *err)
{
    AUTO_REQUEST req = {0};
    AUTO_RESPONSE res = {0};
    AUTO_JSON rest = NULL;

    http_request_init(&req, "GET", deadline_ms);
    str_add(&req.url, str_c(next));
    http_set(&req.headers, "Accept", "application/json");
    req.sink = take_bytes;
    req.restart = begin_page;
    req.sink_ctx = r;
    req.max_attempts = 3;
    begin_page(r);
    enum err_code code = http_send(p->http, &req, &res, err);
    if (code != OK)
        return code;
    if (res.status < 200 || res.status > 299)
        return err_set(err, ERR_REFUSED, "the price list answers HTTP %d", res.status);
    code = json_items_end(&r->items, &rest, err);
    if (code != OK)
        return err_context(err, "the price list");
    str_clear(next);
    const char *link = json_get_text(rest, "NextPageLink");
    if (link[0] && !next_url(p, link, next))
        return err_set(err, ERR_REFUSED, "the price list goes on at another address");
    return str_check(next, "an address of the price list", err);
}

static enum err_code read_all(const struct prices *p, struct price *price, struct err *err)
{
    struct reading r = {.price = price};
    AUTO_STR next = STR_MAX(8192);
    int64_t deadline_ms = clock_mono_ms(p->http->clock) + LOOK_MS;
    enum err_code code = OK;

    first_url(p, price, &next);
    for (int pages = 0; code == OK && next.len > 0; pages++)
        code = pages < PAGES_MAX ? read_page(p, &r, &next, deadline_ms, err)
                                 : err_set(err, ERR_TOO_LARGE, "the price list has more than %d pages", PAGES_MAX);
    json_items_done(&r.items);
    return code;
}

/* The place of a price; the oldest one makes room. */
static struct price *find(struct prices *p, const char *region, const char *size)
{
    struct price *oldest = &p->kept[0];

    for (size_t i = 0; i < KEPT_MAX; i++) {
        struct price *at = &p->kept[i];
        if (at->asked_s > 0 && str_is(at->region, region) && str_is(at->size, size))
            return at;
        if (at->asked_s < oldest->asked_s)
            oldest = at;
    }
    *oldest = (struct price){.asked_s = 0};
    str_copy(oldest->region, sizeof oldest->region, region);
    str_copy(oldest->size, sizeof oldest->size, size);
    return oldest;
}

static bool is_name(const char *text, size_t size)
{
    return text[0] != '\0' && strlen(text) < size && text[strspn(text, NAME_CHARACTERS)] == '\0';
}

enum err_code prices_hourly(struct prices *p, const char *region, const char *size, bool spot, int64_t *micro_usd, struct err *err)
{
    int64_t now_s = clock_now_s(p->http->clock);

    if (!is_name(region, sizeof p->kept[0].region) || !is_name(size, sizeof p->kept[0].size))
        return err_set(err, ERR_INPUT, "not the name of a region and a size: %.60s, %.60s", region, size);
    (void)pthread_mutex_lock(&p->lock);
    struct price *at = find(p, region, size);
    int64_t most_s = at->err.code != OK || (at->regular == 0 && at->spot == 0) ? FAILED_S : KEPT_S;
    if (at->asked_s == 0 || now_s < at->asked_s || now_s - at->asked_s >= most_s) {
        at->asked_s = now_s;
        at->regular = at->spot = 0;
        at->err = (struct err){.code = OK};
        at->err.code = read_all(p, at, &at->err); /* a first attempt that failed may have left words */
        if (at->err.code != OK)
            at->regular = at->spot = 0; /* half a list may lack the dearer one */
    }
    enum err_code code = at->err.code;
    if (code != OK && err != NULL)
        *err = at->err;
    *micro_usd = spot ? at->spot : at->regular;
    (void)pthread_mutex_unlock(&p->lock);
    if (code == OK && *micro_usd == 0)
        code = err_set(err, ERR_ABSENT, "Azure's price list has no %sprice of %s in %s", spot ? "Spot " : "", size, region);
    return code;
}

enum err_code prices_open(const char *endpoint, const struct http *http, struct prices **ret, struct err *err)
{
    struct prices *p = calloc(1, sizeof *p);

    if (p == NULL)
        return err_set(err, ERR_MEMORY, "no memory");
    p->http = http;
    str_copy(p->endpoint, sizeof p->endpoint, endpoint);
    (void)pthread_mutex_init(&p->lock, NULL);
    *ret = p;
    return OK;
}

void prices_close(struct prices *p)
{
    if (p == NULL)
        return;
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}
