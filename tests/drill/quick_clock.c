/* quick_clock.c - loaded into one handler (LD_PRELOAD, before the moved clock): its monotonic time runs QUICK_CLOCK times faster, and all
 * it waits for by that time comes so many times sooner. Points in wall-clock time are left to the moved clock. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { NS = 1000000000, MONOTONIC_MAX_S = 1000000000 };

static int64_t speed = 1, began_ns;

static int64_t real_ns(clockid_t clock)
{
    struct timespec t;

    syscall(SYS_clock_gettime, clock, &t);
    return (int64_t)t.tv_sec * NS + t.tv_nsec;
}

static struct timespec spec(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / NS, .tv_nsec = ns % NS};
}

__attribute__((constructor)) static void read_speed(void)
{
    const char *text = getenv("QUICK_CLOCK");

    if (text != NULL && atoi(text) > 0)
        speed = atoi(text);
    began_ns = real_ns(CLOCK_MONOTONIC);
}

static int is_monotonic(clockid_t clock)
{
    return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_MONOTONIC_RAW;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (is_monotonic(clock)) {
        *now = spec(began_ns + (real_ns(CLOCK_MONOTONIC) - began_ns) * speed);
        return 0;
    }
    int (*next)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    return next(clock, now);
}

/* Only spans of monotonic time are slept here. */
int clock_nanosleep(clockid_t clock, int flags, const struct timespec *span, struct timespec *left)
{
    struct timespec t = spec(((int64_t)span->tv_sec * NS + span->tv_nsec) / speed), rest = {0};

    if (!is_monotonic(clock) || (flags & TIMER_ABSTIME))
        return ENOTSUP;
    if (syscall(SYS_clock_nanosleep, clock, flags, &t, &rest) == 0)
        return 0;
    if (left != NULL)
        *left = spec(((int64_t)rest.tv_sec * NS + rest.tv_nsec) * speed);
    return errno;
}

int poll(struct pollfd *fds, nfds_t count, int ms)
{
    struct timespec t = spec(ms > 0 ? (int64_t)ms * 1000000 / speed : 0);

    return ppoll(fds, count, ms < 0 ? NULL : &t, NULL);
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, const struct timespec *restrict until)
{
    int64_t ns = (int64_t)until->tv_sec * NS + until->tv_nsec;
    struct timespec t = spec(began_ns + (ns - began_ns) / speed);

    if (until->tv_sec >= MONOTONIC_MAX_S)
        return ENOTSUP;
    return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &t);
}
