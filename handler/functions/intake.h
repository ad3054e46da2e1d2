/* intake.h - what a train message meets in storage before it becomes a job. */
#ifndef INTAKE_H
#define INTAKE_H
#include "functions/functions.h"

struct intake {
    char parent_name[JOB_ID_MAX]; /* the former job's folder in share logs; "": none */
    int64_t baseline;             /* the version of the line's current model; 0: none */
    int64_t validation;           /* 1: the line has a validation zip */
    int64_t dearest_micro_usd;    /* an hour of the dearest machine that it may get; 0: not looked up */
};
/* Looks at the former job (E09; `auto` is the one in the line's current.json), the line (its task), and whether the same was trained before
 * (E11); and
 * whether the line has a validation zip. Faults are added to the message; an error means that storage did not answer. */
enum err_code intake_look(const struct app *app, struct message *m, struct intake *found, struct err *err) MUST_CHECK;
/* Looks whether the job may cost more than max_cost or MAX_JOB_COST (E15), disk and address included; without a limit nothing is looked up.
 * A price that cannot be had is a fault too: who set a limit does not want to find out later. */
void intake_look_cost(const struct app *app, struct message *m, struct intake *found);
/* Whether an accepted job may take so long without costing more than it may; else `why` says it for people. */
bool intake_may_take(const struct app *app, const struct record *rec, int32_t minutes, struct str *why);
/* The same normalised request, and the zip still as that job saw it. */
bool intake_same_content(const struct app *app, const struct message *m, const struct record *there);
/* A record for the message, accepted now. */
enum err_code intake_record(const struct app *app, const struct invocation *inv, const struct message *m, const struct intake *found,
                            struct record *rec, struct err *err) MUST_CHECK;
#endif
