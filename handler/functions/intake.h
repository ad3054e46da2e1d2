/* intake.h - what a train message meets in storage before it becomes a job. */
#ifndef INTAKE_H
#define INTAKE_H
#include "functions/functions.h"

/* Looks at the former job (E09; `auto` is the one in the line's current.json) and the line (its task). Faults are added to the message; an
 * error means that storage did not answer. parent_name is the former job's folder in share logs, "" without one. */
enum err_code intake_look(const struct app *app, struct message *m, char parent_name[JOB_ID_MAX], struct err *err) MUST_CHECK;
/* The same normalised request, and the zip still as that job saw it. */
bool intake_same_content(const struct app *app, const struct message *m, const struct record *there);
/* A record for the message, accepted now. */
enum err_code intake_record(const struct app *app, const struct invocation *inv, const struct message *m, const char *parent_name,
                            struct record *rec, struct err *err) MUST_CHECK;
#endif
