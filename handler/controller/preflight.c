#include "controller/preflight.h"

#include <stdio.h>

#include "base/log.h"
#include "job/bill.h"

#define REGIONAL "cores"
#define SPOT "lowPriorityCores"
#define FRESH_S 5 /* a `no` that is older may be over: it is asked for again before anyone is refused */

/* As ARM's addresses name it; what cannot be a region stays as it is, and Azure says so. */
static void plain_region(const char *region, char out[64])
{
    if (!region_plain(region, out, 64))
        str_copy(out, 64, region);
}

static enum err_code refuse(struct err *err, const char *code)
{
    if (err != NULL)
        str_copy(err->remote, sizeof err->remote, code);
    return ERR_REFUSED;
}

/* One lookup's worth of judgement; age_s says how old the answers may be. */
struct preflight {
    const struct controller *c;
    const struct arm *arm;
    const char *size, *region;
    bool spot;
    int64_t age_s;
    bool unknown; /* an answer could not be had: why stands in err */
};

static enum err_code unknown(struct preflight *p, const char *what, const struct err *err)
{
    p->unknown = true;
    log_line(LOG_WARN, "preflight: %s in %s cannot be looked up, Azure will say: %s", what, p->region, err->msg);
    return OK;
}

static enum err_code judge_size(struct preflight *p, struct arm_size *size, struct err *err)
{
    struct err why = {0};
    enum err_code code = arm_quota_size(p->c->quota, p->arm, p->region, p->size, p->age_s, size, &why);

    if (code == ERR_ABSENT) {
        (void)err_set(err, ERR_REFUSED, "%s is not offered in %s.", p->size, p->region);
        return refuse(err, "SkuNotAvailable");
    }
    if (code != OK)
        return unknown(p, "sizes", &why);
    if (size->restricted[0] != '\0') {
        (void)err_set(err, ERR_REFUSED, "%s is not available to this subscription in %s (%s).", p->size, p->region, size->restricted);
        return refuse(err, "SkuNotAvailable");
    }
    if (p->spot && size->never_spot) {
        (void)err_set(err, ERR_REFUSED, "%s cannot be had as a Spot machine.", p->size);
        return refuse(err, "AzureSpotIsNotSupportedForThisVMSize");
    }
    return OK;
}

/* As ARM words it, which is what decides what is tried next. */
static const char *shown_name(const char *name)
{
    return str_is(name, REGIONAL) ? "Total Regional Cores" : name;
}

static enum err_code judge_quota(struct preflight *p, const char *name, int32_t needed, struct err *err)
{
    struct arm_usage usage;
    struct err why = {0};
    enum err_code code = arm_quota_usage(p->c->quota, p->arm, p->region, name, p->age_s, &usage, &why);

    if (code != OK)
        return unknown(p, name, &why);
    if (usage.used + needed <= usage.limit)
        return OK;
    (void)err_set(err, ERR_REFUSED, "%s: %lld of %lld vCPUs are used, %d more are needed (in %s).", shown_name(name), (long long)usage.used,
                  (long long)usage.limit, needed, p->region);
    return refuse(err, "QuotaExceeded");
}

/* A machine at list price counts in its family and in its region; a Spot machine in a pool of its own. */
static enum err_code judge(struct preflight *p, struct err *err)
{
    struct arm_size size;
    enum err_code code = judge_size(p, &size, err);

    if (code != OK || p->unknown || size.vcpus == 0)
        return code;
    if (p->spot)
        return judge_quota(p, SPOT, size.vcpus, err);
    if (size.family[0] != '\0')
        code = judge_quota(p, size.family, size.vcpus, err);
    return code == OK && !p->unknown ? judge_quota(p, REGIONAL, size.vcpus, err) : code;
}

enum err_code preflight_machine(const struct controller *c, const struct arm *arm, const char *size, const char *region, bool spot,
                                struct err *err)
{
    char plain[64];
    struct preflight p = {.c = c, .arm = arm, .size = size, .region = plain, .spot = spot, .age_s = ARM_QUOTA_KEPT};

    plain_region(region, plain);
    if (judge(&p, err) == OK)
        return OK;
    p.age_s = FRESH_S;
    return judge(&p, err);
}

/* The list price of an hour, in millionths of a dollar. */
static enum err_code price_of(const struct controller *c, const char *size, const char *region, bool spot, int64_t *micro_usd_per_hour,
                              struct err *err)
{
    char plain[64];

    plain_region(region, plain);
    return prices_hourly(c->prices, plain, size, spot, micro_usd_per_hour, err);
}

size_t preflight_places(const struct request *r, struct preflight_place place[PREFLIGHT_PLACES_MAX])
{
    size_t count = 0;

    for (int32_t i = 0; i < r->regions.count; i++)
        for (int32_t j = 0; j < r->vm_sizes.count; j++)
            place[count++] =
                (struct preflight_place){.size = r->vm_sizes.name[j], .region = r->regions.name[i], .spot = r->spot == SPOT_ONLY};
    return count;
}

enum err_code preflight_dearest(const struct controller *c, const struct preflight_place *place, size_t count, size_t *dearest,
                                int64_t *micro_usd_per_hour, struct err *err)
{
    *micro_usd_per_hour = 0;
    *dearest = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t one = 0;
        enum err_code code = price_of(c, place[i].size, place[i].region, place[i].spot, &one, err);
        if (code != OK) {
            *dearest = i;
            return code;
        }
        if (one > *micro_usd_per_hour) {
            *micro_usd_per_hour = one;
            *dearest = i;
        }
    }
    return OK;
}

void preflight_bill(const struct controller *c, struct record *rec)
{
    struct err err = {0};
    int64_t hourly = 0;

    if (bill_has(rec))
        return;
    if (price_of(c, record_size(rec), record_region(rec), job_on_spot(&rec->terms, &rec->state), &hourly, &err) != OK) {
        log_line(LOG_WARN, "price: %s", err.msg);
        hourly = 0;
    }
    bill_order(rec, hourly);
}

void preflight_quote(const struct controller *c, struct record *rec)
{
    struct preflight_place place[PREFLIGHT_PLACES_MAX];
    struct err err = {0};
    size_t count = preflight_places(&rec->request, place), dearest;

    if (rec->dearest_micro_usd == 0 && preflight_dearest(c, place, count, &dearest, &rec->dearest_micro_usd, &err) != OK) {
        rec->dearest_micro_usd = 0;
        log_line(LOG_WARN, "price: %s", err.msg);
    }
}
