/* judge.h - what the oracle remembers of a history while it reads it. Private to oracle.c and judge.c. */
#ifndef JUDGE_H
#define JUDGE_H
#include "oracle.h"

#define JOBS_MAX 8
#define ATTEMPTS_MAX 48
#define VERSIONS_MAX 32
#define FILES 3
#define MS 1000
#define IN_TIME_MS (120 * MS)
#define AFTER_KILL_MS (180 * MS)
#define RENEWED_MS 180000 /* how much later the order may be renewed, while its deployment is not visible */
#define BOOT_MS (15 * 60 * MS)
#define SILENCE_MS (16 * 60 * MS) /* a heartbeat a minute, 15 min old */
#define RESERVE_MS (20 * 60 * MS) /* that late no other attempt is begun */

struct attempt {
    bool group, foreign, ever_ours, working, exists, requested, fenced;
    int64_t ended_ms;    /* its machine has reported, or is past its deadline */
    int64_t deadline_ms; /* as the deployment says */
    int64_t content;     /* that its manifest names; -1: no good manifest */
    int64_t cancelled_ms, reported, silent_ms, worked_ms;
    int64_t given_up_ms, manifest_ms, deployed_ms, claimed_ms;
    bool refused, failed, vm_gone, claimed, manifest, hidden, evicted;
};
struct job {
    struct attempt attempt[ATTEMPTS_MAX];
    int accepts, outcomes, closed, line;
    int64_t outcome, reason, version, accept_ms, outcome_ms, closed_ms, ordered_ms, control_ms;
    bool marker, slot, asked, asked_to_end;
    int64_t slot_ms;
    int told[64];         /* by notice */
    int64_t disturbed_ms; /* the last fault that may have held it up */
};
struct judge {
    struct job job[JOBS_MAX];
    int64_t copied[VERSIONS_MAX][FILES];
    int publisher[VERSIONS_MAX]; /* job + 1 */
    int64_t current, killed_ms, disturbed_ms, now_ms;
    int existing, line_of; /* line_of: job + 1 */
    int64_t line_ms;
    const struct demands *d;
    char *why;
};

/* Says what was broken; always false. */
bool judge_no(struct judge *j, const char *why, int job);
/* Takes in what happened; nothing of it can be wrong by itself. */
void judge_learn(struct judge *j, const struct event *e);
#endif
