/* step.h - what a job does next. Pure: no I/O, clock, allocation, randomness or log, and it cannot fail.
 *
 * struct job_state is a job's whole memory for decisions: flat, no pointers. What else a record holds (request, names, texts, ETags)
 * explains decisions and never makes one. Not in here: JSON, strings, ARM error texts, HTTP status, URLs, settings, secrets, dequeue
 * counts, HTTP retries. Times are wall-clock seconds since 1970; 0 means not yet. */
#ifndef STEP_H
#define STEP_H
#include <stdint.h>

enum job_machine { MACHINE_QUEUED, MACHINE_PROVISIONING, MACHINE_RUNNING, MACHINE_DELETING, MACHINE_CLOSED };
enum job_model { MODEL_NONE, MODEL_OFFERED, MODEL_VERIFIED, MODEL_COPIED, MODEL_CURRENT, MODEL_KEPT, MODEL_BROKEN };
enum job_outcome { OUTCOME_NONE, OUTCOME_SUCCEEDED, OUTCOME_FAILED, OUTCOME_TIMED_OUT, OUTCOME_REJECTED };
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
};
enum job_remedy { REMEDY_NONE, REMEDY_WAIT, REMEDY_NO }; /* what the innermost ARM error asks for */
enum seen { UNSEEN, NO, YES };                           /* UNSEEN: not asked, or no answer; never proof of anything */

/* One bit per notice and channel. */
enum job_notice {
    NOTICE_ACCEPTED = 1,
    NOTICE_STARTED = 2,
    NOTICE_RESULT = 4,
    NOTICE_RESULT_FILE = 8,
    NOTICE_STUCK = 16 /* still not deleted */
};

struct job_terms { /* durations in s; fixed at acceptance and saved; later settings do not reach it */
    int32_t upload_wait_s, create_wait_s, silence_s, run_s, run_max_s, publish_wait_s, tell_wait_s;
};
struct job_state {
    enum job_machine machine;
    enum job_model model;
    enum job_outcome outcome;
    enum job_reason reason;
    int32_t attempt;            /* 0: no machine was ever ordered */
    uint32_t due, told, untold; /* notices; untold were given up, which counts as told */
    int64_t version;            /* of the line, once taken */
    int64_t accepted_s, started_s, train_until_s, deadline_s, hard_stop_s;
    int64_t machine_since_s, model_since_s, outcome_s;
    int64_t zip_whole_s;    /* when the zip was last seen whole */
    int64_t tell_at_s;      /* not before: another drive may be telling now */
    int64_t gone_since_s;   /* the first 404 of the group that counts */
    int64_t create_until_s; /* until 60 s after it a 404 proves nothing; 0: the deployment has been seen */
};
struct job_seen { /* all zero = saw nothing: moves only what the clock alone may move */
    enum seen zip, slot, line, group, deployment, vm, claim, manifest;
    enum job_remedy remedy;
    enum job_model model;    /* what verifying, copying and pointing came to */
    enum job_outcome report; /* of this attempt's report.json */
    enum seen reported;      /* whether there is one */
    int64_t version;         /* with line YES: the version this job may publish */
    uint32_t told;
    int64_t heartbeat_s;
    int64_t until_s; /* end of this invocation's budget */
};
enum job_look {
    LOOK_ZIP = 1,
    LOOK_GROUP = 2,
    LOOK_DEPLOYMENT = 4,
    LOOK_VM = 8,
    LOOK_CLAIM = 16,
    LOOK_STATUS = 32,
    LOOK_RESULT = 64 /* report, then manifest */
};
enum job_action { /* bits; idempotent; carried out in this order */
                  ACT_TAKE_SLOT = 1,
                  ACT_CREATE = 2,
                  ACT_FENCE = 4,
                  ACT_DELETE = 8, /* a running deployment is cancelled first */
                  ACT_VERIFY = 16,
                  ACT_TAKE_LINE = 32,
                  ACT_COPY = 64,
                  ACT_POINT = 128,
                  ACT_FREE_LINE = 256,
                  ACT_FREE_SLOT = 512,
                  ACT_TELL = 1024,
                  ACT_FORGET = 2048, /* drop the live/ marker of a closed job */
};
#define SETTLE_S 60 /* after create_until_s: how long an accepted creation may take to be visible */
#define LOOK_AGAIN_S 60
#define TELL_AGAIN_S 60
#define GONE_AGAIN_S 30
#define DEAF_S 3600  /* how much longer a zip is waited for when storage does not answer */
#define LATE_S 600   /* how long after the deadline an answer of storage is waited for */
#define STUCK_S 1800 /* a deletion that takes longer is told (promise P2) */

struct job_next {
    struct job_state state;
    uint32_t look, act; /* look: what is worth asking before this step counts */
    int64_t next_look_s;
};
struct job_next job_step(const struct job_terms *terms, const struct job_state *state, const struct job_seen *seen, int64_t now_s);

/* A job just accepted, and one that is born rejected. */
struct job_state job_accepted(int64_t now_s);
struct job_state job_rejected(int64_t now_s);
/* What is still to be told. */
uint32_t job_untold(const struct job_state *state);

/* The words of the record, the log and the texts; NULL-terminated tables, in the order of the enums. */
extern const char *const job_machine_words[], *const job_model_words[], *const job_outcome_words[], *const job_reason_words[];
#endif
