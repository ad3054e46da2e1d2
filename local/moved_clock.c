/* moved_clock.c - loaded into every child of the local cloud (LD_PRELOAD): adds an offset to the wall clock and leaves the monotonic clock alone.
 *
 * The offset, 8 bytes of nanoseconds, is mapped from the file that MOVED_CLOCK_FILE names, so that a change is seen by everybody at once. There are no locks and no
 * allocation. Debian's libfaketime 0.9.10 does not serve here: told to leave the monotonic clock alone it refuses absolute sleeps on it (EINVAL, seen from Python's
 * time.sleep), and read without its cache its mutex was seen to block OpenVINO's threads for ever at the end of a program. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { NS = 1000000000, MONOTONIC_MAX_S = 1000000000 };

static int64_t nothing;
static const volatile int64_t *offset = &nothing;

__attribute__((constructor)) static void map_offset(void)
{
    const char *path = getenv("MOVED_CLOCK_FILE");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *at;

    if (file < 0)
        return;
    at = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (at != MAP_FAILED)
        offset = at;
}

static void shift(struct timespec *t, int64_t by_ns)
{
    int64_t ns = t->tv_nsec + by_ns % NS;

    t->tv_sec += by_ns / NS + (ns < 0 ? -1 : ns / NS);
    t->tv_nsec = ns < 0 ? ns + NS : ns % NS;
}

static int is_wall(clockid_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (syscall(SYS_clock_gettime, clock, now) != 0)
        return -1;
    if (is_wall(clock))
        shift(now, *offset);
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec t;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &t);
    now->tv_sec = t.tv_sec;
    now->tv_usec = t.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    if (out != NULL)
        *out = t.tv_sec;
    return t.tv_sec;
}

int timespec_get(struct timespec *now, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

/* Points in time on the wall clock were worked out from the moved one: the kernel gets them on its own. */
static struct timespec for_kernel(const struct timespec *until)
{
    struct timespec t = *until;

    shift(&t, -*offset);
    if (t.tv_sec < 0)
        t.tv_sec = 0;
    return t;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left)
{
    struct timespec t = is_wall(clock) && (flags & TIMER_ABSTIME) ? for_kernel(until) : *until;

    return syscall(SYS_clock_nanosleep, clock, flags, &t, left) == 0 ? 0 : errno;
}

/* A condition does not tell its clock; seconds since 1970 and since boot cannot be mistaken for each other. */
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, const struct timespec *restrict until)
{
    struct timespec t;

    if (until->tv_sec < MONOTONIC_MAX_S)
        return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, until);
    t = for_kernel(until);
    return pthread_cond_clockwait(condition, mutex, CLOCK_REALTIME, &t);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until)
{
    struct timespec t = for_kernel(until);

    return pthread_mutex_clocklock(mutex, CLOCK_REALTIME, &t);
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until)
{
    struct timespec t = for_kernel(until);

    return sem_clockwait(semaphore, CLOCK_REALTIME, &t);
}
