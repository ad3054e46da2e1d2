#include "job/gate.h"

#include <stdio.h>
#include <string.h>

#include "job/text.h"

#define GAIN_LEAST 0.01
#define DEVIATIONS 1.64 /* one chance in twenty that two equal models differ by more */
#define LOSS_MOST 0.05  /* of one class */
#define TIMES_MOST 1.5  /* as slow, or as large */
#define ROUNDING 1e-9   /* figures come in decimals: 0.70 - 0.65 must not be more than 0.05 */

const char *const gate_code_words[] = {"none",  "better", "first", "always", "never",  "missing_class", "moved", "not_comparable",
                                       "worse", "tie",    "class", "slower", "larger", "floor",         NULL};
static const char *const policy[] = {"", "if_better", "always", "never"};

const char *publish_name(enum publish_policy p)
{
    return p >= PUBLISH_UNGATED && p <= PUBLISH_NEVER ? policy[p] : policy[PUBLISH_UNGATED];
}

bool publish_parse(const char *name, enum publish_policy *out)
{
    for (enum publish_policy p = PUBLISH_IF_BETTER; p <= PUBLISH_NEVER; p++)
        if (str_is(name, policy[p])) {
            *out = p;
            return true;
        }
    return false;
}

const char *gate_missing(const struct gate_names *line, const struct gate_names *model, int32_t *count)
{
    const char *first = NULL;

    *count = 0;
    for (int32_t i = 0; i < line->count; i++) {
        bool there = false;
        for (int32_t j = 0; j < model->count && !there; j++)
            there = str_is(line->name[i], model->name[j]);
        if (!there && (*count)++ == 0)
            first = line->name[i];
    }
    return first;
}

/* ---- words ---- */
static const char *images(int64_t n)
{
    return n == 1 ? "image" : "images";
}

/* "map 0.712 against 0.695 of version 7 on 40 images", as far as it is known. */
static void add_scores(const struct gate_question *q, struct str *to)
{
    const struct gate_facts *f = q->facts;

    str_addf(to, "%s %.3f", q->metric, f->score);
    if (f->compared)
        str_addf(to, " against %.3f of version %lld", f->former, (long long)f->baseline);
    str_addf(to, " on %lld %s", (long long)f->images, images(f->images));
}

/* "`dent`", or "`dent` (and 2 more)" */
static void add_missing(const char *first, int32_t count, struct str *to)
{
    char shown[ECHO_MAX];

    text_echo(first, shown, sizeof shown);
    str_addf(to, "`%s`", shown);
    if (count > 1)
        str_addf(to, " (and %d more)", count - 1);
}

static void add_size(int64_t bytes, struct str *to)
{
    if (bytes < 1000 * 1000)
        str_addf(to, "%.1f kB", (double)bytes / 1e3);
    else
        str_addf(to, "%.1f MB", (double)bytes / 1e6);
}

static void add_not_comparable(const struct gate_question *q, struct str *to)
{
    const struct gate_facts *f = q->facts;
    int64_t lack = GATE_IMAGES_LEAST - f->images;

    str_addf(to, "it is not comparable with version %lld: ", (long long)q->current);
    if (!f->measured)
        str_add(to, "its machine did not measure the two side by side (older scripts)");
    else if (f->not_comparable[0] != '\0')
        str_add(to, f->not_comparable);
    else if (lack > 0)
        str_addf(to, "%lld %s that neither model was trained on, and %d are needed", (long long)f->images, images(f->images),
                 GATE_IMAGES_LEAST);
    else
        str_add(to, "its machine could not measure that one");
    if (f->measured && lack > 0)
        str_addf(to, "; add at least %lld labelled %s that neither has seen", (long long)lack, images(lack));
}

/* ---- the rules, each as if all before it were passed ---- */
static double gain_needed(const struct gate_facts *f)
{
    double chance = DEVIATIONS * f->sd;

    return chance > GAIN_LEAST ? chance : GAIN_LEAST;
}

/* Better as a whole? */
static enum gate_code judge_score(const struct gate_question *q, struct str *to)
{
    const struct gate_facts *f = q->facts;
    double gain = f->score - f->former, needed = gain_needed(f);
    enum gate_code code = gain > needed + ROUNDING ? GATE_BETTER : gain < -needed - ROUNDING ? GATE_WORSE : GATE_TIE;

    str_add(to, code == GATE_BETTER ? "it is better: " : code == GATE_WORSE ? "it is worse: " : "it is not clearly better: ");
    add_scores(q, to);
    str_addf(to, " (%+.3f", gain);
    if (code != GATE_WORSE)
        str_addf(to, ", it takes more than %.3f", needed);
    str_add(to, ")");
    return code;
}

/* Better as a whole, but worse in something that devices feel? */
static enum gate_code judge_costs(const struct gate_question *q, struct str *to)
{
    const struct gate_facts *f = q->facts;

    if (f->score <= f->floor + ROUNDING) {
        str_addf(to, ", but guessing reaches up to %.3f", f->floor);
        return GATE_FLOOR;
    }
    if (f->lost_former - f->lost_score > LOSS_MOST + ROUNDING) {
        str_add(to, ", but class ");
        add_missing(f->lost_class, 1, to);
        str_addf(to, " falls from %.3f to %.3f on %lld images (at most %.3f may be lost)", f->lost_former, f->lost_score,
                 (long long)f->lost_images, LOSS_MOST);
        return GATE_CLASS;
    }
    if (f->former_ms > 0 && f->ms > TIMES_MOST * f->former_ms + ROUNDING) {
        str_addf(to, ", but slower: %.1f ms an image against %.1f ms (at most %.1f times)", f->ms, f->former_ms, TIMES_MOST);
        return GATE_SLOWER;
    }
    if (f->former_bytes > 0 && (double)f->bytes > TIMES_MOST * (double)f->former_bytes) {
        str_add(to, ", but larger: ");
        add_size(f->bytes, to);
        str_add(to, " against ");
        add_size(f->former_bytes, to);
        str_addf(to, " (at most %.1f times)", TIMES_MOST);
        return GATE_LARGER;
    }
    return GATE_BETTER;
}

/* The line has no model: nothing to be better than but chance. */
static enum gate_code judge_first(const struct gate_question *q, struct str *to)
{
    const struct gate_facts *f = q->facts;

    if (!f->measured) {
        str_add(to, "it is the line's first model; its machine did not measure what guessing reaches (older scripts)");
        return GATE_FIRST;
    }
    if (f->images == 0) {
        str_add(to, "there was no image to measure it on; add labelled images");
        return GATE_FLOOR;
    }
    bool above = f->score > f->floor + ROUNDING;
    str_add(to, above ? "it is the line's first model: " : "it is no better than guessing: ");
    add_scores(q, to);
    str_addf(to, ", and guessing reaches up to %.3f", f->floor);
    return above ? GATE_FIRST : GATE_FLOOR;
}

static enum gate_code judge_moved(const struct gate_question *q, struct str *to)
{
    if (q->facts->baseline > 0)
        str_addf(to, "it was compared with version %lld, and meanwhile ", (long long)q->facts->baseline);
    else
        str_add(to, "its line had no model when it was ordered, and meanwhile ");
    if (q->current > 0)
        str_addf(to, "version %lld has become current; train it again to compare it with that one", (long long)q->current);
    else
        str_add(to, "that one is no longer current; train it again");
    return GATE_MOVED;
}

static enum gate_code judge(const struct gate_question *q, struct str *to)
{
    const struct gate_facts *f = q->facts;
    int32_t count = 0;
    const char *missing = gate_missing(&q->line, &q->model, &count);

    if (missing != NULL) {
        str_add(to, "it lacks class ");
        add_missing(missing, count, to);
        str_add(to, ", which the line has: devices that look for it would break");
        return GATE_MISSING;
    }
    if (f->baseline != q->current)
        return judge_moved(q, to);
    if (q->current == 0)
        return judge_first(q, to);
    if (!f->compared || f->images < GATE_IMAGES_LEAST) {
        add_not_comparable(q, to);
        return GATE_NOT_COMPARABLE;
    }
    enum gate_code code = judge_score(q, to);
    return code == GATE_BETTER ? judge_costs(q, to) : code;
}

/* What the message says is done, and what was measured is told. */
static enum gate_code obey(const struct gate_question *q, struct gate_verdict *out, struct str *to)
{
    int32_t count = 0;
    const char *missing = gate_missing(&q->line, &q->model, &count);

    out->breaking = out->publish && missing != NULL;
    if (q->policy == PUBLISH_UNGATED)
        return GATE_NONE;
    str_addf(to, "as the message says (\"publish\":\"%s\")", publish_name(q->policy));
    if (q->facts->measured) {
        str_add(to, ": ");
        add_scores(q, to);
    }
    if (out->breaking) {
        str_add(to, "; it lacks class ");
        add_missing(missing, count, to);
    }
    return q->policy == PUBLISH_NEVER ? GATE_NEVER : GATE_ALWAYS;
}

void gate_decide(const struct gate_question *q, struct gate_verdict *out)
{
    AUTO_STR text = STR_MAX(4 * GATE_TEXT_MAX);

    *out = (struct gate_verdict){.publish = q->policy == PUBLISH_ALWAYS || q->policy == PUBLISH_UNGATED};
    if (q->policy == PUBLISH_IF_BETTER) {
        out->code = judge(q, &text);
        out->publish = out->code == GATE_BETTER || out->code == GATE_FIRST;
    } else {
        out->code = obey(q, out, &text);
    }
    str_copy(out->text, sizeof out->text, str_c(&text));
}
