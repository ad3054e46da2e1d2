#include "azure/identity.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define EARLY_S 300 /* refreshed so long before it expires */
#define AGAIN_S 30  /* after a failed refresh the living token is used for so long before the next try */

struct identity {
    struct identity_settings settings;
    const struct http *http;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct secret token; /* from here on: guarded by lock */
    int64_t expires_s, next_refresh_s;
    bool refreshing;
    unsigned long rounds; /* refreshes that are over; tells a waiter that one ended while it waited */
    struct err last;      /* of the last round; code OK when it succeeded */
};

/* The copy has secrets of its own. */
static enum err_code copy_settings(const struct identity_settings *from, struct identity_settings *to, struct err *err)
{
    *to = *from;
    to->client_secret = to->header = (struct secret){0};
    enum err_code code = OK;
    if (secret_len(&from->client_secret))
        code = secret_set(&to->client_secret, secret_reveal(&from->client_secret), secret_len(&from->client_secret), err);
    if (code == OK && secret_len(&from->header))
        code = secret_set(&to->header, secret_reveal(&from->header), secret_len(&from->header), err);
    return code;
}

enum err_code identity_open(const struct identity_settings *settings, const struct http *http, struct identity **ret, struct err *err)
{
    enum err_code code = sign_in_check(settings, err);
    if (code)
        return code;
    struct identity *id = calloc(1, sizeof *id);
    if (!id)
        return err_set(err, ERR_MEMORY, "no memory for the identity");
    id->http = http;
    (void)pthread_mutex_init(&id->lock, NULL);
    (void)pthread_cond_init(&id->changed, NULL);
    code = copy_settings(settings, &id->settings, err);
    if (code) {
        identity_close(id);
        return code;
    }
    *ret = id;
    return OK;
}

void identity_close(struct identity *id)
{
    if (!id)
        return;
    secret_done(&id->settings.client_secret);
    secret_done(&id->settings.header);
    secret_done(&id->token);
    (void)pthread_cond_destroy(&id->changed);
    (void)pthread_mutex_destroy(&id->lock);
    free(id);
}

/* Called with the lock held, which is given up while the request runs. */
static void refresh(struct identity *id, int64_t deadline_ms)
{
    AUTO_SECRET token = {0};
    int64_t lifetime_s = 0;
    struct err err = {0};
    id->refreshing = true;
    (void)pthread_mutex_unlock(&id->lock);
    /* The life of a token is counted from before the question: it is never thought to live too long. */
    int64_t asked_s = clock_now_s(id->http->clock);
    enum err_code code = sign_in_token(&id->settings, id->http, deadline_ms, &token, &lifetime_s, &err);
    (void)pthread_mutex_lock(&id->lock);
    if (code == OK) {
        secret_done(&id->token);
        id->token = token;
        token = (struct secret){0};
        id->expires_s = asked_s + lifetime_s;
        id->next_refresh_s = lifetime_s > 2 * EARLY_S ? id->expires_s - EARLY_S : asked_s + lifetime_s / 2;
        id->last = (struct err){0};
    } else {
        id->next_refresh_s = asked_s + AGAIN_S;
        id->last = err;
    }
    id->refreshing = false;
    id->rounds++;
    (void)pthread_cond_broadcast(&id->changed);
}

/* With the lock held: makes sure of a living token, by waiting or asking when there is none. */
static enum err_code ensure_token(struct identity *id, int64_t now_s, int64_t deadline_ms, struct err *err)
{
    bool living = secret_len(&id->token) > 0 && now_s < id->expires_s;
    if (living && (now_s < id->next_refresh_s || id->refreshing))
        return OK;
    if (id->refreshing) {
        unsigned long round = id->rounds;
        while (id->rounds == round) /* ends: the refresher has a deadline of its own */
            (void)pthread_cond_wait(&id->changed, &id->lock);
    } else {
        refresh(id, deadline_ms);
    }
    now_s = clock_now_s(id->http->clock);
    if (secret_len(&id->token) > 0 && now_s < id->expires_s)
        return OK;
    if (err)
        *err = id->last;
    if (id->last.code)
        return id->last.code;
    return err_set(err, ERR_UNREACHABLE, "the token ran out while it was waited for");
}

static void bearer(const struct identity *id, struct str *to)
{
    str_add(to, "Bearer ");
    str_add(to, secret_reveal(&id->token));
}

static enum err_code authorize(void *ctx, struct http_request *req, int64_t now_s, struct err *err)
{
    struct identity *id = ctx;
    AUTO_STR value = STR_MAX(TOKEN_MAX + 16);
    (void)pthread_mutex_lock(&id->lock);
    enum err_code code = ensure_token(id, now_s, req->deadline_ms, err);
    if (!code)
        bearer(id, &value);
    (void)pthread_mutex_unlock(&id->lock);
    if (!code)
        http_set(&req->headers, "Authorization", str_c(&value));
    return code;
}

/* Drops the token that this request carried, if it is still the cached one; another thread may have a newer one by now. */
static bool renew(void *ctx, const struct http_request *req)
{
    struct identity *id = ctx;
    AUTO_STR value = STR_MAX(TOKEN_MAX + 16);
    (void)pthread_mutex_lock(&id->lock);
    bearer(id, &value);
    if (str_is(str_c(&value), http_get(&req->headers, "Authorization")))
        secret_done(&id->token);
    (void)pthread_mutex_unlock(&id->lock);
    return true;
}

enum err_code identity_last(struct identity *id, struct err *err)
{
    (void)pthread_mutex_lock(&id->lock);
    *err = id->last;
    (void)pthread_mutex_unlock(&id->lock);
    return err->code;
}

struct http_authorizer identity_authorizer(struct identity *id)
{
    return (struct http_authorizer){.authorize = authorize, .renew = renew, .ctx = id};
}

enum err_code identity_try(struct identity *id, int64_t deadline_ms, struct err *err)
{
    (void)pthread_mutex_lock(&id->lock);
    enum err_code code = ensure_token(id, clock_now_s(id->http->clock), deadline_ms, err);
    (void)pthread_mutex_unlock(&id->lock);
    return code;
}
