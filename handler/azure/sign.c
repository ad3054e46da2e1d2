#include "azure/sign.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"

#define QUERY_MAX 24
#define STRING_MAX (64 * 1024)

/* The part of an address behind scheme and host. */
static const char *path_of(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    return host + strcspn(host, "/?");
}

/* ---- Shared Key ---- */

static int by_name(const void *a, const void *b)
{
    const struct http_header *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* "x-ms-name:value\n", names in lower case and sorted, blanks around values cut. */
static void add_ms_headers(const struct http_headers *headers, struct str *to)
{
    struct http_header *copies = calloc(HTTP_HEADERS_MAX, sizeof *copies); /* names only; values stay where they are */
    const struct http_header *sorted[HTTP_HEADERS_MAX];
    size_t count = 0;
    if (!copies) {
        to->failed = true;
        return;
    }
    for (size_t i = 0; i < headers->count; i++) {
        copies[count] = headers->item[i];
        str_lower(copies[count].name);
        if (str_starts(copies[count].name, "x-ms-")) {
            sorted[count] = &copies[count];
            count++;
        }
    }
    qsort(sorted, count, sizeof sorted[0], by_name);
    for (size_t i = 0; i < count; i++) {
        const char *value = str_c(&sorted[i]->value);
        size_t len;
        value = value ? value + strspn(value, " \t") : "";
        len = strlen(value);
        while (len && strchr(" \t", value[len - 1]))
            len--;
        str_addf(to, "%s:", sorted[i]->name);
        str_add_n(to, value, len);
        str_add(to, "\n");
    }
    free(copies);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes %XX; anything else stays as it is. A %00 has no place in a name or value: the text would end there. */
static void add_decoded(struct str *to, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%' && i + 2 < len && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
            c = (char)(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
            i += 2;
            to->failed = to->failed || c == '\0';
        }
        str_add_n(to, &c, 1);
    }
}

struct parameter {
    struct str name, value;
};

static int by_parameter(const void *a, const void *b)
{
    const struct parameter *x = a, *y = b;
    int order = strcmp(x->name.p ? x->name.p : "", y->name.p ? y->name.p : "");
    return order ? order : strcmp(x->value.p ? x->value.p : "", y->value.p ? y->value.p : "");
}

/* "\nname:value" for each parameter, decoded and sorted; the values of one name are joined. */
static void add_query(const char *query, struct str *to)
{
    struct parameter list[QUERY_MAX];
    size_t count = 0;
    while (*query) {
        size_t len = strcspn(query, "&"), name = strcspn(query, "=&");
        if (len && count == QUERY_MAX) {
            to->failed = true;
            break;
        }
        if (len) {
            struct parameter *p = &list[count++];
            *p = (struct parameter){STR_MAX(256), STR_MAX(8192)};
            add_decoded(&p->name, query, name);
            if (name < len)
                add_decoded(&p->value, query + name + 1, len - name - 1);
            str_lower(p->name.p);
            to->failed = to->failed || p->name.failed || p->value.failed;
        }
        query += len + (query[len] ? 1 : 0);
    }
    qsort(list, count, sizeof list[0], by_parameter);
    for (size_t i = 0; i < count; i++) {
        bool same = i > 0 && str_is(list[i].name.p, list[i - 1].name.p);
        if (same)
            str_add(to, ",");
        else
            str_addf(to, "\n%s:", list[i].name.p ? list[i].name.p : "");
        str_add(to, list[i].value.p ? list[i].value.p : "");
    }
    for (size_t i = 0; i < count; i++) {
        str_done(&list[i].name);
        str_done(&list[i].value);
    }
}

void sign_string(const char *account, const struct http_request *req, struct str *to)
{
    static const char *const before[] = {"Content-Encoding", "Content-Language"};
    static const char *const after[] = {"Content-MD5",   "Content-Type",        "Date", "If-Modified-Since", "If-Match",
                                        "If-None-Match", "If-Unmodified-Since", "Range"};
    const char *url = str_c(&req->url);
    str_addf(to, "%s\n", req->method);
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        const char *value = http_get(&req->headers, before[i]);
        str_addf(to, "%s\n", value ? value : "");
    }
    if (req->body_len) /* empty, not "0", though "0" goes over the wire */
        str_addf(to, "%zu", req->body_len);
    str_add(to, "\n");
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
        const char *value = http_get(&req->headers, after[i]);
        str_addf(to, "%s\n", value ? value : "");
    }
    add_ms_headers(&req->headers, to);
    if (!url) {
        to->failed = true;
        return;
    }
    const char *path = path_of(url);
    size_t len = strcspn(path, "?#");
    str_addf(to, "/%s", account);
    if (len)
        str_add_n(to, path, len); /* escaped, as it is sent */
    else
        str_add(to, "/");
    if (path[len] == '?')
        add_query(path + len + 1, to);
}

enum err_code sign_authorize(void *storage, struct http_request *req, int64_t now_s, struct err *err)
{
    const struct storage *s = storage;
    char date[DATE_HTTP];
    AUTO_STR text = STR_MAX(STRING_MAX);
    AUTO_STR value = STR_MAX(256);
    date_http(now_s, date);
    http_set(&req->headers, "x-ms-date", date);
    sign_string(s->account, req, &text);
    str_addf(&value, "SharedKey %s:", s->account);
    enum err_code code = crypto_hmac(secret_reveal(&s->key), secret_len(&s->key), str_c(&text), &value, err);
    if (!code)
        http_set(&req->headers, "Authorization", str_c(&value));
    return code;
}

/* ---- service SAS ---- */

struct grant {
    const char *service; /* "blob" */
    const char *endpoint;
    const char *container; /* or share, or queue */
    const char *object;    /* "" for a queue */
    const char *resource;  /* sr, "" for a queue, which has none */
    const char *url_end;   /* behind the names */
    int trailing;          /* empty fields at the end of the string to sign */
    const char *permissions;
    int64_t start_s, expiry_s;
};

/* A line end in a name would move every later field of the string to sign. */
static bool is_name(const char *name)
{
    if (!name || !name[0])
        return false;
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p < ' ')
            return false;
    return true;
}

static enum err_code add_grant(const struct storage *s, const struct grant *g, struct str *url, struct err *err)
{
    char start[DATE_ISO], expiry[DATE_ISO];
    const char *protocols = str_starts(g->endpoint, "https:") ? "https" : "https,http";
    AUTO_STR text = STR_MAX(16384);
    AUTO_STR signature = STR_MAX(64);
    if (!is_name(g->container) || (g->object && !is_name(g->object)))
        return err_set(err, ERR_INPUT, "a grant needs a name");
    if (!g->endpoint[0])
        return err_set(err, ERR_INPUT, "the storage connection string has no %s endpoint", g->service);
    date_iso(g->start_s, start);
    date_iso(g->expiry_s, expiry);
    str_addf(&text, "%s\n%s\n%s\n/%s/%s/%s%s%s\n\n\n%s\n%s", g->permissions, start, expiry, g->service, s->account, g->container,
             g->object ? "/" : "", g->object ? g->object : "", protocols, STORAGE_VERSION);
    if (str_is(g->service, "blob")) /* only blobs sign sr */
        str_addf(&text, "\n%s", g->resource);
    for (int i = 0; i < g->trailing; i++)
        str_add(&text, "\n");
    enum err_code code = crypto_hmac(secret_reveal(&s->key), secret_len(&s->key), str_c(&text), &signature, err);
    if (code)
        return code;
    str_addf(url, "%s/", g->endpoint);
    str_add_percent(url, g->container);
    if (g->object) {
        str_add(url, "/");
        str_add_path(url, g->object);
    }
    str_addf(url, "%s?sv=%s", g->url_end, STORAGE_VERSION);
    if (g->resource[0])
        str_addf(url, "&sr=%s", g->resource);
    str_addf(url, "&sp=%s&st=", g->permissions);
    str_add_percent(url, start);
    str_add(url, "&se=");
    str_add_percent(url, expiry);
    str_add(url, "&spr=");
    str_add_percent(url, protocols);
    str_add(url, "&sig=");
    str_add_percent(url, str_c(&signature));
    return str_check(url, "an address with a grant", err);
}

enum err_code sign_blob_url(const struct storage *s, const char *container, const char *blob, const char *permissions, int64_t start_s,
                            int64_t expiry_s, struct str *url, struct err *err)
{
    /* snapshot, encryption scope, and the five response headers stay empty */
    const struct grant g = {"blob", s->blob, container, blob ? blob : "", "b", "", 7, permissions, start_s, expiry_s};
    return add_grant(s, &g, url, err);
}

enum err_code sign_file_url(const struct storage *s, const char *share, const char *path, const char *permissions, int64_t start_s,
                            int64_t expiry_s, struct str *url, struct err *err)
{
    const struct grant g = {"file", s->file, share, path ? path : "", "f", "", 5, permissions, start_s, expiry_s};
    return add_grant(s, &g, url, err);
}

enum err_code sign_queue_url(const struct storage *s, const char *queue, const char *permissions, int64_t start_s, int64_t expiry_s,
                             struct str *url, struct err *err)
{
    const struct grant g = {"queue", s->queue, queue, NULL, "", "/messages", 0, permissions, start_s, expiry_s};
    return add_grant(s, &g, url, err);
}
