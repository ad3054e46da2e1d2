#include "history.h"

#include <stdlib.h>

static const char *const KIND[] = {
#define E(name, words) #name ": " words,
    EVENTS(E)
#undef E
};
const char *const history_faults[] = {"none",         "late",       "refused", "lost reply", "killed before",
                                      "killed after", "stale read", "outage",  NULL};
const char *const history_services[] = {"storage", "ARM", "Slack", NULL};

void history_print(const struct event *e, FILE *to)
{
    fprintf(to, "%9.3f s", (double)(e->at_ms % 1000000000) / 1000);
    if (e->job >= 0)
        fprintf(to, " job %d", e->job);
    if (e->attempt > 0)
        fprintf(to, " attempt %d", e->attempt);
    fprintf(to, "  %s", KIND[e->kind]);
    if (e->kind == EVENT_FAULT)
        fprintf(to, " = %s, %s\n", history_faults[e->a], history_services[e->b]);
    else
        fprintf(to, " = %lld, %lld\n", (long long)e->a, (long long)e->b);
}

void history_add(struct history *h, struct event e)
{
    if (h->count == h->room) {
        size_t room = h->room == 0 ? 4096 : h->room * 2;
        struct event *more = realloc(h->event, room * sizeof *more);
        if (more == NULL)
            abort();
        h->event = more;
        h->room = room;
    }
    h->event[h->count++] = e;
    if (h->live != NULL)
        history_print(&e, h->live);
}

void history_done(struct history *h)
{
    free(h->event);
    *h = (struct history){0};
}
