#include "test.h"

#include "base/clock.h"

static const struct {
    int64_t at_s;
    const char *http, *iso;
} dates[] = {
    {0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00Z"},
    {-1, "Wed, 31 Dec 1969 23:59:59 GMT", "1969-12-31T23:59:59Z"},
    {1767225600, "Thu, 01 Jan 2026 00:00:00 GMT", "2026-01-01T00:00:00Z"},
    {951782400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00Z"},
    {951868799, "Tue, 29 Feb 2000 23:59:59 GMT", "2000-02-29T23:59:59Z"},
    {951868800, "Wed, 01 Mar 2000 00:00:00 GMT", "2000-03-01T00:00:00Z"},
    {1709164800, "Thu, 29 Feb 2024 00:00:00 GMT", "2024-02-29T00:00:00Z"},
    {4107542399, "Sun, 28 Feb 2100 23:59:59 GMT", "2100-02-28T23:59:59Z"},
    {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00Z"},
    {784111777, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"},
    {2147483648, "Tue, 19 Jan 2038 03:14:08 GMT", "2038-01-19T03:14:08Z"},
    {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59Z"},
    {-62135596800, "Mon, 01 Jan 0001 00:00:00 GMT", "0001-01-01T00:00:00Z"},
};

static void both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(dates); i++) {
        char http[DATE_HTTP], iso[DATE_ISO];
        int64_t at_s = 7;
        date_http(dates[i].at_s, http);
        assert_string_equal(http, dates[i].http);
        date_iso(dates[i].at_s, iso);
        assert_string_equal(iso, dates[i].iso);
        assert_true(date_parse_http(http, &at_s));
        assert_true(at_s == dates[i].at_s);
        assert_true(date_parse_iso(iso, &at_s));
        assert_true(at_s == dates[i].at_s);
    }
}

static void every_day_for_600_years(void **state)
{
    (void)state;
    for (int64_t day = -100000; day < 120000; day++) {
        char http[DATE_HTTP], iso[DATE_ISO];
        int64_t at_s = 0;
        date_http(day * 86400 + 12345, http);
        date_iso(day * 86400 + 12345, iso);
        assert_true(date_parse_http(http, &at_s) && at_s == day * 86400 + 12345);
        assert_true(date_parse_iso(iso, &at_s) && at_s == day * 86400 + 12345);
    }
}

static void extremes_are_clamped(void **state)
{
    (void)state;
    char http[DATE_HTTP], iso[DATE_ISO];
    date_http(INT64_MAX, http);
    assert_string_equal(http, "Fri, 31 Dec 9999 23:59:59 GMT");
    date_iso(INT64_MIN, iso);
    assert_string_equal(iso, "0001-01-01T00:00:00Z");
}

static void iso_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t at_s;
    } good[] = {{"2026-01-01T00:00:00.1234567Z", 1767225600},
                {"2026-01-01T09:00:00+09:00", 1767225600},
                {"2025-12-31T19:30:00.5-04:30", 1767225600},
                {"2026-01-01T00:00:00+00:00", 1767225600}};
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t at_s = 0;
        assert_true(date_parse_iso(good[i].text, &at_s));
        assert_true(at_s == good[i].at_s);
    }
}

static void bad_texts(void **state)
{
    (void)state;
    static const char *const http[] = {"",
                                       "Thu",
                                       "Thu, 1 Jan 2026 00:00:00 GMT",
                                       "Thu, 01 Jan 2026 00:00:00",
                                       "Thu, 01 Jan 2026 00:00:00 UTC",
                                       "Thu, 30 Feb 2024 00:00:00 GMT",
                                       "Thu, 29 Feb 2100 00:00:00 GMT",
                                       "Thu, 01 jan 2026 00:00:00 GMT",
                                       "Thu, 01 Jan 2026 24:00:00 GMT",
                                       "Thu, 01 Jan 2026 00:60:00 GMT",
                                       "Thu, 00 Jan 2026 00:00:00 GMT",
                                       "Thu, 01 Jan 2026 00:00:00 GMT ",
                                       "Xxx, 01 Jan 2026 00:00:00 GMT",
                                       "Thursday, 01-Jan-26 00:00:00 GMT",
                                       "Thu, 01 Jan 0000 00:00:00 GMT"};
    static const char *const iso[] = {"",
                                      "2026",
                                      "2026-01-01",
                                      "2026-01-01T00:00:00",
                                      "2026-01-01 00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "2026-01-01T00:00:00.Z",
                                      "2026-01-01T00:00:00Zx",
                                      "2026-01-01T00:00:00+0900",
                                      "2026-01-01T00:00:00+24:00",
                                      "2026-01-01T00:00:00+09:60",
                                      "26-01-01T00:00:00Z",
                                      "+026-01-01T00:00:00Z"};
    int64_t at_s = 42;
    for (size_t i = 0; i < COUNT(http); i++)
        if (date_parse_http(http[i], &at_s))
            fail_msg("taken: %s", http[i]);
    for (size_t i = 0; i < COUNT(iso); i++)
        if (date_parse_iso(iso[i], &at_s))
            fail_msg("taken: %s", iso[i]);
    assert_false(date_parse_http(NULL, &at_s));
    assert_false(date_parse_iso(NULL, &at_s));
    assert_int_equal(at_s, 42);
}

static void system_clock_goes_on(void **state)
{
    (void)state;
    int64_t before = clock_mono_ms(&clock_system);
    clock_sleep_ms(&clock_system, 20);
    clock_sleep_ms(&clock_system, -1);
    int64_t after = clock_mono_ms(&clock_system);
    assert_true(after - before >= 20);
    assert_true(clock_now_s(&clock_system) > 1700000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(both_ways),
                                       cmocka_unit_test(every_day_for_600_years),
                                       cmocka_unit_test(extremes_are_clamped),
                                       cmocka_unit_test(iso_forms),
                                       cmocka_unit_test(bad_texts),
                                       cmocka_unit_test(system_clock_goes_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
