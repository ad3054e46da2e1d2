/* bill.h - how long the machines of a job were there, from the order of each to the first 404 of its group, and about what that costs.
 * Pure.
 */
#ifndef BILL_H
#define BILL_H
#include "job/record.h"

/* The machine of the present attempt was ordered, at that price an hour (0: not known). Said again: no change. */
void bill_order(struct record *rec, int64_t hourly);
bool bill_has(const struct record *rec); /* it is on the bill already */
/* A look at the group of a machine that is being deleted. */
void bill_look(struct record *rec, enum seen group, int64_t now_s);
/* Of all machines; one that is still there counts until the outcome, or else until now_s. */
int64_t bill_seconds(const struct record *rec, int64_t now_s);
int64_t bill_micro_usd(const struct record *rec, int64_t now_s); /* disk and address included; 0: not known */
#endif
