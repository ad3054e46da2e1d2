/* control.h - the one word that reaches a machine at work: job-files/control/<job_id>.json, which it reads with each heartbeat. */
#ifndef CONTROL_H
#define CONTROL_H
#include "controller/controller.h"

/* Says how long the job may take, as the record has it now: {"v":1,"deadline_s":...,"train_until_s":...}. A later deadline that is written
 * there already stays: a drive that is late must not take back what another one has given since. Done twice it changes nothing. */
enum err_code control_write(const struct errand *e, const struct record *rec, struct err *err) MUST_CHECK;
#endif
