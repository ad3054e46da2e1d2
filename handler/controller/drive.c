#include "controller/drive.h"

#include <string.h>

#define ROUNDS_MAX 24   /* more than any path needs: a loop here would be a fault of the step */
#define CONFLICTS_MAX 8 /* each means that somebody else moved the job */

/* State is compared byte for byte. */
_Static_assert(sizeof(struct job_state) == 18 * sizeof(int32_t) + 18 * sizeof(int64_t), "struct job_state has padding");

static bool is_saved(const struct record *rec)
{
    return rec->etag[0] != '\0';
}

/* Whether this step must be in storage before its actions. A closed record never changes again: what is done for it then is giving back. A
 * record that is not saved yet may have its slot first, so that its first save orders the machine; whoever takes a slot for a job that is
 * never saved loses it again. */
static bool must_save(const struct record *rec, bool moved, uint32_t act)
{
    if (!is_saved(rec))
        return act != ACT_TAKE_SLOT;
    return moved || rec->state.machine != MACHINE_CLOSED;
}

/* What was seen of one attempt says nothing of the next. */
static void forget_attempt(struct job_seen *seen)
{
    *seen = (struct job_seen){
        .slot = seen->slot,
        .told = seen->told,
        .order = seen->order,
        .extend_s = seen->extend_s,
        .at_s = seen->at_s,
        .until_s = seen->until_s,
    };
}

/* One pass over a record as it is in storage, or one that is not there yet. ERR_CONFLICT asks for another; what this drive has told by then
 * goes with it, or two drives side by side would tell it in turns. */
static enum err_code drive_loaded(const struct job_world *w, struct record *rec, uint32_t *told, struct err *err)
{
    struct job_seen seen = {.at_s = w->now_s(w->ctx), .until_s = w->until_s, .told = *told, .order = w->order, .extend_s = w->extend_s};
    uint32_t looked = 0, acted = 0;
    bool dirty = false; /* facts or times that no save has kept yet */

    for (int round = 0; round < ROUNDS_MAX; round++) {
        struct job_next next = job_step(&rec->terms, &rec->state, &seen, w->now_s(w->ctx));
        uint32_t look = (acted & ~(uint32_t)ACT_TELL) == 0 ? next.look & ~looked : 0; /* looks come before all else but words */
        uint32_t anew = job_untold(&next.state) & ~job_untold(&rec->state);
        if (anew != 0) { /* something new to say, also what was said before of another attempt */
            acted &= ~(uint32_t)ACT_TELL;
            seen.told &= ~anew;
            *told &= ~anew;
        }
        uint32_t act = next.act & ~acted;

        if (look != 0) {
            w->look(w->ctx, rec, look, &seen);
            looked |= look;
            dirty = true;
            continue;
        }
        bool moved = memcmp(&next.state, &rec->state, sizeof next.state) != 0; /* no padding: see the assertion */
        if (!moved && act == 0 && !dirty && is_saved(rec))
            return OK;
        if (next.state.attempt != rec->state.attempt)
            forget_attempt(&seen);
        rec->state = next.state;
        rec->next_look_s = next.next_look_s;
        if (must_save(rec, moved, act)) {
            enum err_code code = w->save(w->ctx, rec, err);
            if (code != OK)
                return code;
        }
        dirty = act != 0;
        if (act == 0 && !moved)
            return OK;
        if (act != 0) {
            w->act(w->ctx, rec, act, &seen);
            acted |= act;
            *told |= seen.told;
        }
        if (rec->state.machine == MACHINE_CLOSED)
            return OK;
    }
    return OK;
}

enum err_code drive_new(const struct job_world *world, struct record *rec, struct err *err)
{
    uint32_t told = 0;
    enum err_code code = drive_loaded(world, rec, &told, err);

    return code == ERR_CONFLICT && is_saved(rec) ? drive(world, rec->job_id, err) : code;
}

enum err_code drive(const struct job_world *world, const char *job_id, struct err *err)
{
    uint32_t told = 0;

    for (int conflicts = 0; conflicts < CONFLICTS_MAX; conflicts++) {
        AUTO_RECORD rec = {0};
        enum err_code code = world->load(world->ctx, job_id, &rec, err);
        if (code == OK)
            code = drive_loaded(world, &rec, &told, err);
        if (code != ERR_CONFLICT)
            return code;
        world->pause(world->ctx, conflicts + 1);
    }
    return err_set(err, ERR_CONFLICT, "job %s: others kept changing it", job_id);
}
