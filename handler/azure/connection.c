/* storage_parse: the connection string, in every form that people paste (facts: storage, section 1). */
#include "azure/storage.h"

#include <string.h>

#include "base/crypto.h"

#define CALL_MS 30000
#define AZURE_KEY_BYTES 64
/* The emulator's account. Public, the same on every machine; kept in two pieces because secret scanners know it. */
#define DEV_ACCOUNT "devstoreaccount1"
#define DEV_KEY                                                                                                                            \
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsu"                                                                                     \
    "Fq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

enum field { ACCOUNT, KEY, PROTOCOL, SUFFIX, BLOB, QUEUE, FILES, SIGNATURE, DEVELOPMENT, DEVELOPMENT_PROXY, FIELDS };
static const char *const field_names[FIELDS] = {
    "AccountName",   "AccountKey",   "DefaultEndpointsProtocol", "EndpointSuffix",        "BlobEndpoint",
    "QueueEndpoint", "FileEndpoint", "SharedAccessSignature",    "UseDevelopmentStorage", "DevelopmentStorageProxyUri"};

struct fields {
    struct str value[FIELDS];
    bool given[FIELDS];
};

static void fields_done(struct fields *f)
{
    for (int i = 0; i < FIELDS; i++)
        str_done(&f->value[i]);
}

/* Blanks, line ends and one pair of quotes around a text: people paste from .env files. */
static void trim(const char **text, size_t *len)
{
    for (bool again = true; again;) {
        again = false;
        while (*len && strchr(" \t\r\n", (*text)[*len - 1]))
            (*len)--;
        while (*len && strchr(" \t\r\n", (*text)[0])) {
            (*text)++;
            (*len)--;
        }
        if (*len >= 2 && ((*text)[0] == '"' || (*text)[0] == '\'') && (*text)[*len - 1] == (*text)[0]) {
            (*text)++;
            *len -= 2;
            again = true;
        }
    }
}

static enum err_code read_piece(struct fields *f, const char *piece, size_t len, struct err *err)
{
    char name[48] = "";
    trim(&piece, &len);
    if (len == 0)
        return OK;
    const char *equals = memchr(piece, '=', len); /* the first one: keys end in == */
    if (!equals)
        return err_set(err, ERR_INPUT, "the connection string has a part without '='");
    const char *key = piece, *value = equals + 1;
    size_t key_len = (size_t)(equals - piece), value_len = len - key_len - 1;
    trim(&key, &key_len);
    trim(&value, &value_len);
    if (key_len >= sizeof name)
        return OK; /* no name that is known */
    memcpy(name, key, key_len);
    for (int i = 0; i < FIELDS; i++) {
        if (!str_is_nocase(name, field_names[i]))
            continue;
        if (f->given[i])
            return err_set(err, ERR_INPUT, "the connection string has %s twice", field_names[i]);
        f->given[i] = true;
        str_add_n(&f->value[i], value, value_len);
        return f->value[i].failed ? err_set(err, ERR_INPUT, "the connection string's %s is too long", field_names[i]) : OK;
    }
    return OK;
}

static enum err_code read_fields(struct fields *f, const char *text, struct err *err)
{
    size_t len = strlen(text);
    trim(&text, &len);
    if (len == 0)
        return err_set(err, ERR_INPUT, "the connection string is empty");
    for (size_t at = 0; at <= len;) {
        const char *end = memchr(text + at, ';', len - at);
        size_t piece = end ? (size_t)(end - text) - at : len - at;
        enum err_code code = read_piece(f, text + at, piece, err);
        if (code)
            return code;
        at += piece + 1;
    }
    return OK;
}

static enum err_code set_key(struct storage *s, const char *base64, bool on_azure, struct err *err)
{
    AUTO_STR bytes = STR_MAX(1024);
    if (base64_decode(&bytes, base64, strlen(base64), NULL) || bytes.len == 0)
        return err_set(err, ERR_INPUT, "the connection string's AccountKey is not base64: was it cut when it was copied?");
    if (on_azure && bytes.len != AZURE_KEY_BYTES)
        return err_set(err, ERR_INPUT, "the connection string's AccountKey has %zu bytes instead of %d: was it cut when it was copied?",
                       bytes.len, AZURE_KEY_BYTES);
    return secret_set(&s->key, bytes.p, bytes.len, err);
}

static enum err_code set_endpoint(char *to, size_t size, const char *url, const char *name, struct err *err)
{
    size_t len = strlen(url);
    while (len && url[len - 1] == '/')
        len--;
    if (len >= size)
        return err_set(err, ERR_INPUT, "the connection string's %s is too long", name);
    if (strpbrk(url, "?#@\\ \t\"<>") || (!str_starts(url, "https://") && !str_starts(url, "http://")))
        return err_set(err, ERR_INPUT, "the connection string's %s is not an address like https://host", name);
    if (!http_url_safe(url))
        return err_set(err, ERR_INPUT, "the connection string's %s is http: only https is used, but for this machine itself", name);
    memcpy(to, url, len);
    to[len] = '\0';
    return len > strlen("https://") ? OK : err_set(err, ERR_INPUT, "the connection string's %s has no host", name);
}

/* Emulator: fixed account, key and ports; DevelopmentStorageProxyUri gives scheme and host, as in Microsoft's .NET library. */
static enum err_code set_development(struct storage *s, const struct fields *f, struct err *err)
{
    static const char *const ports[] = {"10000", "10001"};
    char *const to[] = {s->blob, s->queue};
    const char *proxy = f->given[DEVELOPMENT_PROXY] ? str_c(&f->value[DEVELOPMENT_PROXY]) : "http://127.0.0.1";
    const char *host = strstr(proxy, "://");
    size_t len = host ? (size_t)(host - proxy) + 3 : 0;
    len += strcspn(proxy + len, ":/");
    if (!str_is_nocase(str_c(&f->value[DEVELOPMENT]), "true"))
        return err_set(err, ERR_INPUT, "the connection string's UseDevelopmentStorage can only be true");
    str_copy(s->account, sizeof s->account, DEV_ACCOUNT);
    for (int i = 0; i < 2; i++) {
        AUTO_STR url = STR_MAX(sizeof s->blob);
        str_add_n(&url, proxy, len);
        str_addf(&url, ":%s/" DEV_ACCOUNT, ports[i]);
        enum err_code code = set_endpoint(to[i], sizeof s->blob, url.failed ? "" : str_c(&url), field_names[DEVELOPMENT_PROXY], err);
        if (code)
            return code;
    }
    return set_key(s, DEV_KEY, false, err);
}

static bool is_account(const char *name)
{
    for (const char *p = name; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '-'))
            return false;
    return name[0] != '\0';
}

static enum err_code set_endpoints(struct storage *s, const struct fields *f, bool *on_azure, struct err *err)
{
    static const char *const services[] = {"blob", "queue", "file"};
    static const enum field named[] = {BLOB, QUEUE, FILES};
    char *const to[] = {s->blob, s->queue, s->file};
    const char *protocol = f->given[PROTOCOL] ? str_c(&f->value[PROTOCOL]) : "https";
    const char *suffix = f->given[SUFFIX] ? str_c(&f->value[SUFFIX]) : "core.windows.net";
    /* The suffix makes what is not given; but explicit endpoints with http, or alone, are an emulator's, which may have no Files. */
    bool explicit_only = (f->given[BLOB] || f->given[QUEUE] || f->given[FILES]) && !f->given[SUFFIX] &&
                         (!f->given[PROTOCOL] || str_is_nocase(protocol, "http"));
    if (!str_is_nocase(protocol, "https") && !str_is_nocase(protocol, "http"))
        return err_set(err, ERR_INPUT, "the connection string's DefaultEndpointsProtocol can only be https or http");
    for (int i = 0; i < 3; i++) {
        AUTO_STR url = STR_MAX(sizeof s->blob);
        if (f->given[named[i]])
            str_add(&url, str_c(&f->value[named[i]]));
        else if (explicit_only)
            continue;
        else
            str_addf(&url, "%s://%s.%s.%s", str_is_nocase(protocol, "http") ? "http" : "https", s->account, services[i], suffix);
        *on_azure = *on_azure || !f->given[named[i]];
        const char *name = f->given[named[i]] ? field_names[named[i]] : f->given[SUFFIX] ? "EndpointSuffix" : "DefaultEndpointsProtocol";
        if (url.failed)
            return err_set(err, ERR_INPUT, "the connection string's %s is too long", name);
        enum err_code code = set_endpoint(to[i], sizeof s->blob, str_c(&url), name, err);
        if (code)
            return code;
    }
    return OK;
}

static enum err_code set_account(struct storage *s, const struct fields *f, struct err *err)
{
    bool on_azure = false;
    if (f->given[SIGNATURE])
        return err_set(
            err, ERR_INPUT,
            "the connection string has a SharedAccessSignature: one with AccountName and AccountKey is needed, because grants for "
            "the training machine are signed with the key");
    for (enum field i = ACCOUNT; i <= KEY; i++)
        if (!f->given[i] || f->value[i].len == 0)
            return err_set(err, ERR_INPUT, "the connection string has no %s", field_names[i]);
    if (f->value[ACCOUNT].len >= sizeof s->account || !is_account(str_c(&f->value[ACCOUNT])))
        return err_set(err, ERR_INPUT, "the connection string's AccountName is not the name of a storage account");
    str_copy(s->account, sizeof s->account, str_c(&f->value[ACCOUNT]));
    enum err_code code = set_endpoints(s, f, &on_azure, err);
    return code ? code : set_key(s, str_c(&f->value[KEY]), on_azure, err);
}

enum err_code storage_parse(const char *connection_string, struct storage *s, struct err *err)
{
    __attribute__((cleanup(fields_done))) struct fields f = {0};
    *s = (struct storage){.call_ms = CALL_MS};
    for (int i = 0; i < FIELDS; i++)
        f.value[i].max = 2048;
    enum err_code code = read_fields(&f, connection_string ? connection_string : "", err);
    if (!code)
        code = f.given[DEVELOPMENT] ? set_development(s, &f, err) : set_account(s, &f, err);
    if (code)
        storage_done(s);
    return code;
}
