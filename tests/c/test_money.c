/* Money, and the bill of a job's machines. */
#include "test.h"

#include "job/bill.h"
#include "job/money.h"

static void amounts_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t micro; /* 0: refused */
    } rows[] = {
        {"20", 20000000}, {"12.50", 12500000},
        {"0.000001", 1},  {"1000000", MONEY_MAX},
        {"007", 7000000}, {"0", 0},
        {"0.0", 0},       {"1000000.1", 0},
        {"", 0},          {".5", 0},
        {"5.", 0},        {"1,5", 0},
        {"-1", 0},        {"1e3", 0},
        {"0.0000001", 0}, {"12 ", 0},
        {"$5", 0},        {"99999999", 0},
        {"1.2.3", 0},     {"0x10", 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t micro = -7;
        if (money_parse(rows[i].text, &micro) != (rows[i].micro > 0) || micro != (rows[i].micro > 0 ? rows[i].micro : -7))
            fail_msg("%s: %lld", rows[i].text, (long long)micro);
    }
}

static void amounts_are_written(void **state)
{
    (void)state;
    static const struct {
        int64_t micro;
        const char *text;
    } rows[] = {{456000, "$0.46"},         {20000000, "$20.00"}, {5000, "$0.01"},
                {4999, "less than $0.01"}, {1999999, "$2.00"},   {1234567890, "$1234.57"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_STR text = STR_MAX(64);
        money_add(&text, rows[i].micro);
        assert_string_equal(str_c(&text), rows[i].text);
    }
}

/* What is proposed fits, and half an hour more would not. */
static void the_hours_that_fit(void **state)
{
    (void)state;
    static const int64_t hourly[] = {50000, 76800, 500000, 3000000, 27000000}, limit[] = {10000, 260000, 20000000, 99999999, MONEY_MAX};
    assert_int_equal(money_worst(3000000, 600), 30200000);
    assert_int_equal(money_minutes(3000000, 20000000), 390);
    assert_int_equal(money_minutes(500000, 260000), 30);
    assert_int_equal(money_minutes(500000, 259999), 0);
    for (size_t i = 0; i < COUNT(hourly); i++)
        for (size_t j = 0; j < COUNT(limit); j++) {
            int32_t minutes = money_minutes(hourly[i], limit[j]);
            assert_int_equal(minutes % 30, 0);
            assert_true(money_worst(hourly[i], minutes) <= limit[j]);
            assert_true(money_worst(hourly[i], minutes + 30) > limit[j]);
        }
}

static void one_machine(void **state)
{
    (void)state;
    struct record rec = {.state = {.attempt = 1, .machine = MACHINE_PROVISIONING, .ordered_s = 1000}};
    assert_false(bill_has(&rec));
    assert_int_equal(bill_seconds(&rec, 99999), 0);
    bill_order(&rec, 480000);
    rec.state.ordered_s = 5000;
    bill_order(&rec, 999999); /* said again */
    assert_true(bill_has(&rec));
    assert_int_equal(bill_seconds(&rec, 1000 + 3600), 3600);
    assert_int_equal(bill_micro_usd(&rec, 1000 + 3600), 500000);
    rec.state.outcome_s = 1000 + 7200; /* it is told before the group is gone */
    assert_int_equal(bill_micro_usd(&rec, 99999), 1000000);
    bill_look(&rec, NO, 1000 + 100); /* not while it is not being deleted */
    rec.state.machine = MACHINE_DELETING;
    bill_look(&rec, NO, 1000 + 9000);
    bill_look(&rec, YES, 1000 + 9030); /* the 404 was early */
    bill_look(&rec, NO, 1000 + 10800);
    bill_look(&rec, UNSEEN, 1000 + 10830);
    bill_look(&rec, NO, 1000 + 10860);
    assert_int_equal(bill_seconds(&rec, 99999), 10800);
    assert_int_equal(bill_micro_usd(&rec, 99999), 1500000);
}

/* Each machine at its own price; one whose price is not known leaves the time alone to be told. */
static void machines_in_turn(void **state)
{
    (void)state;
    struct record rec = {.state = {.attempt = 1, .machine = MACHINE_DELETING, .started_s = 1000}};
    bill_order(&rec, 480000);
    bill_look(&rec, NO, 4600);
    rec.state = (struct job_state){.attempt = 2, .machine = MACHINE_PROVISIONING};
    assert_false(bill_has(&rec));
    bill_look(&rec, NO, 6000); /* the next group is not there yet */
    rec.state.ordered_s = 7000;
    bill_order(&rec, 980000);
    assert_int_equal(bill_seconds(&rec, 7000 + 3600), 7200);
    assert_int_equal(bill_micro_usd(&rec, 7000 + 3600), 1500000);
    rec.state.machine = MACHINE_DELETING;
    bill_look(&rec, NO, 7000 + 3600);
    rec.state.attempt = 3;
    rec.state.ordered_s = 20000;
    bill_order(&rec, 0);
    assert_int_equal(bill_seconds(&rec, 20000 + 60), 7260);
    assert_int_equal(bill_micro_usd(&rec, 20000 + 60), 0);
    rec.state.attempt = 4;
    rec.state.ordered_s = 30000;
    bill_order(&rec, 480000);
    assert_int_equal(bill_micro_usd(&rec, 30060), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_are_read), cmocka_unit_test(amounts_are_written), cmocka_unit_test(the_hours_that_fit),
        cmocka_unit_test(one_machine),      cmocka_unit_test(machines_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
