/* oracle.h - judges a history by the promises. It knows nothing of the product's state, and of the world only what happened in it. */
#ifndef ORACLE_H
#define ORACLE_H
#include <stdbool.h>

#include "history.h"

struct demands {
    int jobs, max_jobs;
    bool slack_deaf;
};
/* True when every promise was kept; else *why says what was broken and *at is the event where it showed. */
bool oracle_judge(const struct history *h, const struct demands *d, char why[200], size_t *at);
#endif
