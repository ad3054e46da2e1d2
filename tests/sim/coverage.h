/* coverage.h - how often each state, outcome, event and fault was reached: nobody shall believe a simulation that never gets there. */
#ifndef COVERAGE_H
#define COVERAGE_H
#include <stdbool.h>

#include "history.h"

struct coverage {
    uint64_t events, event[EVENT_KINDS], fault[16][4], state[8][8], outcome[8][32], told[64];
};
void coverage_add(struct coverage *c, const struct history *h);
/* False when something that can be reached never was; it is named. */
bool coverage_print(const struct coverage *c);
#endif
