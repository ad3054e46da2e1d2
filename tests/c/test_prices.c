/* The price list: which of its items counts, where the next page may lie, and how long an answer is kept. */
#include "test.h"

#include "azure/prices.h"
#include "fake_http.h"

#define HOST "https://prices.example"
#define FIRST                                                                                                                              \
    HOST "/api/retail/prices?api-version=2023-01-01-preview&currencyCode=%27USD%27&$filter=armRegionName%20eq%20%27japaneast%27%20and%20"  \
         "armSkuName%20eq%20%27Standard_D8s_v5%27%20and%20serviceName%20eq%20%27Virtual%20Machines%27%20and%20priceType%20eq%20%27"        \
         "Consumption%27"
#define ITEM(price, product, sku, more)                                                                                                    \
    "{\"currencyCode\":\"USD\",\"unitOfMeasure\":\"1 Hour\",\"type\":\"Consumption\",\"armRegionName\":\"japaneast\","                     \
    "\"armSkuName\":\"Standard_D8s_v5\",\"retailPrice\":" price ",\"productName\":\"" product "\",\"skuName\":\"" sku "\"" more "}"
#define PAGE(items, next) "{\"BillingCurrency\":\"USD\",\"Items\":[" items "],\"NextPageLink\":" next ",\"Count\":1}"
#define LINUX(price) ITEM(price, "Dsv5 Series", "D8s v5", "")

struct side {
    struct fake_clock clock;
    struct fake_http fake;
    struct prices *prices;
};

static void begin(struct side *s, const struct fake_step *steps, size_t count)
{
    struct err err = {0};
    fake_clock_init(&s->clock);
    fake_http_init(&s->fake, &s->clock, steps, count);
    assert_ok(prices_open(HOST, &s->fake.http, &s->prices, &err), err);
}

static void end(struct side *s)
{
    fake_http_used_up(&s->fake);
    prices_close(s->prices);
}

static enum err_code ask(struct side *s, bool spot, int64_t *micro, struct err *err)
{
    return prices_hourly(s->prices, "japaneast", "Standard_D8s_v5", spot, micro, err);
}

static void linux_on_demand_and_spot_are_told_apart(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {
        {"GET",
         FIRST,
         {"Accept: application/json", "!Authorization"},
         .status = 200,
         .answer =
             PAGE(ITEM("0.9", "Dsv5 Series Windows", "D8s v5", "") "," LINUX("0.3840001") "," ITEM(
                      "0.0768", "Dsv5 Series", "D8s v5 Spot", "") "," ITEM("0.8", "Dsv5 Series", "D8s v5 Low Priority",
                                                                           "") "," ITEM("0.7", "Dsv5 Series Cloud Services", "D8s v5", ""),
                  "null")},
    };
    struct side s;
    struct err err = {0};
    int64_t micro = 0;
    begin(&s, steps, COUNT(steps));
    assert_ok(ask(&s, false, &micro, &err), err);
    assert_int_equal(micro, 384001); /* a part of a millionth is rounded up */
    assert_ok(ask(&s, true, &micro, &err), err);
    assert_int_equal(micro, 76800);
    end(&s);
}

/* One item that differs in one member beside one that fits: only the latter counts. */
static void other_items_do_not_count(void **state)
{
    (void)state;
    static const char *const other[][2] = {
        {"\"USD\"", "\"JPY\""},
        {"\"1 Hour\"", "\"1/Month\""},
        {"\"Consumption\"", "\"Reservation\""},
        {"japaneast", "japanwest"},
        {"_D8s_v5\"", "_D16s_v5\""},
        {":9.5", ":\"9.5\""},
        {":9.5", ":-9.5"},
        {":9.5", ":99999"},
    };
    for (size_t i = 0; i < COUNT(other); i++) {
        AUTO_STR page = STR_MAX(8192);
        const char *item = LINUX("9.5"), *at = strstr(item, other[i][0]);
        struct side s;
        struct err err = {0};
        int64_t micro = 0;
        assert_non_null(at);
        str_add(&page, "{\"Items\":[" LINUX("0.5") ",");
        str_add_n(&page, item, (size_t)(at - item));
        str_addf(&page, "%s%s],\"NextPageLink\":\"\"}", other[i][1], at + strlen(other[i][0]));
        const struct fake_step steps[] = {{"GET", FIRST, .status = 200, .answer = str_c(&page)}};
        begin(&s, steps, COUNT(steps));
        assert_ok(ask(&s, false, &micro, &err), err);
        assert_int_equal(micro, 500000);
        end(&s);
    }
}

static void the_dearest_of_all_pages_counts(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {
        {"GET", FIRST, .status = 200, .answer = PAGE(LINUX("0.5"), "\"HTTPS://prices.example:443/api/retail/prices?$skip=1\"")},
        {"GET", HOST "/api/retail/prices?$skip=1", .status = 200, .answer = PAGE(LINUX("0.7"), "\"" HOST "/api/retail/prices?$skip=2\"")},
        {"GET", HOST "/api/retail/prices?$skip=2", .status = 200, .answer = PAGE(LINUX("0.6"), "null")},
    };
    struct side s;
    struct err err = {0};
    int64_t micro = 0;
    begin(&s, steps, COUNT(steps));
    assert_ok(ask(&s, false, &micro, &err), err);
    assert_int_equal(micro, 700000);
    end(&s);
}

static void a_link_to_another_place_is_not_followed(void **state)
{
    (void)state;
    static const char *const links[] = {"\"https://elsewhere/api\"",         "\"https://prices.example.evil/x\"",
                                        "\"https://prices.example@evil/x\"", "\"https://prices.example:444/x\"",
                                        "\"/api/retail/prices?$skip=1\"",    "\"http://prices.example/x\""};
    for (size_t i = 0; i < COUNT(links); i++) {
        AUTO_STR page = STR_MAX(4096);
        struct side s;
        struct err err = {0};
        int64_t micro = 0;
        str_addf(&page, "{\"Items\":[%s],\"NextPageLink\":%s}", LINUX("0.5"), links[i]);
        const struct fake_step steps[] = {{"GET", FIRST, .status = 200, .answer = str_c(&page)}};
        begin(&s, steps, COUNT(steps));
        assert_int_equal(ask(&s, false, &micro, &err), ERR_REFUSED);
        assert_int_equal(micro, 0);
        assert_has(err.msg, "another address");
        end(&s);
    }
}

static void a_list_without_end_is_given_up(void **state)
{
    (void)state;
    static const char more[] = PAGE(LINUX("0.5"), "\"" HOST "/more\"");
    static const struct fake_step steps[] = {
        {"GET", FIRST, .status = 200, .answer = more},        {"GET", HOST "/more", .status = 200, .answer = more},
        {"GET", HOST "/more", .status = 200, .answer = more}, {"GET", HOST "/more", .status = 200, .answer = more},
        {"GET", HOST "/more", .status = 200, .answer = more},
    };
    struct side s;
    struct err err = {0};
    int64_t micro = 0;
    begin(&s, steps, COUNT(steps));
    assert_int_equal(ask(&s, false, &micro, &err), ERR_TOO_LARGE);
    end(&s);
}

static void what_was_found_is_kept_for_a_day(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {
        {"GET", FIRST, .status = 200, .answer = PAGE(LINUX("0.5"), "null")},
        {"GET", FIRST, .status = 200, .answer = PAGE(LINUX("0.6"), "null")},
        {"GET", FIRST, .status = 200, .answer = PAGE(LINUX("0.7"), "null")},
    };
    struct side s;
    struct err err = {0};
    int64_t micro = 0;
    begin(&s, steps, COUNT(steps));
    assert_ok(ask(&s, false, &micro, &err), err);
    s.clock.now_s += 86399;
    assert_ok(ask(&s, false, &micro, &err), err);
    assert_int_equal(micro, 500000);
    assert_int_equal(ask(&s, true, &micro, &err), ERR_ABSENT); /* the same answer says that there is none */
    assert_has(err.msg, "no Spot price of Standard_D8s_v5 in japaneast");
    s.clock.now_s += 1;
    assert_ok(ask(&s, false, &micro, &err), err);
    assert_int_equal(micro, 600000);
    s.clock.now_s -= 100000; /* the clock was wrong */
    assert_ok(ask(&s, false, &micro, &err), err);
    assert_int_equal(micro, 700000);
    end(&s);
}

static void a_failure_is_remembered_for_a_few_minutes(void **state)
{
    (void)state;
    static const struct fake_step rows[][2] = {
        {{"GET", FIRST, .status = 400}, {"GET", FIRST, .status = 200, .answer = PAGE(LINUX("0.5"), "null")}},
        {{"GET", FIRST, .status = 200, .answer = "<html>"}, {"GET", FIRST, .status = 200, .answer = PAGE(LINUX("0.5"), "null")}},
        {{"GET", FIRST, .status = 200, .answer = PAGE("", "null")}, {"GET", FIRST, .status = 200, .answer = PAGE(LINUX("0.5"), "null")}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct side s;
        struct err err = {0};
        int64_t micro = 0;
        begin(&s, rows[i], COUNT(rows[i]));
        assert_int_not_equal(ask(&s, false, &micro, &err), OK);
        s.clock.now_s += 179;
        assert_int_not_equal(ask(&s, false, &micro, &err), OK);
        assert_true(err.msg[0] != '\0');
        assert_int_equal(s.fake.next, 1);
        s.clock.now_s += 1;
        assert_ok(ask(&s, false, &micro, &err), err);
        assert_int_equal(micro, 500000);
        end(&s);
    }
}

/* An attempt that broke off half way leaves nothing behind. */
static void half_an_answer_is_read_again(void **state)
{
    (void)state;
    static const struct fake_step steps[] = {
        {"GET", FIRST, .answer = "{\"Items\":[{\"currencyCode\":\"US"},
        {"GET", FIRST, .status = 200, .answer = PAGE(LINUX("0.5"), "null")},
    };
    struct side s;
    struct err err = {0};
    int64_t micro = 0;
    begin(&s, steps, COUNT(steps));
    assert_ok(ask(&s, false, &micro, &err), err);
    assert_int_equal(micro, 500000);
    end(&s);
}

static void names_with_other_characters_are_not_sent(void **state)
{
    (void)state;
    struct side s;
    struct err err = {0};
    int64_t micro = 0;
    begin(&s, NULL, 0);
    assert_int_equal(prices_hourly(s.prices, "japaneast", "x' or '1' eq '1", false, &micro, &err), ERR_INPUT);
    assert_int_equal(prices_hourly(s.prices, "", "Standard_D8s_v5", false, &micro, &err), ERR_INPUT);
    end(&s);
}

/* More sizes than are kept: the one that was asked for first is asked for again. */
static void only_so_many_are_kept(void **state)
{
    (void)state;
    static struct fake_step steps[34];
    struct side s;
    struct err err = {0};
    int64_t micro = 0;
    for (size_t i = 0; i < COUNT(steps); i++)
        steps[i] = (struct fake_step){"GET", HOST "/api/*", .status = 200, .answer = PAGE("", "null")};
    begin(&s, steps, COUNT(steps));
    for (int i = 0; i < 33; i++) {
        char size[32];
        snprintf(size, sizeof size, "Standard_D%d", i);
        s.clock.now_s++;
        assert_int_equal(prices_hourly(s.prices, "japaneast", size, false, &micro, &err), ERR_ABSENT);
    }
    assert_int_equal(prices_hourly(s.prices, "japaneast", "Standard_D32", false, &micro, &err), ERR_ABSENT);
    assert_int_equal(s.fake.next, 33);
    assert_int_equal(prices_hourly(s.prices, "japaneast", "Standard_D0", false, &micro, &err), ERR_ABSENT);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linux_on_demand_and_spot_are_told_apart),
        cmocka_unit_test(other_items_do_not_count),
        cmocka_unit_test(the_dearest_of_all_pages_counts),
        cmocka_unit_test(a_link_to_another_place_is_not_followed),
        cmocka_unit_test(a_list_without_end_is_given_up),
        cmocka_unit_test(what_was_found_is_kept_for_a_day),
        cmocka_unit_test(a_failure_is_remembered_for_a_few_minutes),
        cmocka_unit_test(half_an_answer_is_read_again),
        cmocka_unit_test(names_with_other_characters_are_not_sent),
        cmocka_unit_test(only_so_many_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
