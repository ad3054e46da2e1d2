/* check.h - `--check`: is everything there that a job will need? One harmless question per service, one line per answer.
 *
 * Only reads (and the sign-in): nothing is changed anywhere, and nobody but the caller is told. Lines go to standard output and hold no
 * secret. One thread. */
#ifndef CHECK_H
#define CHECK_H
#include <stdbool.h>

#include "controller/controller.h"
#include "settings.h"

/* The faults of the settings, a line each, or one line that says there are none. Returns whether there are none. */
bool check_settings(const struct str *faults);
/* What could not even be built out of good settings. */
void check_failed(const char *what, const struct err *err);
/* Asks every service. c is built but has not worked yet; its subscription is filled in when it was left out. True when all is well. */
bool check_services(const struct settings *s, struct controller *c);
#endif
