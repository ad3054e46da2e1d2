/* history.h - what happened in a simulated world, in order. The only thing that the oracle reads. */
#ifndef HISTORY_H
#define HISTORY_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum service { SERVICE_STORAGE, SERVICE_ARM, SERVICE_SLACK, SERVICES };
enum fault_kind {
    FAULT_NONE,
    FAULT_LATE,
    FAULT_REFUSED,
    FAULT_LOST,
    FAULT_KILL_BEFORE,
    FAULT_KILL_AFTER,
    FAULT_STALE,
    FAULT_OUTAGE,
    FAULTS
};

#define EVENTS(E)                                                                                                                          \
    E(CALM, "faults stop")                                                                                                                 \
    E(FAULT, "fault: kind, service")                                                                                                       \
    E(KILL, "a handler is killed: copy")                                                                                                   \
    E(DELIVER, "message: kind, times dequeued")                                                                                            \
    E(ANSWERED, "message is done with: kind")                                                                                              \
    E(WATCH, "job-watch: copy")                                                                                                            \
    E(MARKER_PUT, "live/ marker is put")                                                                                                   \
    E(MARKER_GONE, "live/ marker is deleted")                                                                                              \
    E(ACCEPT, "record is made: rejected")                                                                                                  \
    E(SAVE, "saved: machine, model")                                                                                                       \
    E(OUTCOME, "record has an outcome: outcome, reason")                                                                                   \
    E(CLOSED, "record is closed")                                                                                                          \
    E(SLOT, "slot is taken: holders")                                                                                                      \
    E(SLOT_WAIT, "waits for a slot: place")                                                                                                \
    E(SLOT_FREE, "slot is given back: holders")                                                                                            \
    E(LINE, "line is taken: version, what its message wishes and baseline")                                                                \
    E(LINE_FREE, "line is given back: current version")                                                                                    \
    E(GROUP_FOREIGN, "somebody else's group has that name")                                                                                \
    E(GROUP_PUT, "group is made: ms until visible")                                                                                        \
    E(GROUP_DELETE, "deletion is accepted: ours, ms it takes")                                                                             \
    E(GROUP_REFUSES, "deletion is refused (lock)")                                                                                         \
    E(GROUP_STAYS, "deletion did not succeed")                                                                                             \
    E(GROUP_GONE, "group is gone")                                                                                                         \
    E(DEPLOY, "deployment is accepted: deadline, ms until visible")                                                                        \
    E(DEPLOY_REFUSED, "deployment is refused: remedy")                                                                                     \
    E(DEPLOY_FAILED, "deployment failed")                                                                                                  \
    E(DEPLOY_DONE, "deployment succeeded")                                                                                                 \
    E(DEPLOY_CANCEL, "deployment is to be cancelled: whether it works")                                                                    \
    E(VM, "machine exists: id")                                                                                                            \
    E(VM_GONE, "machine is deleted: id")                                                                                                   \
    E(VM_OFF, "machine is switched off: id")                                                                                               \
    E(CLAIM, "machine claims and works: id, deadline")                                                                                     \
    E(FENCED, "machine finds the claim taken: id")                                                                                         \
    E(FENCE, "handler takes the claim")                                                                                                    \
    E(REST, "machine no longer works: id")                                                                                                 \
    E(SILENT, "machine's last heartbeat: id")                                                                                              \
    E(UPLOAD, "model files are uploaded: content")                                                                                         \
    E(MANIFEST, "manifest is written: content of the files, whether they are so")                                                          \
    E(REPORT, "report is written: outcome")                                                                                                \
    E(TAMPER, "files are overwritten: content")                                                                                            \
    E(EVICT, "Azure takes the machine back: id")                                                                                           \
    E(ORDER, "cancel (1) or extend (2) is taken")                                                                                          \
    E(CONTROL, "machine is told its new deadline: deadline")                                                                               \
    E(EVIDENCE, "why it failed is kept")                                                                                                   \
    E(BELL, "machine rings")                                                                                                               \
    E(COPY, "copied: version and file, content")                                                                                           \
    E(POINT, "current.json names version")                                                                                                 \
    E(TOLD, "people are told: notice, outcome and reason")                                                                                 \
    E(END, "end of the schedule")

/* Whether a job's model is to be published, and, if only a better one is, how it compares with its baseline. */
enum wish { WISH_ALWAYS, WISH_BETTER, WISH_TIE, WISH_NEVER };
#define WISHES 100 /* an event tells wish x WISHES + baseline */

enum event_kind {
#define E(name, words) EVENT_##name,
    EVENTS(E)
#undef E
        EVENT_KINDS
};
struct event {
    int64_t at_ms, a, b;
    uint8_t kind;
    int8_t job, attempt;
};
struct history {
    struct event *event;
    size_t count, room;
    FILE *live; /* told as it happens; NULL: not */
};
void history_add(struct history *h, struct event e);
void history_done(struct history *h);
void history_print(const struct event *e, FILE *to);
extern const char *const history_faults[], *const history_services[];
#endif
