#include <stddef.h>

#include "job/step.h"

const char *const job_machine_words[] = {"queued", "provisioning", "running", "deleting", "closed", NULL};
const char *const job_model_words[] = {"none", "offered", "verified", "copied", "current", "kept", "broken", NULL};
const char *const job_outcome_words[] = {"none", "succeeded", "failed", "timed_out", "rejected", "cancelled", NULL};
const char *const job_reason_words[] = {"none",   "message", "zip",   "refused",   "create_wait",  "report",    "no_model",  "deadline",
                                        "silent", "gone",    "model", "published", "publish_wait", "line_task", "cancelled", "capacity",
                                        "boot",   "evicted", "gate",  NULL};
