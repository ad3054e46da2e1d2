/* sweep.h - leftovers: what should be gone and is still there.
 *
 * A resource group with our name, our owner tag, and a job that no longer is at this attempt, is deleted (the record always precedes its
 * group, so one fresh read of it is proof). Slots and lines that are held by closed jobs, or by jobs that never got a record, are given
 * back. What ARM or storage does not say proves nothing. Cost: one list of our groups, slots.json and the lines; never the history. */
#ifndef SWEEP_H
#define SWEEP_H
#include "controller/controller.h"

#define SWEEP_EVERY_S 600

/* Sweeps if the last sweep of this process is SWEEP_EVERY_S ago; the first call always does. found: leftovers that are being deleted now.
 */
void sweep(struct controller *c, int *found);
#endif
