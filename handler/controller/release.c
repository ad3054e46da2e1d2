#include "controller/release.h"

#include "controller/ledger.h"
#include "controller/pointer.h"
#include "controller/trained.h"

#define TRIES 8 /* each conflict means that somebody else changed the record */

static enum err_code check_kept(const struct errand *e, const struct record *rec, struct str *why, struct err *err)
{
    AUTO_RECORD kept = {0};
    enum err_code code = ledger_load(&e->c->storage, rec->maker, &kept, err);

    if (code == OK && kept.published_version > 0 && !str_is(kept.published_by, rec->job_id))
        str_addf(why, "it was published already, as version %lld by job `%s`", (long long)kept.published_version, kept.published_by);
    return code;
}

static enum err_code check_version(const struct errand *e, const struct record *rec, struct str *why, struct err *err)
{
    struct pointer now;
    enum err_code code = pointer_read(&e->c->storage, rec->request.line, &now, err);

    if (code == OK && (now.version == rec->from_version || now.from_version == rec->from_version))
        str_addf(why, "version %lld is what devices get already (the current version is %lld)", (long long)rec->from_version,
                 (long long)now.version);
    return code;
}

enum err_code release_check(const struct errand *e, const struct record *rec, struct str *why, struct err *err)
{
    switch (rec->release) {
    case RELEASE_PUBLISH:
        return check_kept(e, rec, why, err);
    case RELEASE_ROLLBACK:
        return check_version(e, rec, why, err);
    case RELEASE_NONE:
        break;
    }
    return OK;
}

static enum err_code mark_once(const struct errand *e, const struct record *rec, struct err *err)
{
    AUTO_RECORD kept = {0};
    enum err_code code = ledger_load(&e->c->storage, rec->maker, &kept, err);

    if (code != OK || str_is(kept.published_by, rec->job_id))
        return code;
    str_copy(kept.published_by, sizeof kept.published_by, rec->job_id);
    kept.published_version = rec->state.version;
    code = trained_keep(&e->c->storage, &kept, controller_now_s(e->c), err);
    return code == OK ? ledger_save(&e->c->storage, &kept, err) : code;
}

enum err_code release_mark(const struct errand *e, const struct record *rec, struct err *err)
{
    enum err_code code = rec->release == RELEASE_PUBLISH ? ERR_CONFLICT : OK;

    for (int i = 0; i < TRIES && code == ERR_CONFLICT; i++) {
        if (i > 0)
            clock_pause(e->c->clock, i);
        code = mark_once(e, rec, err);
    }
    return code;
}
