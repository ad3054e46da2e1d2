/* sim.h - a small Azure, the people around it and the handlers, for one seeded schedule: no I/O, no clock, no thread.
 *
 * The product decides (job/step.c, controller/drive.c); everything else here is the world it lives in. Whatever happens in the world is
 * noted in its history, and the oracle (oracle.h) reads nothing else. */
#ifndef SIM_H
#define SIM_H
#include <stdbool.h>
#include <stdint.h>

#include "controller/drive.h"
#include "fiber.h"
#include "history.h"

#define SECOND INT64_C(1000) /* simulated time is in ms since 1970 */
#define MINUTE (60 * SECOND)
#define NEVER INT64_MAX
#define JOBS 4
#define ATTEMPTS 40
#define SIZES 2
#define REGIONS 2
#define HANDLERS 14
#define MESSAGES 48
#define VERSIONS 24
#define MODEL_FILES 2 /* and the manifest, as the last */
#define START_MS INT64_C(1700000000000)

/* What a schedule is made of: everything is drawn from its seed. Chances are per mille and call. */
struct profile {
    int jobs, max_jobs;
    int late, refused, lost, killed, stale; /* faults on calls */
    int machine_trouble, evictions, capacity_trouble, orders, delete_trouble, model_trouble, upload_trouble;
    int twice; /* messages delivered twice, rounds by two handlers */
    bool slack_deaf;
    int64_t calm_ms;                         /* no fault after it */
    int64_t free_from_ms[SIZES][REGIONS][2]; /* when Azure has a machine of that size there; [1]: as Spot */
    bool no_spot;                            /* the subscription has none, ever */
    int64_t outage_from_ms[SERVICES], outage_to_ms[SERVICES];
};

struct blob {
    int64_t etag, content; /* etag 0: does not exist; content stands for the bytes */
};

struct machine { /* a VM, from its creation to its deletion */
    bool exists, claimed, at_work, off;
    int id;
    int64_t boot_ms, claim_ms, end_ms, beats_until_ms;
    int64_t visible_ms, hard_stop_s;
    int ending; /* enum ending of machine.c */
    int step;
    int64_t next_ms;
};

enum deployment_state { DEPLOYMENT_NONE, DEPLOYMENT_RUNNING, DEPLOYMENT_SUCCEEDED, DEPLOYMENT_FAILED, DEPLOYMENT_CANCELED };

struct group { /* one attempt's */
    bool exists, foreign, deleting, delete_fails;
    int64_t visible_ms, stale_from_ms, stale_to_ms; /* reads say 404 until visible_ms, and once more for a moment */
    int64_t gone_ms, locked_until_ms, deletion_ends_ms;
    enum deployment_state deployment;
    int64_t deployment_visible_ms, vm_ms, deployment_ends_ms;
    int64_t hard_stop_s, next_ms;
    bool deployment_fails, spot;
    enum job_remedy remedy; /* what its error asks for */
    struct machine vm;
};

struct attempt {
    struct group group;
    struct blob claim, report, manifest, file[MODEL_FILES];
    int64_t claimed_by; /* machine id; 0: the handler */
    int64_t beat_ms;
    enum job_outcome report_says;
    int64_t manifest_says[MODEL_FILES]; /* content that it names */
    bool manifest_bad;
    int64_t tamper_ms;
};

struct stored { /* jobs/record/<job>.json */
    int64_t etag;
    char saved_by[17];
    struct job_terms terms;
    struct job_state state;
    int64_t next_look_s, group_made, zip_etag, manifest_etag, place, baseline;
    int64_t file_size[MODEL_FILES], file_etag[MODEL_FILES];
    int32_t files;
    char *json;
};

struct job {
    bool bad;   /* its message breaks a rule */
    int wishes; /* enum wish of history.h */
    struct job_terms terms;
    struct stored record;
    struct blob marker;
    int64_t marker_ms;
    int64_t zip_ms, zip_leaves_ms;
    struct blob control;
    struct attempt attempt[ATTEMPTS + 1];
};

struct copied {
    struct blob blob;
    int job;
    int64_t pending_until_ms;
};

enum message_kind { MESSAGE_TRAIN, MESSAGE_BELL, MESSAGE_CANCEL, MESSAGE_EXTEND };
struct message {
    enum message_kind kind;
    int job, attempt, dequeued;
    bool exists;
    int64_t next_ms;
};

enum errand_kind { ERRAND_NONE, ERRAND_MESSAGE, ERRAND_WATCH, ERRAND_DRIVE };
struct handler { /* one invocation, or one drive of job-watch */
    struct sim *sim;
    struct fiber *fiber;
    int index, copy; /* copy: which of the two processes */
    enum errand_kind errand;
    enum job_order order; /* what its message asks for */
    int64_t extend_s;
    int job, message;
    bool alive;
    enum fault_kind fault;                /* of the call that is under way */
    bool slot_ahead, marked, place_known; /* what was taken for a job that is not saved yet */
    int64_t place;
    int64_t until_ms, next_ms;
};

struct slots {
    int64_t etag, since_ms;
    int holders, waiting;
    int8_t holder[JOBS], wait[JOBS];
};
struct line {
    int64_t etag, version, taken;
    int job; /* -1: free */
};

#define HEAP 512
struct due {
    int64_t at_ms;
    uint32_t tie;
    int16_t kind, index;
};

struct sim {
    uint64_t seed, rng;
    int64_t now_ms, calm_ms, end_ms, next_etag;
    struct profile p;
    struct history *history;
    struct job job[JOBS];
    struct slots slots;
    struct line line;
    struct copied model[VERSIONS][MODEL_FILES + 1];
    struct blob pointer;
    int64_t pointer_version;
    struct message message[MESSAGES];
    struct handler handler[HANDLERS];
    int64_t watch_ms, up_ms[2];
    int next_machine, watching[2];
    int kill_copy; /* -1: none */
    struct due heap[HEAP];
    int heap_count;
};

/* Luck. */
uint64_t sim_random(struct sim *s);
int64_t sim_between(struct sim *s, int64_t from, int64_t to);
bool sim_chance(struct sim *s, int per_mille);
bool sim_trouble(struct sim *s, int per_mille); /* a chance only while faults have not stopped */
void sim_note(struct sim *s, enum event_kind kind, int job, int attempt, int64_t a, int64_t b);
int64_t sim_etag(struct sim *s);

/* schedule.c */
enum actor { ACTOR_HANDLER, ACTOR_MESSAGE, ACTOR_GROUP, ACTOR_MACHINE, ACTOR_WATCH };
void sim_wake(struct sim *s, enum actor actor, int index, int64_t at_ms);
void schedule_run(struct sim *s, uint64_t seed, struct history *history);
struct handler *handler_start(struct sim *s, int copy, enum errand_kind errand, int job, int message, int64_t until_ms);

/* call.c: one request and its answer, and all that can go wrong with them. */
bool call_out(struct handler *h, enum service service);  /* false: it never got there */
bool call_back(struct handler *h, enum service service); /* false: done, but the caller never heard of it */
void call_wait(struct handler *h, int64_t ms);

/* arm.c */
struct group *arm_group(struct sim *s, int job, int attempt);
enum seen arm_look_group(struct handler *h, int job, int attempt, bool *foreign, bool *leaving);
enum seen arm_look_deployment(struct handler *h, int job, int attempt, enum deployment_state *state, enum job_remedy *remedy);
enum seen arm_look_vm(struct handler *h, int job, int attempt, bool *on);
bool arm_put_group(struct handler *h, int job, int attempt, int64_t create_until_s, bool *made);
bool arm_put_deployment(struct handler *h, int job, const struct record *rec, enum job_remedy *remedy);
void arm_cancel(struct handler *h, int job, int attempt);
bool arm_delete(struct handler *h, int job, int attempt, bool *locked);
void arm_event(struct sim *s, int job, int attempt);

/* machine.c: what a VM does. */
void machine_boot(struct sim *s, int job, int attempt);
void machine_end(struct sim *s, int job, int attempt, bool deleted);
void machine_event(struct sim *s, int job, int attempt);
int64_t machine_beat_ms(struct sim *s, int job, int attempt);

/* store.c: records, markers, slots, the line. */
enum err_code store_load(struct handler *h, int job, struct record *rec);
enum err_code store_save(struct handler *h, int job, struct record *rec);
bool store_marker(struct handler *h, int job, bool put);
bool store_take_slot(struct handler *h, int job, int64_t *place);
bool store_free_slot(struct handler *h, int job);
/* ERR_REFUSED: the gate says no to the line as it is. */
enum err_code store_take_line(struct handler *h, int job, const struct record *rec, int64_t pointed, int64_t *version);
bool store_free_line(struct handler *h, int job, int64_t published);
bool store_is_over(struct handler *h, int job);

/* publish.c */
void publish_verify(struct handler *h, int job, struct record *rec, struct job_seen *seen);
bool publish_passes(const struct sim *s, int job, int64_t baseline, int64_t current); /* the gate */
void publish_take_line(struct handler *h, int job, struct record *rec, struct job_seen *seen);
void publish_copy(struct handler *h, int job, struct record *rec, struct job_seen *seen);
void publish_point(struct handler *h, int job, struct record *rec, struct job_seen *seen);
void publish_free_line(struct handler *h, int job, const struct record *rec, struct job_seen *seen);

/* world.c: the four functions of drive(). */
struct job_world world_of(struct handler *h);

/* functions.c: what an invocation does. */
void functions_run(void *handler);

/* Numbers in the record's texts. */
void num_put(char *text, int64_t n);
int64_t num_get(const char *text);
int job_of(const char *job_id);
#endif
