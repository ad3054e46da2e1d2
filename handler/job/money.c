#include "job/money.h"

#include <string.h>

#define DIGITS "0123456789"
#define HALF_HOUR 30

bool money_parse(const char *text, int64_t *micro)
{
    size_t whole = strspn(text, DIGITS), part = text[whole] == '.' ? strspn(text + whole + 1, DIGITS) : 0;
    int64_t value = 0;

    if (whole == 0 || whole > 7 || part > 6 || text[whole + (text[whole] == '.') + part] != '\0' || (text[whole] == '.' && part == 0))
        return false;
    for (size_t i = 0; i < whole; i++)
        value = value * 10 + (text[i] - '0');
    for (size_t i = 0; i < 6; i++)
        value = value * 10 + (i < part ? text[whole + 1 + i] - '0' : 0);
    if (value <= 0 || value > MONEY_MAX)
        return false;
    *micro = value;
    return true;
}

void money_add(struct str *to, int64_t micro)
{
    int64_t cents = (micro + 5000) / 10000;

    if (cents <= 0)
        str_add(to, "less than $0.01");
    else
        str_addf(to, "$%lld.%02lld", (long long)(cents / 100), (long long)(cents % 100));
}

int64_t money_worst(int64_t hourly, int32_t minutes)
{
    return ((hourly + MONEY_BESIDE_HOURLY) * minutes + 59) / 60;
}

int32_t money_minutes(int64_t hourly, int64_t limit)
{
    int64_t halves = limit * 60 / ((hourly + MONEY_BESIDE_HOURLY) * HALF_HOUR);

    return halves > INT32_MAX / HALF_HOUR ? INT32_MAX / HALF_HOUR * HALF_HOUR : (int32_t)(halves * HALF_HOUR);
}
