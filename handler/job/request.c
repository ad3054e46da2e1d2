#include "job/request.h"

#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"

const char *task_name(enum task t)
{
    static const char *const name[] = {"", "classification", "detection", "instance_segmentation"};
    return t >= TASK_CLASSIFICATION && t <= TASK_INSTANCE_SEGMENTATION ? name[t] : name[TASK_NONE];
}

enum task task_parse(const char *name)
{
    char plain[32];
    str_copy(plain, sizeof plain, name);
    str_lower(plain);
    for (char *p = plain; *p; p++)
        if (*p == '-' || *p == ' ')
            *p = '_';
    for (enum task t = TASK_CLASSIFICATION; t <= TASK_INSTANCE_SEGMENTATION; t++)
        if (str_is(plain, task_name(t)) && strlen(plain) == strlen(name))
            return t;
    return TASK_NONE;
}

const char *spot_name(enum job_spot s)
{
    static const char *const name[] = {"never", "prefer", "only"};
    return s >= SPOT_NEVER && s <= SPOT_ONLY ? name[s] : name[SPOT_NEVER];
}

bool spot_parse(const char *name, enum job_spot *out)
{
    for (enum job_spot s = SPOT_NEVER; s <= SPOT_ONLY; s++)
        if (str_is(name, spot_name(s))) {
            *out = s;
            return true;
        }
    return false;
}

void request_done(struct request *r)
{
    if (!r)
        return;
    free(r->classes);
    r->classes = NULL;
    r->classes_count = 0;
}

bool request_copy(struct request *to, const struct request *from)
{
    *to = *from;
    to->classes = NULL;
    to->classes_count = 0;
    if (from->classes_count <= 0)
        return true;
    to->classes = calloc((size_t)from->classes_count, sizeof *to->classes);
    if (!to->classes)
        return false;
    memcpy(to->classes, from->classes, (size_t)from->classes_count * sizeof *to->classes);
    to->classes_count = from->classes_count;
    return true;
}

static void write_places(struct str *to, const char *name, const struct places *p)
{
    json_open(to, name, '[');
    for (int32_t i = 0; i < p->count; i++)
        json_put_text(to, NULL, p->name[i]);
    json_close(to, ']');
}

/* What was added later is only written where it is not as it was before: the digest of all that was trained so far stays what it is. */
static void put_later(struct str *to, const struct request *r)
{
    if (r->model_name[0])
        json_put_text(to, "model_name", r->model_name);
    if (!r->pretrained)
        json_put_bool(to, "pretrained", false);
}

void request_write(struct str *to, const char *name, const struct request *r)
{
    json_open(to, name, '{');
    json_put_text(to, "zip", r->zip);
    json_put_text(to, "dataset_sha256", r->dataset_sha256);
    json_put_text(to, "job_id", r->job_id);
    json_put_text(to, "job_name", r->job_name);
    json_put_bool(to, "job_id_given", r->job_id_given);
    json_put_text(to, "vm_size", places_first(&r->vm_sizes)); /* what former versions of this program read */
    write_places(to, "vm_sizes", &r->vm_sizes);
    write_places(to, "regions", &r->regions);
    json_put_text(to, "spot", spot_name(r->spot));
    json_put_bool(to, "force", r->force);
    json_open(to, "classes", '[');
    for (int32_t i = 0; i < r->classes_count; i++)
        json_put_text(to, NULL, r->classes[i]);
    json_close(to, ']');
    json_put_int(to, "epochs", r->epochs);
    json_put_text(to, "task", task_name(r->task));
    json_put_int(to, "model", r->model);
    put_later(to, r);
    json_put_text(to, "continue_from", r->continue_from);
    json_put_text(to, "line", r->line);
    json_put_int(to, "max_minutes", r->max_minutes);
    if (r->max_micro_usd > 0)
        json_put_int(to, "max_micro_usd", r->max_micro_usd);
    json_open(to, "split", '{');
    json_put_number(to, "train", r->split_train);
    json_put_int(to, "seed", r->split_seed);
    json_put_text(to, "group", r->split_video ? "video" : "none");
    json_close(to, '}');
    if (r->publish != PUBLISH_UNGATED)
        json_put_text(to, "publish", publish_name(r->publish));
    json_put_text(to, "requested_by", r->requested_by);
    json_put_text(to, "note", r->note);
    json_close(to, '}');
}

/* Reads members one after the other; the first that does not follow its type is kept in `bad`. */
struct reader {
    const struct json *object;
    const char *bad;
};

static void read_text(struct reader *in, const char *name, char *out, size_t size)
{
    const char *text = json_text(json_get(in->object, name));
    if (text && strlen(text) < size)
        str_copy(out, size, text);
    else if (!in->bad)
        in->bad = name;
}

static int64_t read_int(struct reader *in, const char *name, int64_t most)
{
    int64_t value = 0;
    if ((!json_int(json_get(in->object, name), &value) || value < 0 || value > most) && !in->bad)
        in->bad = name;
    return value;
}

/* A list that is not there leaves *p as it is: former records have none. */
static void read_places(struct reader *in, const char *name, struct places *p)
{
    const struct json *list = json_get(in->object, name);
    if (!list)
        return;
    bool good = json_type(list) == JSON_ARRAY;
    *p = (struct places){0};
    for (size_t i = 0; good && i < json_len(list); i++)
        good = places_add(p, json_text(json_at(list, i)));
    if (!good && !in->bad)
        in->bad = name;
}

static void read_where(struct reader *in, struct request *r)
{
    char size[PLACE_MAX] = "";
    read_text(in, "vm_size", size, sizeof size);
    (void)places_add(&r->vm_sizes, size); /* "" in a refused message's */
    read_places(in, "vm_sizes", &r->vm_sizes);
    read_places(in, "regions", &r->regions);
    const struct json *spot = json_get(in->object, "spot"), *force = json_get(in->object, "force");
    r->force = json_true(force);
    if (!in->bad && spot && !spot_parse(json_text(spot), &r->spot))
        in->bad = "spot";
    if (!in->bad && force && json_type(force) != JSON_BOOL)
        in->bad = "force";
}

static enum err_code read_classes(struct reader *in, struct request *r, struct err *err)
{
    const struct json *list = json_get(in->object, "classes");
    size_t count = json_len(list);
    if (json_type(list) != JSON_ARRAY || count > CLASSES_MAX) {
        in->bad = "classes";
        return OK;
    }
    if (count == 0)
        return OK;
    r->classes = calloc(count, sizeof *r->classes);
    if (!r->classes)
        return err_set(err, ERR_MEMORY, "no memory for the classes of a request");
    r->classes_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        const char *text = json_text(json_at(list, i));
        if (text && strlen(text) < CLASS_NAME_MAX)
            str_copy(r->classes[i], CLASS_NAME_MAX, text);
        else
            in->bad = "classes";
    }
    return OK;
}

static void read_later(struct reader *in, struct request *r)
{
    const struct json *pretrained = json_get(in->object, "pretrained");
    if (json_get(in->object, "model_name"))
        read_text(in, "model_name", r->model_name, sizeof r->model_name);
    r->pretrained = !pretrained || json_true(pretrained);
    if (!in->bad && pretrained && json_type(pretrained) != JSON_BOOL)
        in->bad = "pretrained";
}

static void read_split(struct reader *in, struct request *r)
{
    struct reader split = {.object = json_get(in->object, "split")};
    char group[8] = "";
    read_text(&split, "group", group, sizeof group);
    r->split_video = str_is(group, "video");
    r->split_seed = read_int(&split, "seed", INT64_MAX);
    bool number = json_number(json_get(split.object, "train"), &r->split_train) && r->split_train > 0 && r->split_train < 1;
    if ((split.bad || !number || (!r->split_video && !str_is(group, "none"))) && !in->bad)
        in->bad = "split";
}

enum err_code request_read(const struct json *object, struct request *r, struct err *err)
{
    memset(r, 0, sizeof *r);
    struct reader in = {.object = object};
    char task[32] = "";
    read_text(&in, "zip", r->zip, sizeof r->zip);
    read_text(&in, "dataset_sha256", r->dataset_sha256, sizeof r->dataset_sha256);
    read_text(&in, "job_id", r->job_id, sizeof r->job_id);
    read_text(&in, "job_name", r->job_name, sizeof r->job_name);
    read_where(&in, r);
    r->epochs = (int32_t)read_int(&in, "epochs", INT32_MAX);
    read_text(&in, "task", task, sizeof task);
    r->task = task_parse(task);
    r->model = (int32_t)read_int(&in, "model", INT32_MAX);
    read_later(&in, r);
    read_text(&in, "continue_from", r->continue_from, sizeof r->continue_from);
    read_text(&in, "line", r->line, sizeof r->line);
    r->max_minutes = (int32_t)read_int(&in, "max_minutes", INT32_MAX);
    if (json_get(object, "max_micro_usd") != NULL)
        r->max_micro_usd = read_int(&in, "max_micro_usd", INT64_MAX);
    read_split(&in, r);
    const struct json *publish = json_get(object, "publish");
    if (publish != NULL && !publish_parse(json_text(publish), &r->publish) && !in.bad)
        in.bad = "publish";
    read_text(&in, "requested_by", r->requested_by, sizeof r->requested_by);
    read_text(&in, "note", r->note, sizeof r->note);
    const struct json *given = json_get(object, "job_id_given");
    r->job_id_given = json_true(given);
    if (json_type(given) != JSON_BOOL || (r->task == TASK_NONE && task[0]) || !r->job_id[0])
        in.bad = in.bad ? in.bad : "job_id, job_id_given or task";
    enum err_code code = read_classes(&in, r, err);
    if (code == OK && in.bad)
        code = err_set(err, ERR_INPUT, "a saved request has a bad %s", in.bad);
    if (code != OK)
        request_done(r);
    return code;
}

void request_digest(const struct request *r, char hex[65])
{
    struct request bare = *r; /* borrows the classes */
    AUTO_STR text = STR_MAX(128 * 1024);

    bare.job_id[0] = bare.job_name[0] = bare.requested_by[0] = bare.note[0] = '\0';
    bare.job_id_given = bare.force = false;
    bare.max_micro_usd = 0;
    bare.publish = PUBLISH_UNGATED;
    json_open(&text, NULL, '{');
    request_write(&text, "request", &bare);
    json_close(&text, '}');
    if (!sha256_of(text.p, text.len, hex))
        str_copy(hex, 65, "none");
}

bool request_same(const struct request *a, const struct request *b)
{
    if (a->classes_count != b->classes_count)
        return false;
    for (int32_t i = 0; i < a->classes_count; i++)
        if (!str_is(a->classes[i], b->classes[i]))
            return false;
    return str_is(a->zip, b->zip) && str_is(a->dataset_sha256, b->dataset_sha256) && places_same(&a->vm_sizes, &b->vm_sizes) &&
           places_same(&a->regions, &b->regions) && a->spot == b->spot && a->epochs == b->epochs && a->task == b->task &&
           a->model == b->model && str_is(a->model_name, b->model_name) && a->pretrained == b->pretrained &&
           str_is(a->continue_from, b->continue_from) && str_is(a->line, b->line) && a->max_minutes == b->max_minutes &&
           a->split_train >= b->split_train && a->split_train <= b->split_train && a->split_seed == b->split_seed &&
           a->split_video == b->split_video;
}
