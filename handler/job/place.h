/* place.h - where the next attempt is sent after Azure refused one: another size, another region, Spot to on-demand, in this order. Pure.
 */
#ifndef PLACE_H
#define PLACE_H
#include "job/step.h"

/* Moves size, region and on_demand of the state to the next place that the remedy leaves open. False: all have been refused; the state is
 * back at the first one, for a later round. */
bool place_next(const struct job_terms *terms, struct job_state *state, enum job_remedy remedy);
/* How long to wait before the next round. */
int64_t place_wait_s(int32_t rounds);
#endif
