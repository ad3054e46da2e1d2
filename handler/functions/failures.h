/* failures.h - why messages failed lately, by what they say: the host moves a message to its poison queue without a reason.
 *
 * In memory only: another process, or one that was killed, does not know; then the log does. Thread-safe. */
#ifndef FAILURES_H
#define FAILURES_H
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define FAILURES_KEPT 16
#define WHY_MAX 400

struct failures {
    pthread_mutex_t lock; /* over the rest */
    struct {
        char sha256[65]; /* of the message as it came */
        char why[WHY_MAX];
    } last[FAILURES_KEPT];
    size_t next; /* the oldest one, which is overwritten */
};
void failures_init(struct failures *f);
/* Keeps why this message failed; what was kept for the same text before is forgotten. */
void failures_note(struct failures *f, const struct str *text, const struct err *err);
/* Why the message failed the last time; false: not known here. */
bool failures_find(struct failures *f, const struct str *text, char why[WHY_MAX]);
#endif
