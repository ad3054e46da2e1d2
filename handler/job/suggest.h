/* suggest.h - the corrected line of a message with faults (job/message.h). Pure. */
#ifndef SUGGEST_H
#define SUGGEST_H
#include "job/message.h"

/* Writes m->corrected from the request and m's corrected_* members: complete if that fits and holds no secret, else without note and
 * requested_by, else without the classes too, with a note that says so. */
void suggest_line(struct message *m);
#endif
