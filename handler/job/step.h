/* step.h - what a job does next. Pure: no I/O, clock, allocation, randomness or log, and it cannot fail.
 *
 * struct job_state is a job's whole memory for decisions: flat, no pointers. What else a record holds (request, names, texts, ETags)
 * explains decisions and never makes one. Not in here: JSON, strings, ARM error texts, HTTP status, URLs, settings, secrets, dequeue
 * counts, HTTP retries. Times are wall-clock seconds since 1970; 0 means not yet. */
#ifndef STEP_H
#define STEP_H
#include <stdbool.h>
#include <stdint.h>

enum job_machine { MACHINE_QUEUED, MACHINE_PROVISIONING, MACHINE_RUNNING, MACHINE_DELETING, MACHINE_CLOSED };
enum job_model { MODEL_NONE, MODEL_OFFERED, MODEL_VERIFIED, MODEL_COPIED, MODEL_CURRENT, MODEL_KEPT, MODEL_BROKEN };
enum job_outcome { OUTCOME_NONE, OUTCOME_SUCCEEDED, OUTCOME_FAILED, OUTCOME_TIMED_OUT, OUTCOME_REJECTED, OUTCOME_CANCELLED };
enum job_reason {
    REASON_NONE,
    REASON_MESSAGE,     /* the message breaks a rule */
    REASON_ZIP,         /* the zip was not there, or not whole, within upload_wait_s */
    REASON_REFUSED,     /* ARM refuses the machine for good */
    REASON_CREATE_WAIT, /* ARM did not let the machine be created within create_wait_s */
    REASON_REPORT,      /* the machine reports a failure */
    REASON_NO_MODEL,    /* the machine reports success without a model */
    REASON_DEADLINE,    /* max_hours are over */
    REASON_SILENT,      /* the machine runs but its status stands still */
    REASON_GONE,        /* the machine is no longer there */
    REASON_MODEL,       /* the files are not what the manifest says */
    REASON_PUBLISHED,
    REASON_PUBLISH_WAIT, /* storage or the line did not let the model be published in time */
    REASON_LINE_TASK,    /* the line carries another task */
    REASON_CANCELLED,    /* somebody asked for it */
    REASON_CAPACITY,     /* Azure had no machine of this kind; as an outcome: not within capacity_wait_s */
    REASON_BOOT,         /* the machine did not claim its attempt within boot_wait_s */
    REASON_EVICTED,      /* Azure took a Spot machine back */
    REASON_GATE,         /* the gate kept the model: not better, or not to be published */
};
/* What the innermost ARM error asks for. The attempt that was refused ends; the next one is sent to another size, region, ... */
enum job_remedy {
    REMEDY_NONE,
    REMEDY_WAIT, /* the same once more, later */
    REMEDY_SIZE,
    REMEDY_REGION,
    REMEDY_ON_DEMAND, /* no Spot there now */
    REMEDY_NO_SPOT,   /* no Spot in this subscription, or of this size, ever */
    REMEDY_BOOT,      /* made, but it did not come up */
    REMEDY_NO,        /* final */
};
enum job_spot { SPOT_NEVER, SPOT_PREFER, SPOT_ONLY };
enum job_order { ORDER_NONE, ORDER_CANCEL, ORDER_EXTEND }; /* what a message asks of a job */
enum seen { UNSEEN, NO, YES };                             /* UNSEEN: not asked, or no answer; never proof of anything */

/* One bit per notice and channel. */
enum job_notice {
    NOTICE_ACCEPTED = 1,
    NOTICE_STARTED = 2,
    NOTICE_RESULT = 4,
    NOTICE_RESULT_FILE = 8,
    NOTICE_STUCK = 16, /* still not deleted, or locked */
    NOTICE_AGAIN = 32  /* an attempt ended and another follows, or capacity is waited for; due anew each time */
};

struct job_terms { /* durations in s; fixed at acceptance and saved; later settings do not reach it */
    int32_t upload_wait_s, create_wait_s, silence_s, run_s, run_max_s, publish_wait_s, tell_wait_s;
    int32_t capacity_wait_s, boot_wait_s, evictions_max;
    int32_t sizes, regions, spot; /* how many there are to choose from; enum job_spot */
};
struct job_state {
    enum job_machine machine;
    enum job_model model;
    enum job_outcome outcome;
    enum job_reason reason;
    enum job_reason ended;      /* why the attempt before this one ended; none: there was none */
    int32_t attempt;            /* 0: no machine was ever ordered */
    uint32_t due, told, untold; /* notices; untold were given up, which counts as told */
    int32_t size, region;       /* of the attempt, or of the next one: places in the request's lists */
    int32_t on_demand;          /* 1: no Spot (any more) */
    int32_t rounds;             /* how often all places were refused, one after the other */
    int32_t evictions, boots;   /* attempts lost to Spot, and to machines that did not come up */
    int32_t ran;                /* 1: a machine was there and cost money; from then on the times below stand */
    int32_t cancelled, control; /* asked for; 1: the machine is still to be told of new times */
    int64_t version;            /* of the line, once taken */
    int64_t accepted_s, started_s, train_until_s, deadline_s, hard_stop_s;
    int64_t machine_since_s, model_since_s, outcome_s;
    int64_t ordered_s;      /* the present attempt's machine, last */
    int64_t run_s;          /* max_hours as extended; 0: as in the terms */
    int64_t refused_s;      /* the first refusal of the present wait for capacity */
    int64_t not_before_s;   /* of the next attempt */
    int64_t zip_whole_s;    /* when the zip was last seen whole */
    int64_t tell_at_s;      /* not before: another drive may be telling now */
    int64_t gone_since_s;   /* the first 404 of the group that counts */
    int64_t lost_since_s;   /* the first 404 of a machine that was made */
    int64_t create_until_s; /* until 60 s after it a 404 proves nothing; 0: the deployment has been seen */
};
struct job_seen { /* all zero = saw nothing: moves only what the clock alone may move */
    enum seen zip, slot, line, group, deployment, vm, claim, manifest;
    enum seen ready;   /* the deployment has succeeded */
    enum seen off;     /* the machine is there, switched off */
    enum seen status;  /* whether it has ever written one */
    enum seen locked;  /* its group cannot be deleted for a lock */
    enum seen control; /* the new times are where the machine reads them */
    enum job_order order;
    int64_t extend_s; /* with ORDER_EXTEND: max_hours from now on */
    enum job_remedy remedy;
    enum job_model model;    /* what verifying, copying and pointing came to */
    enum job_reason kept;    /* with model KEPT: why */
    enum job_outcome report; /* of this attempt's report.json */
    enum seen reported;      /* whether there is one */
    int64_t version;         /* with line YES: the version this job may publish */
    uint32_t told;
    int64_t heartbeat_s;
    int64_t at_s;    /* when this drive began to look: nothing below is older */
    int64_t until_s; /* end of this invocation's budget */
};
enum job_look {
    LOOK_ZIP = 1,
    LOOK_GROUP = 2,
    LOOK_DEPLOYMENT = 4,
    LOOK_CLAIM = 8,
    LOOK_VM = 16, /* after the claim: a machine that is not there has not claimed since */
    LOOK_STATUS = 32,
    LOOK_RESULT = 64 /* report, then manifest */
};
enum job_action { /* bits; idempotent; carried out in this order */
                  ACT_TAKE_SLOT = 1,
                  ACT_CREATE = 2,
                  ACT_CONTROL = 4, /* tell the machine its new times */
                  ACT_FENCE = 8,
                  ACT_EVIDENCE = 16, /* keep what tells why the attempt failed: one try */
                  ACT_DELETE = 32,   /* a running deployment is cancelled first */
                  ACT_VERIFY = 64,
                  ACT_TAKE_LINE = 128,
                  ACT_COPY = 256,
                  ACT_POINT = 512,
                  ACT_FREE_LINE = 1024,
                  ACT_FREE_SLOT = 2048,
                  ACT_TELL = 4096,
                  ACT_FORGET = 8192, /* drop the live/ marker of a closed job */
};
#define SETTLE_S 60 /* after create_until_s: how long an accepted creation may take to be visible */
#define LOOK_AGAIN_S 60
#define TELL_AGAIN_S 60
#define GONE_AGAIN_S 30
#define DEAF_S 3600          /* how much longer a zip is waited for when storage does not answer */
#define LATE_S 600           /* how long after the deadline an answer of storage is waited for */
#define STUCK_S 1800         /* a deletion that takes longer is told (promise P2) */
#define CAPACITY_AGAIN_S 120 /* before all places are tried again; doubled with each round */
#define CAPACITY_AGAIN_MAX_S 1800
#define BOOTS_MAX 1 /* machines that do not come up are tried once more */

struct job_next {
    struct job_state state;
    uint32_t look, act; /* look: what is worth asking before this step counts */
    int64_t next_look_s;
};
struct job_next job_step(const struct job_terms *terms, const struct job_state *state, const struct job_seen *seen, int64_t now_s);

/* A job just accepted, and one that is born rejected. */
struct job_state job_accepted(int64_t now_s);
struct job_state job_rejected(int64_t now_s);
/* One that has no machine, and publishes files that are there already: it begins where others have left theirs. */
struct job_state job_released(int64_t now_s);
/* Whether the present attempt runs on Spot. */
bool job_on_spot(const struct job_terms *terms, const struct job_state *state);
/* What is still to be told. */
uint32_t job_untold(const struct job_state *state);

/* The words of the record, the log and the texts; NULL-terminated tables, in the order of the enums. */
extern const char *const job_machine_words[], *const job_model_words[], *const job_outcome_words[], *const job_reason_words[];
#endif
