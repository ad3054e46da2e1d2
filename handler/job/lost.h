/* lost.h - what people read about a message that failed again and again, until the Functions host gave it up. Pure. */
#ifndef LOST_H
#define LOST_H
#include "base/str.h"

struct lost {
    const char *queue;      /* where people put it */
    const char *shown;      /* the message itself: cut, secrets as *** */
    const char *message_id; /* of the copy that lies in <queue>-poison: the host gives it a new one */
    const char *why;        /* "": not known here */
    const char *known;      /* what is known of its job, sentences; "": nothing */
    bool saved;             /* its job goes on, or has ended: nothing is to be sent again */
    const char *faults;     /* "": it reads well */
    const char *line;       /* to send again; "": none can be given; NULL: nothing is to be sent */
};
void lost_text(const struct lost *l, struct str *to);
#endif
