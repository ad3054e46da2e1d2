#include "job/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/decode.h"
#include "job/rules.h"
#include "job/suggest.h"
#include "job/text.h"
#include "job/zipname.h"

#define FIELDS 8 /* of the colon form */
#define DEPTH_MAX 4
#define KEY_MAX 128

/* ---- JSON form ---- */
static const char *type_words(int types)
{
    return types == TYPE_NUMBER   ? "a number"
           : types == TYPE_TEXT   ? "a text"
           : types == TYPE_LIST   ? "a list of texts"
           : types == TYPE_OBJECT ? "an object"
           : types == TYPE_BOOL   ? "true or false"
                                  : "a number or a text";
}

static int type_of(const struct json *value)
{
    static const int type[] = {[JSON_NULL] = 0,           [JSON_BOOL] = TYPE_BOOL,  [JSON_NUMBER] = TYPE_NUMBER,
                               [JSON_STRING] = TYPE_TEXT, [JSON_ARRAY] = TYPE_LIST, [JSON_OBJECT] = TYPE_OBJECT};
    return type[json_type(value)];
}

static void add_scalar(struct str *to, const struct json *value, int types)
{
    int64_t whole = 0;
    double number = 0;
    if (json_text(value))
        str_add(to, json_text(value));
    else if (json_int(value, &whole))
        str_addf(to, "%" PRId64, whole);
    else if (json_type(value) == JSON_BOOL && types & TYPE_BOOL)
        str_add(to, json_true(value) ? "true" : "false");
    else if (json_number(value, &number))
        str_addf(to, "%.10g", number);
}

static bool take_classes(struct reading *r, const struct json *list)
{
    bool texts = true;
    r->items = 0;
    for (size_t i = 0; i < json_len(list); i++) {
        const char *name = json_text(json_at(list, i));
        texts = texts && name;
        if (name && r->items <= CLASSES_MAX)
            r->item[r->items] = name;
        r->items += name ? 1 : 0;
    }
    return texts;
}

/* Sizes or regions. */
static bool only_texts(struct value *v, const struct json *list)
{
    bool texts = true;
    v->list = list;
    for (size_t i = 0; i < json_len(list); i++)
        texts = texts && json_text(json_at(list, i));
    return texts;
}

static void take_value(struct reading *r, enum rule_id id, const char *key, const struct json *value, bool misspelt)
{
    const struct rule *rule = rules_field(id);
    struct value *v = &r->value[id];
    if (v->given && (misspelt || !v->silent)) {
        if (!misspelt)
            rules_fault(r, id, "E14", "`%s` and `%s` are the same field; send one of them", rule->name,
                        rule->alias ? rule->alias : rule->name);
        return;
    }
    str_clear(&v->text);
    v->list = NULL;
    v->given = true;
    v->silent = misspelt;
    v->key = str_is(key, rule->name) ? rule->name : rule->alias;
    bool right = (type_of(value) & rule->types) != 0;
    add_scalar(&v->text, value, rule->types);
    if (rule->types == TYPE_LIST && right)
        right = id == RULE_CLASSES ? take_classes(r, value) : only_texts(v, value);
    else if (id == RULE_CLASSES && v->text.p)
        (void)rules_split_classes(r, v->text.p);
    if (right || v->silent)
        return;
    rules_fault(r, id, "E14", "takes %s, not %s; allowed: %s", type_words(rule->types),
                type_of(value) == TYPE_LIST && rule->types == TYPE_LIST ? "a list with something else in it" : type_words(type_of(value)),
                rule->allowed);
    v->silent = true;
}

static void unknown_key(struct reading *r, const char *key, const struct json *value)
{
    if (r->m->faults >= FAULTS_MAX)
        return;
    char shown[ECHO_MAX], text[ECHO_MAX + 200];
    text_echo(key, shown, sizeof shown);
    int distance = 0;
    const char *nearest = rules_nearest(key, &distance);
    bool near = distance <= (int)strlen(nearest) / 2;
    if (!strchr(key, '.') && rules_reserved(key))
        snprintf(text, sizeof text, "key `%s` belongs to the Functions host and must not be in a message", shown);
    else
        snprintf(text, sizeof text, near ? "unknown key `%s`; did you mean `%s`?" : "unknown key `%s`; the nearest known key is `%s`",
                 shown, nearest);
    rules_add(r->m, "E14", shown, text);
    enum rule_id id = rules_find(nearest);
    if (distance <= MISSPELT && id != RULE_SPLIT && !rules_reserved(key))
        take_value(r, id, nearest, value, true);
}

static void take_members(struct reading *r, const struct json *object, const char *prefix)
{
    for (size_t i = 0; i < json_len(object); i++) {
        const struct json *value = json_at(object, i);
        char key[KEY_MAX], name[KEY_MAX / 2];
        str_copy(name, sizeof name, json_name(value));
        snprintf(key, sizeof key, "%s%s", prefix, name);
        enum rule_id id = !*prefix && strchr(key, '.') ? RULES : rules_find(key);
        if (id == RULES)
            unknown_key(r, key, value);
        else if (json_type(value) == JSON_NULL)
            continue; /* tools write null for a field that is not set */
        else if (id == RULE_SPLIT && json_type(value) == JSON_OBJECT)
            take_members(r, value, "split.");
        else
            take_value(r, id, key, value, false);
    }
}

/* The first good file name in quotes, from JSON that cannot be read. */
static void salvage_zip(struct message *m, const char *text)
{
    for (const char *end = text; (end = strcasestr(end, ".zip\"")) != NULL; end++) {
        const char *start = end;
        while (start > text && start[-1] != '"')
            start--;
        char name[ZIP_MAX];
        snprintf(name, sizeof name, "%.*s", (int)(end - start) + 4, start);
        if ((size_t)(end - start) + 4 < sizeof name && zipname_valid(name)) {
            str_copy(m->corrected_zip, sizeof m->corrected_zip, name);
            return;
        }
    }
}

static void read_json(struct reading *r, const struct str *text)
{
    AUTO_JSON root = NULL;
    struct err err = {0};
    enum err_code code = json_parse(str_c(text), text->len, DEPTH_MAX, &root, &err);
    r->failed = r->failed || code == ERR_MEMORY;
    if (code != OK) {
        rules_fault(r, RULES, "E14", "the message cannot be read: %s; allowed: one JSON object, each key once, at most %d deep", err.msg,
                    DEPTH_MAX);
        salvage_zip(r->m, str_c(text));
        r->value[RULE_ZIP].silent = true;
        return;
    }
    take_members(r, root, "");
    rules_run(r);
}

/* ---- colon form ---- */
static char *find_nocase(char *text, const char *what)
{
    return strcasestr(text, what);
}

/* The end of the first field: its name may hold a full-width colon, a Windows path or a web address. *wide: a full-width colon ends it. */
static char *zip_end(char *text, bool *wide)
{
    *wide = false;
    bool drive = ((*text | 0x20) >= 'a' && (*text | 0x20) <= 'z') && text[1] == ':' && text[2] && strchr("\\/", text[2]);
    char *web = strstr(text, "://"), *p = text;
    if (web && web < text + strcspn(text, ":") + 1) {
        char *zip = strchr(web, '?') ? NULL : find_nocase(web, ".zip");
        return zip ? zip + strcspn(zip, ":") : text + strlen(text);
    }
    char *next = find_nocase(text, ".zip"); /* the next ".zip": then the name is still to end, if that lies before the next colon */
    for (p += drive ? 2 : 0; *p && *p != ':'; p++) {
        if (!str_starts(p, "："))
            continue;
        if (next && next < p)
            next = find_nocase(p, ".zip");
        bool ended = p - text >= 4 && strncasecmp(p - 4, ".zip", 4) == 0;
        if (!ended && next && next < p + strcspn(p, ":"))
            continue;
        *wide = true;
        return p;
    }
    return p;
}

static void take_field(struct reading *r, int position, const char *text)
{
    enum rule_id id = 0;
    while (rules_field(id)->position != position)
        id++;
    struct value *v = &r->value[id];
    v->key = rules_field(id)->alias ? rules_field(id)->alias : rules_field(id)->name;
    str_add(&v->text, text);
    v->given = v->text.p && *text_trim(v->text.p);
    if (id == RULE_CLASSES && v->given && rules_split_classes(r, v->text.p))
        rules_note(r, "full-width `，` was read as `,`");
}

/* A control character inside is one fault of the whole message; for what follows, the first line counts. */
static void blank_controls(struct reading *r, char *text)
{
    uint32_t c = 0;
    size_t place = 1;
    const char *p = text;
    for (size_t n = 0; (n = text_next(p, &c)) > 0 && !text_is_control(c); p += n)
        place++;
    if (c == 0)
        return;
    rules_fault(r, RULES, "E13", "character %zu is a %s; one message is one line, without control characters", place,
                c == '\n' || c == '\r' ? "line break"
                : c == '\t'            ? "tab"
                                       : "control character");
    text[strcspn(text, "\r\n")] = '\0';
    text_blank_controls(text);
}

static void read_colon(struct reading *r, char *text)
{
    blank_controls(r, text);
    text = text_trim(text);
    bool wide = false, folded = false;
    int count = 0;
    char *field[FIELDS] = {0};
    for (char *end = zip_end(text, &wide);; end = text + strcspn(text, ":")) {
        for (char *p = text; count > 0 && p < end; p++)
            if (str_starts(p, "：")) {
                end = p;
                wide = true;
            }
        bool last = *end == '\0';
        *end = '\0';
        if (count < FIELDS)
            field[count] = text;
        count++;
        folded = folded || wide;
        text = end + (wide ? strlen("：") : 1);
        wide = false;
        if (last)
            break;
    }
    if (folded)
        rules_note(r, "full-width `：` was read as `:`");
    if (count > FIELDS)
        rules_fault(r, RULES, "E12", "%d fields, at most %d; a class name with `:`? use the JSON form", count, FIELDS);
    for (int i = 0; i < (count > FIELDS ? 3 : count); i++) /* what stands behind an extra colon is in the wrong place */
        take_field(r, i + 1, field[i]);
    r->value[RULE_ZIP].key = rules_field(RULE_ZIP)->alias;
    rules_run(r);
}

/* ---- both ---- */
static void not_understood(struct message *m, enum decoded form, const char *text, size_t len)
{
    char sentence[400];
    const char *code = form == DECODED_LONG ? "E24" : "E01";
    if (form == DECODED_EMPTY)
        snprintf(sentence, sizeof sentence, "the message is empty; send e.g. `%s`", ZIP_EXAMPLE);
    else if (form == DECODED_LONG)
        snprintf(sentence, sizeof sentence, "the message is too long; allowed: at most %d bytes", MESSAGE_BYTES_MAX);
    else if (form == DECODED_NOT_TEXT)
        snprintf(sentence, sizeof sentence, "the message is not text in UTF-8 (%zu bytes); send e.g. `%s`", len, ZIP_EXAMPLE);
    else if (str_is_nocase(text, "done"))
        snprintf(sentence, sizeof sentence, "`done` is for queue `delete-resources`; here send e.g. `%s`", ZIP_EXAMPLE);
    else
        snprintf(sentence, sizeof sentence, "`%s` is not understood: neither a file name, nor fields with `:`, nor JSON; send e.g. `%s`",
                 m->shown, ZIP_EXAMPLE);
    rules_add(m, code, "", sentence);
    str_copy(m->corrected, sizeof m->corrected, ZIP_EXAMPLE);
}

static bool empty(const struct reading *r, enum rule_id id)
{
    const struct value *v = &r->value[id];
    return !v->silent && (!v->text.p || !*text_trim(v->text.p));
}

/* What an action about a job must name. */
static void demand(struct reading *r)
{
    enum message_action a = r->m->action;
    bool about_job = a == ACTION_CANCEL || a == ACTION_EXTEND || a == ACTION_RETRY || a == ACTION_PUBLISH;
    if (about_job && empty(r, RULE_JOB_ID))
        rules_fault(r, RULE_JOB_ID, "E10", "is missing: name the job to %s (action status tells which there are)", message_action_name(a));
    if (a == ACTION_EXTEND && empty(r, RULE_MAX_HOURS))
        rules_fault(r, RULE_MAX_HOURS, "E18", "is missing: how many hours the job may take, all in all; allowed: %s",
                    rules_field(RULE_MAX_HOURS)->allowed);
}

static void finish(struct reading *r, const char *message_id)
{
    struct message *m = r->m;
    struct request *q = &m->request;
    const struct value *zip = &r->value[RULE_ZIP];
    if (m->action == ACTION_TRAIN && !q->zip[0] && !m->corrected_zip[0] && !zip->silent)
        rules_fault(r, RULE_ZIP, "E02", "the file name is missing; send e.g. `%s`", ZIP_EXAMPLE);
    demand(r);
    message_default_job_id(q->zip, message_id, m->default_job_id);
    if (q->job_id_given)
        str_copy(m->corrected_job_id, sizeof m->corrected_job_id, q->job_name);
    if (m->faults > 0 || !q->job_id_given) {
        q->job_id_given = false;
        str_copy(q->job_id, sizeof q->job_id, m->default_job_id);
        str_copy(q->job_name, sizeof q->job_name, m->default_job_id);
    }
    if (m->faults > 0 && !m->corrected[0])
        suggest_line(m);
}

/* `ネジ：左.zip` may be two fields typed with a Japanese keyboard, or the name of one file: only a look at the share can tell. */
static void keep_literal(struct message *m, const struct str *text)
{
    if (text->len < sizeof m->literal && (strstr(text->p, "：") || strstr(text->p, "，")) && !strchr(text->p, ':') &&
        str_ends_nocase(text->p, ".zip"))
        str_copy(m->literal, sizeof m->literal, text->p);
}

enum err_code message_read(const char *bytes, size_t len, const char *message_id, const struct message_defaults *defaults,
                           struct message *m, struct err *err)
{
    memset(m, 0, sizeof *m);
    m->defaults = defaults;
    struct reading r = {.m = m, .defaults = defaults};
    for (size_t i = 0; i < RULES; i++)
        r.value[i].text = STR_MAX(MESSAGE_BYTES_MAX);
    AUTO_STR text = STR_MAX(2 * MESSAGE_BYTES_MAX);
    enum decoded form = decode_message(bytes, len, &text);
    text_echo(text.p ? text.p : "", m->shown, sizeof m->shown);
    r.colon = form == DECODED_COLON;
    rules_defaults(&r);
    if (text.failed) {
        r.failed = true;
    } else if (form == DECODED_JSON || form == DECODED_COLON) {
        m->action = ACTION_TRAIN;
        if (r.colon) {
            keep_literal(m, &text);
            read_colon(&r, text.p);
        } else {
            read_json(&r, &text);
        }
    } else {
        not_understood(m, form, text.p, len);
    }
    finish(&r, message_id ? message_id : "");
    for (size_t i = 0; i < RULES; i++) {
        r.failed = r.failed || r.value[i].text.failed;
        str_done(&r.value[i].text);
    }
    return r.failed ? err_set(err, ERR_MEMORY, "no memory to read a message") : OK;
}

void message_done(struct message *m)
{
    if (m)
        request_done(&m->request);
}
