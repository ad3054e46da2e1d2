#include "test.h"

#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

static int saved_out, saved_err, pipe_out[2], pipe_err[2];

static void catch_streams(void)
{
    assert_int_equal(pipe(pipe_out), 0);
    assert_int_equal(pipe(pipe_err), 0);
    (void)fflush(NULL);
    saved_out = dup(STDOUT_FILENO);
    saved_err = dup(STDERR_FILENO);
    assert_true(dup2(pipe_out[1], STDOUT_FILENO) >= 0 && dup2(pipe_err[1], STDERR_FILENO) >= 0);
}

static void release_streams(char *out, char *err, size_t size)
{
    (void)dup2(saved_out, STDOUT_FILENO);
    (void)dup2(saved_err, STDERR_FILENO);
    (void)close(saved_out), (void)close(saved_err), (void)close(pipe_out[1]), (void)close(pipe_err[1]);
    ssize_t n = read(pipe_out[0], out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    n = read(pipe_err[0], err, size - 1);
    err[n > 0 ? n : 0] = '\0';
    (void)close(pipe_out[0]), (void)close(pipe_err[0]);
}

static void levels_and_scope(void **state)
{
    (void)state;
    char out[8192], err[8192];
    catch_streams();
    log_line(LOG_INFO, "hello %d", 1);
    log_scope("inv-1", "job-a");
    log_line(LOG_INFO, "two\nlines\x1B[31m");
    log_line(LOG_WARN, "slow");
    log_scope("", NULL);
    log_line(LOG_ERROR, "broken");
    log_scope(NULL, "");
    log_line(LOG_ERROR, "bare");
    release_streams(out, err, sizeof out);
    assert_string_equal(out, "hello 1\n[inv-1 job-a] two lines [31m\n");
    assert_string_equal(err, "warn: [inv-1 job-a] slow\nerror: [job-a] broken\nerror: bare\n");
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    char out[8192], err[8192];
    AUTO_STR text = STR_MAX(9000);
    for (int i = 0; i < 3000; i++)
        str_add(&text, "\xE6\x97\xA5");
    catch_streams();
    log_line(LOG_INFO, "x%s", str_c(&text));
    log_line(LOG_INFO, "%s", str_c(&text));
    release_streams(out, err, sizeof out);
    size_t first = strcspn(out, "\n"), second = strcspn(out + first + 1, "\n");
    assert_true(first > 2000 && first < 2048 && second > 2000 && second < 2048);
    assert_true(str_is_utf8(out, strlen(out)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(levels_and_scope), cmocka_unit_test(long_lines_are_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
