/* message.h - what came on js-queue-items, read by one table of fields and rules (job/rules.h). Pure: no I/O, clock or settings of its own.
 *
 * Both forms (colon and JSON), plain or base64, BOM and blanks tolerated, full-width separators folded. All faults of a message are
 * collected, each with code, field, what came, what is allowed; and one corrected line that is accepted when pasted. Input in texts is cut
 * at 80 characters and never holds more than that. */
#ifndef MESSAGE_H
#define MESSAGE_H
#include "job/request.h"

struct message_defaults {                 /* from the settings */
    const char *vm_size;                  /* VM_SIZE */
    const char *vm_sizes;                 /* VM_SIZES: comma list of allowed sizes, "" = only vm_size; the first five are the default */
    const char *regions;                  /* REGIONS: comma list, the default */
    enum job_spot spot;                   /* SPOT */
    const char *classes;                  /* CLASSES, may be "" */
    int32_t epochs, epochs_max;           /* EPOCHS, EPOCHS_MAX */
    int32_t max_minutes, max_job_minutes; /* MAX_HOURS, MAX_JOB_HOURS */
    int64_t max_job_micro_usd;            /* MAX_JOB_COST; 0: no limit */
};
enum message_action {
    ACTION_NONE,
    ACTION_TRAIN,
    ACTION_STATUS,
    ACTION_CANCEL,
    ACTION_EXTEND,
    ACTION_RETRY,
    ACTION_PUBLISH,
    ACTION_ROLLBACK
};
#define ACTIONS 8
const char *message_action_name(enum message_action a); /* "train"; "" for none */

#define FAULTS_MAX 16
struct fault {
    char code[4];   /* "E05" */
    char field[24]; /* "vm_size"; "" for the whole message */
    char text[400]; /* the sentence, with what came and what is allowed */
};
struct message {
    enum message_action action;
    struct request request;         /* complete for ACTION_TRAIN without faults; as far as understood otherwise (zip "" when not valid) */
    char target_job_id[JOB_ID_MAX]; /* the job that another action than train is about, lower case; ACTION_STATUS: "" = all live jobs */
    int32_t extend_minutes;         /* ACTION_EXTEND: max_hours x 60, all in all */
    int64_t version;                /* ACTION_ROLLBACK, with request.line; 0: the one before the current */
    struct fault fault[FAULTS_MAX];
    int32_t faults;
    char corrected[1024]; /* a line to paste that is accepted; "" without faults */
    /* What the corrected line says instead of the request. */
    char corrected_zip[ZIP_MAX], corrected_line[LINE_MAX_]; /* "": as in the request */
    char corrected_job_id[JOB_ID_MAX];    /* the one asked for, as typed, as long as it is valid; "": none. A caller may put another here
                                             before message_fault */
    bool corrected_fresh, corrected_task; /* continue_from is left out; task and model are the default ones */
    bool corrected_model;                 /* the model is the task's default one */
    bool corrected_force;                 /* with force */
    int32_t corrected_minutes;            /* 0: as in the request. A caller may put some here before message_fault */
    bool corrected_uncapped;              /* max_cost is left out; likewise */
    char default_job_id[JOB_ID_MAX];
    const struct message_defaults *defaults; /* borrowed */
    char notes[3][200];                      /* "full-width characters were read as ..." */
    int32_t notes_count;
    char literal[ZIP_MAX]; /* the whole text, when it may also be the name of one file with full-width characters; "" otherwise */
    char shown[256];       /* the message for people: cut at 80 characters, control characters blank, secrets as *** */
};
/* Always fills *m; only memory can fail. message_id gives the default job_id (same Id, same id). */
enum err_code message_read(const char *bytes, size_t len, const char *message_id, const struct message_defaults *defaults,
                           struct message *m, struct err *err) MUST_CHECK;
void message_done(struct message *m);

/* Adds a fault found later by looking into storage (E08 to E11, E15, another task in a line) and writes `corrected` again: field job_id
 * gets `<job_id>-2`, continue_from (refered_job_id) is left out, line becomes one of its own ("<line>-<task>"), task (dl_type) becomes the
 * default one, and so does model, E11 gets force, other fields stay. Like every message with faults, the request then bears default_job_id
 * ("": stays). */
void message_fault(struct message *m, const char *code, const char *field, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The job_id to propose when this one is used up: "<job_id>-2". */
void message_next_job_id(const char *job_id, char out[JOB_ID_MAX]);
/* The default job_id of a message: "<zip stem>-<8 hex of sha256(message Id)>". */
void message_default_job_id(const char *zip, const char *message_id, char out[JOB_ID_MAX]);
/* E11: the same was trained before; the corrected line has force. */
void message_fault_again(struct message *m, const char *job_name, int64_t succeeded_s);
/* The id under which a job is tried again because of this message: its own, cut to 56, "-r" and 6 hex of sha256(message Id). */
void message_retry_job_id(const char *job_id, const char *message_id, char out[JOB_ID_MAX]);
/* The id of the job that publishes a model because of this message: the action, "-" and 8 hex of sha256(message Id). */
void message_release_job_id(enum message_action action, const char *message_id, char out[JOB_ID_MAX]);
/* Turns m, a message with action retry, into the train message that asks for r (a record's request) once more as job_name. All of r is
 * kept, but what the settings do not allow any more is a fault, as in any message. */
enum err_code message_from_request(struct message *m, const struct request *r, const char *job_name, const char *message_id,
                                   struct err *err) MUST_CHECK;
/* Writes the request as a line to paste (colon form when it can say everything, else JSON). */
void message_line(const struct request *r, const struct message_defaults *defaults, struct str *to);
#endif
