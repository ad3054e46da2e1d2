/* step_attempt.h - the part of the step that begins and ends attempts. Pure; used by step.c only. */
#ifndef STEP_ATTEMPT_H
#define STEP_ATTEMPT_H
#include "job/step.h"

/* The next attempt, whose machine is ordered with it. */
void step_start(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s);
/* Orders the machine of the present attempt (again). Times start anew with each order as long as no machine was there: a creation that was
 * refused has cost nothing. From then on all attempts share one budget. */
void step_order(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s);
void step_set_times(const struct job_terms *t, struct job_state *s);

/* Every attempt that ends, however it ends, passes here. */
void step_end(struct job_next *n, int64_t now_s);
/* With an outcome. */
void step_fail(struct job_next *n, enum job_outcome outcome, enum job_reason reason, int64_t now_s);
/* The same between two attempts, when there is no machine to end. */
void step_fail_between(struct job_next *n, enum job_outcome outcome, enum job_reason reason, int64_t now_s);

/* What became of a machine; each ends the attempt, with an outcome or so that another follows once the group is gone. */
void step_boot_failed(struct job_next *n, int64_t now_s);
void step_lost(const struct job_terms *t, struct job_next *n, int64_t now_s);
void step_refused(const struct job_terms *t, struct job_next *n, enum job_remedy remedy, int64_t now_s);
#endif
