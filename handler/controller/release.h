/* release.h - what a job that publishes files which are there already must know, and leaves behind. */
#ifndef RELEASE_H
#define RELEASE_H
#include "controller/controller.h"

/* Asked while the line is as it will be taken. `why` says for people why not: devices have these files already. "": nothing speaks against
 * it. An error: storage did not answer. */
enum err_code release_check(const struct errand *e, const struct record *rec, struct str *why, struct err *err) MUST_CHECK;
/* The record of the job whose model was kept says by whom and as what it was published; before the line is given back, so that whoever
 * takes the line next sees it. */
enum err_code release_mark(const struct errand *e, const struct record *rec, struct err *err) MUST_CHECK;
#endif
