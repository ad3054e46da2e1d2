#include "job/place.h"

static bool next_size(const struct job_terms *t, struct job_state *s)
{
    if (s->size + 1 >= t->sizes)
        return false;
    s->size++;
    return true;
}

static bool next_region(const struct job_terms *t, struct job_state *s)
{
    if (s->region + 1 >= t->regions)
        return false;
    s->region++;
    s->size = 0;
    return true;
}

static bool leave_spot(const struct job_terms *t, struct job_state *s)
{
    if (t->spot != SPOT_PREFER || s->on_demand)
        return false;
    s->on_demand = 1;
    s->region = 0;
    s->size = 0;
    return true;
}

bool place_next(const struct job_terms *terms, struct job_state *state, enum job_remedy remedy)
{
    bool no_spot = remedy == REMEDY_ON_DEMAND || remedy == REMEDY_NO_SPOT;

    if (no_spot && leave_spot(terms, state))
        return true;
    if (remedy == REMEDY_SIZE && next_size(terms, state))
        return true;
    if (next_region(terms, state) || leave_spot(terms, state))
        return true;
    state->size = 0;
    state->region = 0;
    state->on_demand = state->evictions > terms->evictions_max; /* who was evicted too often does not go back to Spot */
    return false;
}

int64_t place_wait_s(int32_t rounds)
{
    return rounds < 4 ? (int64_t)CAPACITY_AGAIN_S << rounds : CAPACITY_AGAIN_MAX_S;
}
