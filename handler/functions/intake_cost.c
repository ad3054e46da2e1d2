#include <stdio.h>

#include "controller/preflight.h"
#include "functions/intake.h"
#include "job/money.h"

#define SHORTEST 30 /* minutes that a job may ask for at least */

/* What a job may cost at most, and who says so; 0: no limit. */
static int64_t limit_of(const struct app *app, const struct request *r)
{
    return r->max_micro_usd > 0 ? r->max_micro_usd : app->defaults.max_job_micro_usd;
}

static const char *limit_name(const struct request *r)
{
    return r->max_micro_usd > 0 ? "max_cost" : "MAX_JOB_COST";
}

/* The hours of a corrected line. Where not even half an hour fits, max_cost goes, unless it is the operator who says so: then no line
 * helps.
 */
static void correct(const struct app *app, struct message *m, int64_t hourly)
{
    const struct request *r = &m->request;
    int64_t operators = app->defaults.max_job_micro_usd;

    m->corrected_minutes = money_minutes(hourly, limit_of(app, r));
    if (m->corrected_minutes >= SHORTEST)
        return;
    m->corrected_uncapped = true;
    m->corrected_minutes = operators > 0 ? money_minutes(hourly, operators) : r->max_minutes;
    if (m->corrected_minutes > r->max_minutes)
        m->corrected_minutes = r->max_minutes;
}

static void fault_cost(const struct app *app, struct message *m, const struct preflight_place *dearest, int64_t hourly, int64_t limit)
{
    const struct request *r = &m->request;
    AUTO_STR text = STR_MAX(sizeof m->fault[0].text - 1);
    int32_t fits = money_minutes(hourly, limit);

    str_addf(&text, "%g h on a %s in %s may cost ", r->max_minutes / 60.0, dearest->size, dearest->region);
    money_add(&text, money_worst(hourly, r->max_minutes));
    str_add(&text, " (");
    money_add(&text, hourly);
    str_add(&text, " an hour, and ");
    money_add(&text, MONEY_BESIDE_HOURLY);
    str_add(&text, " an hour for disk and address); allowed: ");
    money_add(&text, limit);
    str_addf(&text, " (%s)", limit_name(r));
    if (fits >= SHORTEST)
        str_addf(&text, ", which is enough for %g h", fits / 60.0);
    else
        str_add(&text, ", which is not enough for half an hour");
    correct(app, m, hourly);
    bool none = m->corrected_minutes < SHORTEST;
    if (none)
        str_add(&text, ": only the operator can change that, or another vm_size");
    message_fault(m, "E15", "max_hours", "%s", str_c(&text) != NULL ? str_c(&text) : "the job may cost more than is allowed");
    if (none)
        m->corrected[0] = '\0';
}

void intake_look_cost(const struct app *app, struct message *m, struct intake *found)
{
    const struct request *r = &m->request;
    struct preflight_place place[PREFLIGHT_PLACES_MAX];
    int64_t limit = limit_of(app, r);
    struct err err = {0};
    size_t dearest;

    found->dearest_micro_usd = 0;
    if (limit == 0)
        return;
    size_t count = preflight_places(r, place);
    if (preflight_dearest(app->controller, place, count, &dearest, &found->dearest_micro_usd, &err) == OK) {
        if (money_worst(found->dearest_micro_usd, r->max_minutes) > limit)
            fault_cost(app, m, &place[dearest], found->dearest_micro_usd, limit);
        return;
    }
    found->dearest_micro_usd = 0;
    if (m->faults == 0) /* else the corrected line meets it */
        message_fault(m, "E15", "max_cost",
                      "what a %s in %s costs is not known now (%.120s), and there is a limit (%s): send the same again in five minutes%s",
                      place[dearest].size, place[dearest].region, err.msg, limit_name(r),
                      r->max_micro_usd > 0 && app->defaults.max_job_micro_usd == 0 ? ", or without max_cost" : "");
}

bool intake_may_take(const struct app *app, const struct record *rec, int32_t minutes, struct str *why)
{
    const struct request *r = &rec->request;
    struct preflight_place place[PREFLIGHT_PLACES_MAX];
    int64_t limit = limit_of(app, r), hourly = rec->dearest_micro_usd;
    struct err err = {0};
    size_t dearest;

    if (limit == 0)
        return true;
    if (hourly == 0 && preflight_dearest(app->controller, place, preflight_places(r, place), &dearest, &hourly, &err) != OK) {
        str_addf(why, "what it costs is not known now (%.120s), and there is a limit: send the same again in five minutes", err.msg);
        return false;
    }
    if (money_worst(hourly, minutes) <= limit)
        return true;
    str_addf(why, "%g h may cost ", minutes / 60.0);
    money_add(why, money_worst(hourly, minutes));
    str_add(why, "; allowed: ");
    money_add(why, limit);
    str_addf(why, " (%s), which is enough for %g h", limit_name(r), money_minutes(hourly, limit) / 60.0);
    return false;
}
