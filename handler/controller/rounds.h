/* rounds.h - the two rounds of calls that accepting a job begins with, each made ahead and side by side (http/ahead.h). The code that
 * decides is elsewhere and sequential; it finds its answers there already.
 *
 * The first round only looks. The second does what is harmless without the record: live marker, slot, the folder of the log. */
#ifndef ROUNDS_H
#define ROUNDS_H
#include "controller/controller.h"
#include "http/ahead.h"
#include "job/message.h"

struct rounds {
    struct controller *c;
    const char *job_id; /* asked for */
    struct ahead box;
    const struct message *m;
    const struct record *rec;
    struct file_info zip;
    bool zip_seen;
    bool slot_ahead; /* a slot, or a place in the queue, may have been taken */
};
/* c and job_id are set; r and m must live until rounds_end. */
void rounds_look(struct rounds *r, const struct message *m);
/* For a job that nobody has heard of; rec is how it will be saved. Does nothing unless the zip is there and stands still: else nothing is
 * urgent. */
void rounds_prepare(struct rounds *r, const struct record *rec);
/* After the save has shown that the job is there: what was taken ahead is its own, unless it is closed. */
void rounds_give_back(struct rounds *r, const struct record *there);
void rounds_end(struct rounds *r);
#endif
