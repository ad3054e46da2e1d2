/* gate.h - whether a verified model becomes its line's current one: from what its machine measured, what the message asks for, and what the
 * line carries now. Pure.
 *
 * The rule is cautious on one side only: without proof that the new model is better, the one that devices have stays. Keeping can be undone
 * (the files are kept); a worse model on devices cannot. */
#ifndef GATE_H
#define GATE_H
#include "base/json.h"

/* Zero is what records from before there was a gate say: published whatever it scored, as its sender was told then. */
enum publish_policy { PUBLISH_UNGATED, PUBLISH_IF_BETTER, PUBLISH_ALWAYS, PUBLISH_NEVER };
const char *publish_name(enum publish_policy p);                /* "if_better"; "" for a record without it */
bool publish_parse(const char *name, enum publish_policy *out); /* false when unknown */

#define GATE_CLASS_MAX 257   /* bytes of a class name + NUL */
#define GATE_IMAGES_LEAST 10 /* to compare two models, or one class of them */

/* The manifest's `baseline` and `gate` block: figures of the published files, on images that neither model was trained on. */
struct gate_facts {
    bool measured;    /* there is a block */
    int64_t baseline; /* the line's version when the machine was ordered; 0: none */
    int64_t images;
    double score, floor;             /* of the new model, and what guessing may reach */
    bool compared;                   /* the baseline was measured too; all below counts only then */
    double former, sd;               /* its score; standard deviation of the difference */
    char lost_class[GATE_CLASS_MAX]; /* of those with enough images the one that loses most; "": none does */
    double lost_score, lost_former;
    int64_t lost_images;
    double ms, former_ms; /* of one image; 0: not known */
    int64_t bytes, former_bytes;
    char not_comparable[240]; /* why it was not compared */
};
/* ERR_INPUT: the block is not what it must be; the message names the member. A manifest without the block is good. */
enum err_code gate_read(const struct json *manifest, struct gate_facts *out, struct err *err) MUST_CHECK;

struct gate_names {
    const char (*name)[GATE_CLASS_MAX];
    int32_t count;
};
/* The first of the line's classes that the model lacks, and how many it lacks; NULL: none. */
const char *gate_missing(const struct gate_names *line, const struct gate_names *model, int32_t *count);

enum gate_code {
    GATE_NONE, /* not decided, or a record from before there was a gate */
    /* published */
    GATE_BETTER,
    GATE_FIRST,
    GATE_ALWAYS,
    /* kept */
    GATE_NEVER,
    GATE_MISSING, /* a class of the line */
    GATE_MOVED,   /* compared with a version that is no longer current */
    GATE_NOT_COMPARABLE,
    GATE_WORSE,
    GATE_TIE,
    GATE_CLASS, /* better in all, but not for one class */
    GATE_SLOWER,
    GATE_LARGER,
    GATE_FLOOR, /* no better than guessing */
};
extern const char *const gate_code_words[];

struct gate_question {
    enum publish_policy policy;
    const struct gate_facts *facts;
    const char *metric;            /* the primary one: "map" */
    int64_t current;               /* the line's version now; 0: none */
    struct gate_names line, model; /* classes */
};
#define GATE_TEXT_MAX 480
struct gate_verdict {
    bool publish;
    bool breaking; /* published, and a class of the line is missing */
    enum gate_code code;
    char text[GATE_TEXT_MAX]; /* why, in words and numbers: to follow a colon, without an end; "" when there is nothing to say */
};
void gate_decide(const struct gate_question *q, struct gate_verdict *out);
#endif
