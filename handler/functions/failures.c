#include "functions/failures.h"

#include "base/crypto.h"

void failures_init(struct failures *f)
{
    *f = (struct failures){.next = 0};
    pthread_mutex_init(&f->lock, NULL);
}

/* The place of this text, or FAILURES_KEPT. With the lock held. */
static size_t place_of(const struct failures *f, const char *sha256)
{
    size_t i = 0;

    while (i < FAILURES_KEPT && !str_is(f->last[i].sha256, sha256))
        i++;
    return i;
}

static bool name_of(const struct str *text, char sha256[SHA256_HEX])
{
    return sha256_of(text->p != NULL ? text->p : "", text->len, sha256);
}

void failures_note(struct failures *f, const struct str *text, const struct err *err)
{
    char sha256[SHA256_HEX];

    if (!name_of(text, sha256))
        return;
    pthread_mutex_lock(&f->lock);
    size_t place = place_of(f, sha256);
    if (place == FAILURES_KEPT) {
        place = f->next;
        f->next = (f->next + 1) % FAILURES_KEPT;
    }
    str_copy(f->last[place].sha256, sizeof f->last[place].sha256, sha256);
    str_copy(f->last[place].why, sizeof f->last[place].why, err->msg[0] != '\0' ? err->msg : err_name(err->code));
    pthread_mutex_unlock(&f->lock);
}

bool failures_find(struct failures *f, const struct str *text, char why[WHY_MAX])
{
    char sha256[SHA256_HEX];

    if (!name_of(text, sha256))
        return false;
    pthread_mutex_lock(&f->lock);
    size_t place = place_of(f, sha256);
    if (place < FAILURES_KEPT)
        str_copy(why, WHY_MAX, f->last[place].why);
    pthread_mutex_unlock(&f->lock);
    return place < FAILURES_KEPT;
}
