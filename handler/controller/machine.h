/* machine.h - the training machine of an attempt: its group, deployment and VM, always by name. A group that does not carry our tags is
 * never touched. */
#ifndef MACHINE_H
#define MACHINE_H
#include "controller/controller.h"

void machine_look_group(const struct errand *e, struct record *rec, struct job_seen *seen);
void machine_look_deployment(const struct errand *e, struct record *rec, struct job_seen *seen);
void machine_look_vm(const struct errand *e, struct record *rec, struct job_seen *seen);
/* Group, then deployment, each after a GET on its name and a look at the clock (nothing is created after create_until_s). What is in a
 * group that was made by the call before needs no GET. */
void machine_create(const struct errand *e, struct record *rec, struct job_seen *seen);
/* Takes the claim, so that a machine that boots late shuts down. */
void machine_fence(const struct errand *e, struct record *rec);
/* Cancels a running deployment, waits a moment for it, then has the group deleted; at the latest 2 minutes after the first order it is
 * deleted regardless. */
void machine_delete(const struct errand *e, struct record *rec, struct job_seen *seen);
#endif
