/* preflight.h - what can be known before Azure is asked for a machine: whether the size may be had, whether quota is left, what it costs.
 *
 * All answers are kept (azure/arm_quota.h, azure/prices.h): asked ahead or twice, nothing is fetched twice. */
#ifndef PREFLIGHT_H
#define PREFLIGHT_H
#include "controller/controller.h"

/* OK, or a refusal as ARM would word it, err->remote being SkuNotAvailable, AzureSpotIsNotSupportedForThisVMSize or QuotaExceeded. Only
 * what is fresh refuses, and a lookup that fails is no proof: OK and a log line. */
enum err_code preflight_machine(const struct controller *c, const struct arm *arm, const char *size, const char *region, bool spot,
                                struct err *err) MUST_CHECK;

/* The places where a job may land. */
struct preflight_place {
    const char *size, *region;
    bool spot;
};
#define PREFLIGHT_PLACES_MAX (PLACES_MAX * PLACES_MAX)
/* Of a job that Spot may refuse, those without Spot: they are the dearer ones. */
size_t preflight_places(const struct request *r, struct preflight_place place[PREFLIGHT_PLACES_MAX]);
/* The dearest of them, and its list price of an hour in millionths of a dollar; an error as soon as the price of one is not known. */
enum err_code preflight_dearest(const struct controller *c, const struct preflight_place *place, size_t count, size_t *dearest,
                                int64_t *micro_usd_per_hour, struct err *err) MUST_CHECK;
/* Puts the machine of the present attempt on the record's bill; one that is there already stays as it is. */
void preflight_bill(const struct controller *c, struct record *rec);
/* Puts the dearest price of an hour into a record that has none yet: for what people are told. */
void preflight_quote(const struct controller *c, struct record *rec);
#endif
