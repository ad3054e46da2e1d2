/* step_model.h - the part of the step that moves the model's column, and sets the outcome. Pure; used by step.c only. */
#ifndef STEP_MODEL_H
#define STEP_MODEL_H
#include "job/step.h"

/* Sets the outcome, once; a later call changes nothing. */
void step_outcome(struct job_state *s, enum job_outcome outcome, enum job_reason reason, int64_t now_s);
/* The model moves on while the machine is being deleted. True once nothing is left to do for it. */
bool step_model(const struct job_terms *t, struct job_next *n, const struct job_seen *seen, int64_t now_s);
#endif
