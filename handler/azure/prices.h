/* prices.h - what a machine costs an hour, from Azure's public price list (no sign-in). Linux, consumption, US dollars.
 *
 * Money is whole millionths of a dollar. What was found is kept in memory for a day, a failure for a few minutes, at most 32 of both.
 * Thread-safe; whoever comes while a price is fetched waits for it. */
#ifndef PRICES_H
#define PRICES_H
#include "http/http.h"

struct prices;
/* endpoint: https://prices.azure.com; copied. */
enum err_code prices_open(const char *endpoint, const struct http *http, struct prices **ret, struct err *err) MUST_CHECK;
void prices_close(struct prices *p);
/* region is as ARM names it (lower case, no blanks), size with its capitals. Of several that fit, the dearest. ERR_ABSENT: the list has no
 * such price. */
enum err_code prices_hourly(struct prices *p, const char *region, const char *size, bool spot, int64_t *micro_usd,
                            struct err *err) MUST_CHECK;
#endif
