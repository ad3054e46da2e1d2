/* step_states.h - terms and states that the tests of the step begin with. */
#ifndef STEP_STATES_H
#define STEP_STATES_H
#include "job/step.h"

#define T0 1000000
static const struct job_terms TERMS = {.upload_wait_s = 300,
                                       .create_wait_s = 3600,
                                       .silence_s = 900,
                                       .run_s = 8 * 3600,
                                       .run_max_s = 24 * 3600,
                                       .publish_wait_s = 1800,
                                       .tell_wait_s = 86400,
                                       .capacity_wait_s = 6 * 3600,
                                       .boot_wait_s = 900,
                                       .evictions_max = 3,
                                       .sizes = 2,
                                       .regions = 2};

static inline struct job_state running(void)
{
    return (struct job_state){.machine = MACHINE_RUNNING,
                              .attempt = 1,
                              .accepted_s = T0,
                              .started_s = T0,
                              .deadline_s = T0 + TERMS.run_s,
                              .train_until_s = T0 + TERMS.run_s - TERMS.run_s / 10,
                              .hard_stop_s = T0 + TERMS.run_max_s};
}

static inline struct job_state provisioning(int64_t create_until_s)
{
    struct job_state s = running();
    s.machine = MACHINE_PROVISIONING;
    s.machine_since_s = T0;
    s.create_until_s = create_until_s;
    return s;
}

static inline struct job_state deleting(enum job_model model, enum job_outcome outcome)
{
    struct job_state s = running();
    s.machine = MACHINE_DELETING;
    s.machine_since_s = T0;
    s.gone_since_s = T0 - 3600; /* a first 404 was seen */
    s.model = model;
    s.model_since_s = T0;
    s.outcome = outcome;
    s.outcome_s = outcome == OUTCOME_NONE ? 0 : T0;
    return s;
}

static inline struct job_next step(struct job_state s, struct job_seen seen, int64_t now_s)
{
    if (seen.at_s == 0)
        seen.at_s = now_s;
    return job_step(&TERMS, &s, &seen, now_s);
}
#endif
