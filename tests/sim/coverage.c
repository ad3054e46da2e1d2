#include "coverage.h"

#include <string.h>

#include "job/step.h"

void coverage_add(struct coverage *c, const struct history *h)
{
    c->events += h->count;
    for (size_t i = 0; i < h->count; i++) {
        const struct event *e = &h->event[i];
        c->event[e->kind]++;
        if (e->kind == EVENT_FAULT)
            c->fault[e->a][e->b]++;
        else if (e->kind == EVENT_SAVE)
            c->state[e->a][e->b]++;
        else if (e->kind == EVENT_OUTCOME)
            c->outcome[e->a][e->b]++;
        else if (e->kind == EVENT_TOLD)
            c->told[e->a]++;
    }
}

static void print_states(const struct coverage *c)
{
    printf("states:");
    for (int i = 0; job_machine_words[i] != NULL; i++)
        for (int k = 0; job_model_words[k] != NULL; k++)
            if (c->state[i][k] > 0)
                printf(" %s/%s %llu", job_machine_words[i], job_model_words[k], (unsigned long long)c->state[i][k]);
    printf("\n");
}

static bool print_outcomes(const struct coverage *c)
{
    bool all = true;

    printf("outcomes:");
    for (int i = 0; job_outcome_words[i] != NULL; i++)
        for (int k = 0; job_reason_words[k] != NULL; k++)
            if (c->outcome[i][k] > 0)
                printf(" %s/%s %llu", job_outcome_words[i], job_reason_words[k], (unsigned long long)c->outcome[i][k]);
    printf("\n");
    for (int k = 1; job_reason_words[k] != NULL; k++) {
        uint64_t sum = 0;
        for (int i = 0; job_outcome_words[i] != NULL; i++)
            sum += c->outcome[i][k];
        if (sum == 0 && k != REASON_LINE_TASK) {
            printf("never reached: reason %s\n", job_reason_words[k]);
            all = false;
        }
    }
    return all;
}

static bool print_faults(const struct coverage *c)
{
    bool all = true;

    printf("faults:");
    for (int i = 1; history_faults[i] != NULL; i++) {
        uint64_t sum = 0;
        for (int k = 0; history_services[k] != NULL; k++) {
            sum += c->fault[i][k];
            if (c->fault[i][k] > 0)
                printf(" %s/%s %llu", history_faults[i], history_services[k], (unsigned long long)c->fault[i][k]);
        }
        all = all && sum > 0;
    }
    printf("\n");
    return all;
}

static bool print_events(const struct coverage *c)
{
    static const char *const WORD[] = {
#define E(name, words) #name,
        EVENTS(E)
#undef E
    };
    bool all = true;

    printf("events:");
    for (int i = 0; i < EVENT_KINDS; i++)
        if (c->event[i] > 0)
            printf(" %s %llu", WORD[i], (unsigned long long)c->event[i]);
    printf("\n");
    for (int i = 0; i < EVENT_KINDS; i++)
        if (c->event[i] == 0) {
            printf("never reached: %s\n", WORD[i]);
            all = false;
        }
    return all;
}

bool coverage_print(const struct coverage *c)
{
    bool all = print_events(c);

    print_states(c);
    all = print_outcomes(c) && all;
    return print_faults(c) && all;
}
