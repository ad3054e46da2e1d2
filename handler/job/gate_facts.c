/* gate_facts.c - the manifest's `gate` block (job/gate.h). A machine wrote it: nothing of it is taken for granted. */
#include <math.h>
#include <string.h>

#include "job/gate.h"
#include "job/text.h"

#define SCORE_MAX 1.0
#define FLOOR_MAX 2.0 /* with few images, two standard deviations above the largest class may pass 1: then nothing is good enough */
#define CLASSES_LISTED_MAX 200
#define AMOUNT_MAX 1e15 /* of milliseconds or bytes */

/* A finite number from 0 to most. Absent and null are the same: not known; *known is NULL for a number that must be there. */
static enum err_code read_number(const struct json *object, const char *where, const char *name, double most, double *out, bool *known,
                                 struct err *err)
{
    const struct json *value = json_get(object, name);
    double number = 0;

    if (json_type(value) == JSON_NULL && known != NULL) {
        *known = false;
        return OK;
    }
    if (!json_number(value, &number) || !isfinite(number) || number < 0 || number > most)
        return err_set(err, ERR_INPUT, "%s.%s must be a number from 0 to %g%s", where, name, most, known != NULL ? ", or null" : "");
    *out = number;
    if (known != NULL)
        *known = true;
    return OK;
}

static enum err_code read_count(const struct json *object, const char *where, const char *name, int64_t *out, struct err *err)
{
    if (!json_int(json_get(object, name), out) || *out < 0)
        return err_set(err, ERR_INPUT, "%s.%s must be a whole number, 0 or more", where, name);
    return OK;
}

/* One class, and whether it is the one that loses most so far. */
static enum err_code read_class(const struct json *entry, struct gate_facts *out, struct err *err)
{
    static const char where[] = "gate.per_class";
    const char *name = json_text(json_get(entry, "class"));
    int64_t images = 0;
    double score = 0, former = 0;
    bool known = false, former_known = false;

    if (name == NULL || *name == '\0' || strlen(name) >= GATE_CLASS_MAX || text_has_control(name))
        return err_set(err, ERR_INPUT, "%s: each entry must name a class", where);
    enum err_code code = read_count(entry, where, "images", &images, err);
    if (code == OK)
        code = read_number(entry, where, "new", SCORE_MAX, &score, &known, err);
    if (code == OK)
        code = read_number(entry, where, "current", SCORE_MAX, &former, &former_known, err);
    if (code != OK || !known || !former_known || images < GATE_IMAGES_LEAST)
        return code;
    if (former - score > 0 && former - score > out->lost_former - out->lost_score) {
        str_copy(out->lost_class, sizeof out->lost_class, name);
        out->lost_score = score;
        out->lost_former = former;
        out->lost_images = images;
    }
    return OK;
}

static enum err_code read_classes(const struct json *list, struct gate_facts *out, struct err *err)
{
    enum err_code code = OK;

    if (json_type(list) != JSON_ARRAY || json_len(list) > CLASSES_LISTED_MAX)
        return err_set(err, ERR_INPUT, "gate.per_class must be a list of at most %d classes", CLASSES_LISTED_MAX);
    for (size_t i = 0; code == OK && i < json_len(list); i++)
        code = read_class(json_at(list, i), out, err);
    return code;
}

/* {"new": 3.1, "current": 3.0}; 0 where one is not known. */
static enum err_code read_pair(const struct json *gate, const char *name, double *now, double *former, struct err *err)
{
    const struct json *pair = json_get(gate, name);
    char where[32];
    bool known = false;

    str_copy(where, sizeof where, name);
    if (json_type(pair) != JSON_OBJECT)
        return err_set(err, ERR_INPUT, "gate.%s must be an object of new and current", where);
    enum err_code code = read_number(pair, where, "new", AMOUNT_MAX, now, &known, err);
    if (code == OK)
        code = read_number(pair, where, "current", AMOUNT_MAX, former, &known, err);
    return code == OK ? OK : err_context(err, "gate");
}

/* What is there only when the baseline was measured too. */
static enum err_code read_comparison(const struct json *gate, struct gate_facts *out, struct err *err)
{
    int64_t version = 0;
    double bytes = 0, former_bytes = 0;

    if (!json_int(json_get(gate, "current_version"), &version) || version != out->baseline || version <= 0)
        return err_set(err, ERR_INPUT, "gate.current_version must be the baseline, which is %lld", (long long)out->baseline);
    enum err_code code = read_number(gate, "gate", "difference_sd", SCORE_MAX, &out->sd, NULL, err);
    if (code == OK)
        code = read_classes(json_get(gate, "per_class"), out, err);
    if (code == OK)
        code = read_pair(gate, "latency_ms", &out->ms, &out->former_ms, err);
    if (code == OK)
        code = read_pair(gate, "size_bytes", &bytes, &former_bytes, err);
    out->bytes = (int64_t)bytes;
    out->former_bytes = (int64_t)former_bytes;
    return code;
}

static enum err_code read_block(const struct json *gate, struct gate_facts *out, struct err *err)
{
    const struct json *why = json_get(gate, "not_comparable");

    if (json_type(gate) != JSON_OBJECT)
        return err_set(err, ERR_INPUT, "gate must be an object");
    if (json_type(why) != JSON_NULL && json_text(why) == NULL)
        return err_set(err, ERR_INPUT, "gate.not_comparable must be a text");
    enum err_code code = read_count(gate, "gate", "images", &out->images, err);
    if (code == OK)
        code = read_number(gate, "gate", "new", SCORE_MAX, &out->score, NULL, err);
    if (code == OK)
        code = read_number(gate, "gate", "floor", FLOOR_MAX, &out->floor, NULL, err);
    if (code == OK)
        code = read_number(gate, "gate", "current", SCORE_MAX, &out->former, &out->compared, err);
    if (code != OK)
        return code;
    out->measured = true;
    text_mask(json_text(why) != NULL ? json_text(why) : "", out->not_comparable, sizeof out->not_comparable);
    out->compared = out->compared && out->not_comparable[0] == '\0';
    return out->compared ? read_comparison(gate, out, err) : OK;
}

enum err_code gate_read(const struct json *manifest, struct gate_facts *out, struct err *err)
{
    const struct json *baseline = json_get(manifest, "baseline"), *gate = json_get(manifest, "gate");

    *out = (struct gate_facts){0};
    if (json_type(baseline) != JSON_NULL && (!json_int(baseline, &out->baseline) || out->baseline < 0))
        return err_set(err, ERR_INPUT, "baseline must be a version, or null");
    return json_type(gate) == JSON_NULL ? OK : read_block(gate, out, err);
}
