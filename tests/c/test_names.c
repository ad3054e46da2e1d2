/* Names that are derived from a job. */
#include "test.h"

#include "base/str.h"
#include "job/names.h"

static void test_owner(void **state)
{
    (void)state;
    char one[OWNER_MAX], two[OWNER_MAX];
    names_owner("devstoreaccount1", one);
    names_owner("another", two);
    assert_int_equal(strlen(one), 12);
    assert_int_equal(strspn(one, "0123456789abcdef"), 12);
    assert_string_not_equal(one, two);
    assert_string_equal(one, "39e5c720bdae");
}

static void test_slug(void **state)
{
    (void)state;
    char dots[SLUG_MAX], dash[SLUG_MAX], upper[SLUG_MAX], other[SLUG_MAX];
    names_slug("0123456789ab", "a.b", dots);
    names_slug("0123456789ab", "a-b", dash);
    names_slug("0123456789ab", "A.b", upper);
    names_slug("ba9876543210", "a.b", other);
    assert_memory_equal(dots, "a-b-", 4);
    assert_memory_equal(dash, "a-b-", 4);
    assert_string_not_equal(dots, dash);
    assert_string_not_equal(dots, other);
    assert_string_equal(dots, upper); /* the lower-cased job_id is the key */
    assert_int_equal(strlen(dots), 4 + 6);
}

static void test_longest(void **state)
{
    (void)state;
    char slug[SLUG_MAX], group[GROUP_MAX];
    names_slug("0123456789ab", "x234567890123456789012345678901234567890123456789012345678901234", slug);
    assert_int_equal(strlen(slug), 47);
    names_group("p23456789012345678901234567890123456789", slug, 99, group);
    assert_int_equal(strlen(group), 90); /* what Azure allows */
    assert_true(str_ends_nocase(group, "-99"));
    names_group("rg-train", "j1-abcdef", 1, group);
    assert_string_equal(group, "rg-train-j1-abcdef-1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_owner), cmocka_unit_test(test_slug), cmocka_unit_test(test_longest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
