#include "job/bill.h"

#include "job/money.h"

/* The present machine's time. */
static int64_t present_s(const struct record *rec, int64_t now_s)
{
    int64_t end_s = rec->bill_gone_s > 0 ? rec->bill_gone_s : rec->state.outcome_s > 0 ? rec->state.outcome_s : now_s;

    return rec->bill_since_s > 0 && end_s > rec->bill_since_s ? end_s - rec->bill_since_s : 0;
}

static int64_t price_of(int64_t seconds, int64_t hourly)
{
    return (hourly + MONEY_BESIDE_HOURLY) * seconds / 3600;
}

bool bill_has(const struct record *rec)
{
    return rec->bill_since_s > 0 && rec->bill_attempt == rec->state.attempt;
}

void bill_order(struct record *rec, int64_t hourly)
{
    const struct job_state *s = &rec->state;
    int64_t ordered_s = s->ordered_s > 0 ? s->ordered_s : s->started_s; /* 0 in records of an older version */

    if (bill_has(rec))
        return;
    if (rec->bill_since_s > 0) { /* the attempt before: its group is gone */
        int64_t seconds = present_s(rec, ordered_s);
        rec->billed_s += seconds;
        rec->billed_micro_usd += price_of(seconds, rec->price_micro_usd);
        rec->unpriced |= rec->price_micro_usd == 0;
    }
    rec->price_micro_usd = hourly;
    rec->bill_since_s = ordered_s;
    rec->bill_attempt = rec->state.attempt;
    rec->bill_gone_s = 0;
}

void bill_look(struct record *rec, enum seen group, int64_t now_s)
{
    if (!bill_has(rec) || rec->state.machine != MACHINE_DELETING)
        return;
    if (group == YES)
        rec->bill_gone_s = 0; /* an early 404 was none */
    else if (group == NO && rec->bill_gone_s == 0)
        rec->bill_gone_s = now_s;
}

int64_t bill_seconds(const struct record *rec, int64_t now_s)
{
    return rec->billed_s + present_s(rec, now_s);
}

int64_t bill_micro_usd(const struct record *rec, int64_t now_s)
{
    if (rec->unpriced || rec->price_micro_usd == 0 || rec->bill_since_s == 0)
        return 0;
    return rec->billed_micro_usd + price_of(present_s(rec, now_s), rec->price_micro_usd);
}
