#include "controller/bootstrap.h"

#include <string.h>

#include "azure/sign.h"

#define HOME "/opt/retrain"
#define CLOCK_SKEW_S 900    /* grants begin this much before the start */
#define GRANT_MARGIN_S 3600 /* and end this much after the hard stop */
#define LINK_MAX 2048

static enum err_code link_of(const struct storage *s, const struct record *rec, const struct grant *g, struct str *url, struct err *err)
{
    int64_t from = rec->state.started_s - CLOCK_SKEW_S, to = rec->state.hard_stop_s + GRANT_MARGIN_S;

    switch (g->service) {
    case STORAGE_FILE:
        return sign_file_url(s, g->container, g->path, g->permissions, from, to, url, err);
    case STORAGE_QUEUE:
        return sign_queue_url(s, g->container, g->permissions, from, to, url, err);
    case STORAGE_BLOB:
        break;
    }
    return sign_blob_url(s, g->container, g->path, g->permissions, from, to, url, err);
}

static void put_optional(struct str *to, const char *name, const char *text)
{
    json_put_text(to, name, *text != '\0' ? text : NULL);
}

/* A record of former times has the scripts of former times, which read the number. */
static void put_model(struct str *to, const struct record *rec)
{
    if (rec->model_name[0] == '\0') {
        json_put_int(to, "model", rec->request.model);
        return;
    }
    json_put_text(to, "model", rec->model_name);
    json_put_int(to, "input_size", rec->input_size);
    json_put_bool(to, "pretrained", rec->request.pretrained);
}

static void put_request(struct str *to, const struct record *rec)
{
    const struct request *r = &rec->request;

    json_open(to, "request", '{');
    json_put_text(to, "zip", r->zip);
    put_optional(to, "dataset_sha256", r->dataset_sha256);
    if (r->classes == NULL)
        json_put_null(to, "classes");
    else {
        json_open(to, "classes", '[');
        for (int32_t i = 0; i < r->classes_count; i++)
            json_put_text(to, NULL, r->classes[i]);
        json_close(to, ']');
    }
    json_put_int(to, "epochs", r->epochs);
    json_put_text(to, "task", task_name(r->task));
    put_model(to, rec);
    put_optional(to, "continue_from", rec->parent_name);
    json_put_text(to, "line", r->line);
    json_put_number(to, "max_hours", r->max_minutes / 60.0);
    json_open(to, "split", '{');
    json_put_number(to, "train", r->split_train);
    json_put_int(to, "seed", r->split_seed);
    json_put_text(to, "group", r->split_video ? "video" : "none");
    json_close(to, '}');
    put_optional(to, "requested_by", r->requested_by);
    put_optional(to, "note", r->note);
    json_close(to, '}');
}

static void put_times(struct str *to, const struct job_state *s)
{
    json_open(to, "times", '{');
    json_put_int(to, "accepted_s", s->accepted_s);
    json_put_int(to, "started_s", s->started_s);
    json_put_int(to, "train_until_s", s->train_until_s);
    json_put_int(to, "deadline_s", s->deadline_s);
    json_put_int(to, "hard_stop_s", s->hard_stop_s);
    json_close(to, '}');
}

static enum err_code job_json(const struct storage *s, const struct record *rec, struct str *to, struct err *err)
{
    struct grant grants[GRANTS_MAX];
    size_t count = bootstrap_grants(rec, grants);

    json_open(to, NULL, '{');
    json_put_int(to, "v", 1);
    json_put_text(to, "job_id", rec->job_id);
    json_put_text(to, "job_name", rec->request.job_name);
    json_put_int(to, "attempt", rec->state.attempt);
    json_put_text(to, "trainer", rec->trainer);
    put_request(to, rec);
    json_put_text(to, "vm_size", record_size(rec));
    json_open(to, "zip", '{');
    json_put_int(to, "size", rec->zip_size);
    json_put_text(to, "etag", rec->zip_etag);
    json_close(to, '}');
    if (rec->baseline > 0)
        json_put_int(to, "baseline", rec->baseline);
    else
        json_put_null(to, "baseline");
    json_put_text(to, "scripts_sha256", rec->scripts_sha256);
    put_times(to, &rec->state);
    json_open(to, "links", '{');
    for (size_t i = 0; i < count; i++) {
        AUTO_STR url = STR_MAX(LINK_MAX);
        enum err_code code = link_of(s, rec, &grants[i], &url, err);
        if (code != OK)
            return code;
        json_put_text(to, grants[i].name, str_c(&url));
    }
    json_close(to, '}');
    json_close(to, '}');
    return str_check(to, "job.json", err);
}

static void put_file(struct str *to, const char *path, const char *permissions, const struct str *content)
{
    json_open(to, NULL, '{');
    json_put_text(to, "path", path);
    json_put_text(to, "permissions", permissions);
    json_put_text(to, "owner", "root:root");
    json_put_text(to, "content", str_c(content));
    json_close(to, '}');
}

/* For the boot files, which parse nothing: one value a file. */
static void put_value(struct str *to, const char *name, const struct str *value)
{
    AUTO_STR path = STR_MAX(128);

    str_addf(&path, HOME "/values/%s", name);
    put_file(to, str_c(&path), "0600", value);
}

static void put_text_value(struct str *to, const char *name, const char *text)
{
    AUTO_STR value = STR_MAX(256);

    str_add(&value, text);
    put_value(to, name, &value);
}

static void put_number_value(struct str *to, const char *name, int64_t number)
{
    AUTO_STR value = STR_MAX(32);

    str_addf(&value, "%lld", (long long)number);
    put_value(to, name, &value);
}

static enum err_code put_link_value(struct str *to, const char *name, const struct storage *s, const struct record *rec, const char *grant,
                                    struct err *err)
{
    struct grant grants[GRANTS_MAX];
    size_t count = bootstrap_grants(rec, grants);

    for (size_t i = 0; i < count; i++)
        if (str_is(grants[i].name, grant)) {
            AUTO_STR url = STR_MAX(LINK_MAX);
            enum err_code code = link_of(s, rec, &grants[i], &url, err);
            if (code == OK)
                put_value(to, name, &url);
            return code;
        }
    return err_set(err, ERR_INTERNAL, "no grant %s", grant);
}

static enum err_code put_values(struct str *to, const struct storage *s, const struct record *rec, struct err *err)
{
    AUTO_STR bell = STR_MAX(512), body = STR_MAX(1024);

    json_open(&bell, NULL, '{');
    json_put_int(&bell, "v", 1);
    json_put_text(&bell, "job_id", rec->job_id);
    json_put_int(&bell, "attempt", rec->state.attempt);
    json_close(&bell, '}');
    str_add(&body, "<QueueMessage><MessageText>");
    str_add_xml(&body, str_c(&bell));
    str_add(&body, "</MessageText></QueueMessage>");

    put_value(to, "bell_body", &body);
    put_text_value(to, "job_id", rec->job_id);
    put_text_value(to, "scripts_sha256", rec->scripts_sha256);
    put_number_value(to, "attempt", rec->state.attempt);
    put_number_value(to, "hard_stop_s", rec->state.hard_stop_s);
    enum err_code code = put_link_value(to, "claim_url", s, rec, "claim", err);
    if (code == OK)
        code = put_link_value(to, "scripts_url", s, rec, "scripts", err);
    if (code == OK)
        code = put_link_value(to, "report_url", s, rec, "out_report", err);
    if (code == OK)
        code = put_link_value(to, "bell_url", s, rec, "bell", err);
    return code;
}

/* The unit's only blank: how long it may run at most. */
static void put_unit(struct str *to, const struct str *unit, const struct record *rec)
{
    static const char BLANK[] = "@RUN_MAX_S@";
    AUTO_STR text = STR_MAX(32 * 1024);
    const char *from = str_c(unit), *at = strstr(from, BLANK);

    if (at != NULL) {
        str_add_n(&text, from, (size_t)(at - from));
        str_addf(&text, "%lld", (long long)(rec->state.hard_stop_s - rec->state.started_s));
        from = at + strlen(BLANK);
    }
    str_add(&text, from);
    put_file(to, "/etc/systemd/system/retrain.service", "0644", &text);
}

static void put_command(struct str *to, const char *const *words)
{
    json_open(to, NULL, '[');
    for (; *words != NULL; words++)
        json_put_text(to, NULL, *words);
    json_close(to, ']');
}

enum err_code bootstrap_custom_data(const struct controller *c, const struct record *rec, struct str *to, struct err *err)
{
    static const char *const reload[] = {"systemctl", "daemon-reload", NULL},
                             *const enable[] = {"systemctl", "enable", "retrain.service", NULL},
                             *const start[] = {"systemctl", "start", "--no-block", "retrain.service", NULL};
    AUTO_STR job = STR_MAX(CUSTOM_DATA_MAX), config = STR_MAX(CUSTOM_DATA_MAX);
    const struct storage storage = storage_at(&c->storage, c->vm_storage_host);
    enum err_code code = job_json(&storage, rec, &job, err);

    if (code != OK)
        return code;
    json_open(&config, NULL, '{');
    json_open(&config, "write_files", '[');
    put_file(&config, HOME "/job.json", "0600", &job);
    put_file(&config, HOME "/boot/start", "0700", &c->assets.start);
    put_file(&config, HOME "/boot/claim", "0700", &c->assets.claim);
    put_file(&config, HOME "/boot/fetch", "0700", &c->assets.fetch);
    put_file(&config, HOME "/boot/report", "0700", &c->assets.report);
    put_unit(&config, &c->assets.unit, rec);
    code = put_values(&config, &storage, rec, err);
    if (code != OK)
        return code;
    json_close(&config, ']');
    json_open(&config, "runcmd", '[');
    put_command(&config, reload);
    put_command(&config, enable);
    put_command(&config, start);
    json_close(&config, ']');
    json_close(&config, '}');
    str_add(to, "#cloud-config\n");
    str_add(to, str_c(&config));
    return str_check(to, "customData", err);
}
