/* checks.h - one check per row of the table in job/rules.c; used there only. See struct rule for what a check does. */
#ifndef CHECKS_H
#define CHECKS_H
#include "job/rules.h"

#define CLASS_FORBIDDEN ",\"$`"
#define LINE_DEFAULT "default"
#define SEED_DEFAULT 1
#define TRAIN_DEFAULT 0.7

void check_v(struct reading *r, enum rule_id id, const char *text);
void check_action(struct reading *r, enum rule_id id, const char *text);
void check_zip(struct reading *r, enum rule_id id, const char *text);
void check_sha256(struct reading *r, enum rule_id id, const char *text);
void check_job_id(struct reading *r, enum rule_id id, const char *text);
void check_vm_size(struct reading *r, enum rule_id id, const char *text); /* where.c, down to check_default_regions; one more of a list */
void check_region(struct reading *r, enum rule_id id, const char *text);
void check_spot(struct reading *r, enum rule_id id, const char *text);
void check_default_sizes(struct reading *r);
void check_default_regions(struct reading *r);
void check_force(struct reading *r, enum rule_id id, const char *text);
void check_max_hours(struct reading *r, enum rule_id id, const char *text);
void check_max_cost(struct reading *r, enum rule_id id, const char *text);
void check_classes(struct reading *r, enum rule_id id, const char *text); /* classes.c; reads r->item */
void check_epochs(struct reading *r, enum rule_id id, const char *text);
void check_task(struct reading *r, enum rule_id id, const char *text);
void check_model(struct reading *r, enum rule_id id, const char *text);
void check_pretrained(struct reading *r, enum rule_id id, const char *text);
void check_continue(struct reading *r, enum rule_id id, const char *text);
void check_line(struct reading *r, enum rule_id id, const char *text);
void check_version(struct reading *r, enum rule_id id, const char *text);
void check_split_train(struct reading *r, enum rule_id id, const char *text);
void check_split_seed(struct reading *r, enum rule_id id, const char *text);
void check_split_group(struct reading *r, enum rule_id id, const char *text);
void check_publish(struct reading *r, enum rule_id id, const char *text);
void check_words(struct reading *r, enum rule_id id, const char *text); /* requested_by, note */
void check_default_classes(struct reading *r);                          /* CLASSES into the request */
#endif
