/* arm_quota.h - what a subscription may have in a region: the sizes that are offered to it, and how many vCPUs are taken.
 *
 * Answers are kept in memory: sizes for an hour, usages for a minute, failures for a few minutes. Whoever comes while an answer is fetched
 * waits for that one. The list of sizes is several MB long: it is read as a stream, and a few bytes of each size are kept. Thread-safe. */
#ifndef ARM_QUOTA_H
#define ARM_QUOTA_H
#include "azure/arm.h"

struct arm_size {
    char name[48], family[48]; /* "Standard_D8s_v5", "standardDSv5Family" */
    char restricted[40];       /* why it may not be had in this region: "NotAvailableForSubscription"; "": it may */
    int32_t vcpus;             /* 0: not told */
    bool never_spot;
};
struct arm_usage {
    char name[48]; /* "cores" (all of the region), "lowPriorityCores" (Spot), a family */
    int64_t used, limit;
};

struct arm_quota;
enum err_code arm_quota_open(const struct clock *clock, struct arm_quota **ret, struct err *err) MUST_CHECK;
void arm_quota_close(struct arm_quota *q);
/* region is as ARM names it: lower case, no blanks. age_s: an answer that is kept may be so old; ARM_QUOTA_KEPT: as long as it is kept.
 * ERR_ABSENT: the whole list was read, and the size is not in it. */
#define ARM_QUOTA_KEPT INT64_MAX
enum err_code arm_quota_size(struct arm_quota *q, const struct arm *a, const char *region, const char *size, int64_t age_s,
                             struct arm_size *out, struct err *err) MUST_CHECK;
enum err_code arm_quota_usage(struct arm_quota *q, const struct arm *a, const char *region, const char *name, int64_t age_s,
                              struct arm_usage *out, struct err *err) MUST_CHECK;
#endif
