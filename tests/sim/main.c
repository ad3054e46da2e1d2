/* sim - many seeded schedules of the product's own decisions in a simulated world.
 *
 * Usage: sim [--count N] [--first-seed N] [--seed N] [--verbose] [--all-reached]
 * Exit code 1 when a promise was broken: it says which, shows the end of the history and the command that replays it. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "coverage.h"
#include "oracle.h"
#include "sim.h"

#define TAIL 60

struct asked {
    uint64_t count, first;
    bool verbose, one, all_reached;
};

static bool read_args(int argc, char **argv, struct asked *a)
{
    *a = (struct asked){.count = 2000};
    if (getrandom(&a->first, sizeof a->first, 0) != (ssize_t)sizeof a->first)
        return false;
    a->first %= 1000000000000;
    for (int i = 1; i < argc; i++) {
        bool number = i + 1 < argc;
        if (strcmp(argv[i], "--verbose") == 0)
            a->verbose = true;
        else if (strcmp(argv[i], "--all-reached") == 0)
            a->all_reached = true;
        else if (strcmp(argv[i], "--count") == 0 && number)
            a->count = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--first-seed") == 0 && number)
            a->first = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && number) {
            a->first = strtoull(argv[++i], NULL, 10);
            a->one = true;
        } else
            return false;
    }
    if (a->one)
        a->count = 1;
    return true;
}

static void show(const struct history *h, size_t at, const char *why, uint64_t seed, const char *program)
{
    size_t from = at + 1 > TAIL ? at + 1 - TAIL : 0;

    for (size_t i = h->live != NULL ? at : from; i < h->count && i <= at + 5; i++) {
        printf("%s", i == at ? ">" : " ");
        history_print(&h->event[i], stdout);
    }
    printf("BROKEN: %s\nreplay: %s --seed %llu --verbose\n", why, program, (unsigned long long)seed);
}

static bool run_one(struct sim *s, struct history *h, uint64_t seed, struct coverage *c, const char *program)
{
    char why[200];
    size_t at;

    schedule_run(s, seed, h);
    coverage_add(c, h);
    struct demands d = {.jobs = s->p.jobs, .max_jobs = s->p.max_jobs, .slack_deaf = s->p.slack_deaf};
    if (oracle_judge(h, &d, why, &at))
        return true;
    show(h, at, why, seed, program);
    return false;
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct asked a;
    struct history h = {0};
    struct coverage c = {0};

    if (!read_args(argc, argv, &a)) {
        fprintf(stderr, "usage: sim [--count N] [--first-seed N] [--seed N] [--verbose] [--all-reached]\n");
        return 2;
    }
    struct sim *s = calloc(1, sizeof *s);
    if (s == NULL)
        return 2;
    for (int i = 0; i < HANDLERS; i++)
        s->handler[i].fiber = fiber_new();
    h.live = a.verbose ? stdout : NULL;
    double began = seconds();
    bool good = true;
    uint64_t done = 0;
    while (good && done < a.count)
        good = run_one(s, &h, a.first + done++, &c, argv[0]);
    double took = seconds() - began;
    bool reached = coverage_print(&c);
    printf("%llu schedules, seeds %llu to %llu, %llu events, %.0f schedules/s\n", (unsigned long long)done, (unsigned long long)a.first,
           (unsigned long long)(a.first + done - 1), (unsigned long long)c.events, (double)done / (took > 0 ? took : 1));
    for (int i = 0; i < HANDLERS; i++)
        fiber_free(s->handler[i].fiber);
    free(s);
    history_done(&h);
    return good && (reached || !a.all_reached) ? 0 : 1;
}
