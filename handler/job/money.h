/* money.h - US dollars as whole millionths, and what a machine may cost at most. Pure. */
#ifndef MONEY_H
#define MONEY_H
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define MONEY_DOLLAR INT64_C(1000000)
#define MONEY_MAX (1000000 * MONEY_DOLLAR)
/* An hour of what goes along with every machine, its disk (64 GB standard SSD) and its public IP, rounded up generously. */
#define MONEY_BESIDE_HOURLY INT64_C(20000)

/* "20", "12.50": digits, at most 6 of them behind a dot; above 0 and at most a million. */
bool money_parse(const char *text, int64_t *micro);
void money_add(struct str *to, int64_t micro); /* "$0.46"; "less than $0.01" */
/* What so many minutes cost at most, disk and address included; rounded up. */
int64_t money_worst(int64_t hourly, int32_t minutes);
/* The most minutes, in whole half hours, that cost no more than the limit. */
int32_t money_minutes(int64_t hourly, int64_t limit);
#endif
