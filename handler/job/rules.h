/* rules.h - the one table of message fields: names, place in the colon form, type, check, default, fault code, and what is allowed in words
 * (README and tests print it). Pure. */
#ifndef RULES_H
#define RULES_H
#include "job/message.h"

enum rule_type { TYPE_TEXT = 1, TYPE_NUMBER = 2, TYPE_LIST = 4, TYPE_OBJECT = 8, TYPE_BOOL = 16 }; /* of the JSON value; may be or'd */
enum rule_id {
    RULE_V,
    RULE_ACTION,
    RULE_ZIP,
    RULE_SHA256,
    RULE_JOB_ID,
    RULE_VM_SIZE,
    RULE_VM_SIZES,
    RULE_REGIONS,
    RULE_SPOT,
    RULE_MAX_HOURS,
    RULE_MAX_COST,
    RULE_CLASSES,
    RULE_EPOCHS,
    RULE_TASK,
    RULE_MODEL,
    RULE_PRETRAINED,
    RULE_CONTINUE,
    RULE_LINE,
    RULE_VERSION,
    RULE_SPLIT,
    RULE_SPLIT_TRAIN,
    RULE_SPLIT_SEED,
    RULE_SPLIT_GROUP,
    RULE_PUBLISH,
    RULE_REQUESTED_BY,
    RULE_NOTE,
    RULE_FORCE,
    RULES
};

#define MISSPELT 2 /* letters: the key or word is taken for the corrected line */

struct value { /* one field as it came */
    bool given;
    bool silent;             /* not to be complained about: of a wrong type (said already), or the value of a misspelt key */
    const char *key;         /* as the sender calls the field; literal of the table */
    struct str text;         /* numbers too */
    const struct json *list; /* of TYPE_LIST, but for classes; borrowed */
};
struct reading { /* one message while it is read */
    struct message *m;
    const struct message_defaults *defaults;
    bool colon;          /* the colon form: full-width separators and digits are folded, classes are split at commas */
    bool silent, failed; /* failed: no memory */
    struct value value[RULES];
    const char *item[CLASSES_MAX + 1]; /* classes as they came; borrowed */
    size_t items;                      /* may be more than there is room for */
};

struct rule {
    const char *name, *alias; /* JSON keys; alias (or NULL) is also the colon form's name */
    int position;             /* in the colon form from 1; 0: not in it */
    int types;
    bool plain;       /* plain ASCII: full-width characters are E04; digits of numbers are folded in the colon form */
    unsigned actions; /* that it goes with: bits, 1 << ACTION_... */
    const char *code;
    const char
        *forbidden; /* characters that are E13 whatever the check says; control characters always are; NULL: the check looks itself */
    void (*check)(struct reading *r, enum rule_id id,
                  const char *text); /* not empty; sets the request, or adds a fault and sets what comes nearest */
    const char *otherwise;           /* the default, in words; NULL: required */
    const char *allowed;             /* in words */
};
const struct rule *rules_field(size_t i);                  /* NULL after the last */
enum rule_id rules_find(const char *key);                  /* by name or alias, "split.train" too; RULES: unknown */
const char *rules_nearest(const char *key, int *distance); /* the known key that looks most like it */
bool rules_reserved(const char *key);                      /* the Functions host's own names */

struct rules_code {
    const char *code, *gist;
};
const struct rules_code *rules_code(size_t i); /* every fault code of a message; NULL after the last */

void rules_defaults(struct reading *r); /* the request of a message that says nothing */
void rules_run(struct reading *r);      /* all values through their checks, in the table's order */
void rules_fault(struct reading *r, enum rule_id id, const char *code, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Adds to m as long as there is room. */
void rules_add(struct message *m, const char *code, const char *field, const char *text);
void rules_note(struct reading *r, const char *text); /* once each */

bool rules_job_id(const char *text);
/* Splits text at commas (full-width too) into r->item; text is changed. True if a full-width comma was one of them. */
bool rules_split_classes(struct reading *r, char *text);
#endif
