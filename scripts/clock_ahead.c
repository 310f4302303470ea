/* Moves the wall clock of the processes that it is loaded into, by CLOCK_AHEAD seconds; with_clock_ahead.sh does that.
 *
 * The monotonic clock stays as it is, so waiting takes as long as ever. libfaketime 0.9.10 cannot be had that way: with
 * the monotonic clock left alone, clock_nanosleep of an absolute time fails with EINVAL, and with it Python's sleep. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

typedef int (*gettime)(clockid_t, struct timespec *);
typedef int (*nanosleep_until)(clockid_t, int, const struct timespec *, struct timespec *);

static time_t ahead(void) {
    const char *seconds = getenv("CLOCK_AHEAD");
    return seconds ? (time_t)atoll(seconds) : 0;
}

static int is_wall_clock(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static gettime real;
    if (!real)
        real = (gettime)dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && is_wall_clock(clock))
        now->tv_sec += ahead();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone; /* obsolete: it must be NULL */
    struct timespec exact;
    int failed = clock_gettime(CLOCK_REALTIME, &exact);
    if (!failed) {
        now->tv_sec = exact.tv_sec;
        now->tv_usec = exact.tv_nsec / 1000;
    }
    return failed;
}

time_t time(time_t *kept) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (kept)
        *kept = now.tv_sec;
    return now.tv_sec;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left) {
    static nanosleep_until real;
    if (!real)
        real = (nanosleep_until)dlsym(RTLD_NEXT, "clock_nanosleep");
    struct timespec moved = *until;
    if (is_wall_clock(clock) && (flags & TIMER_ABSTIME))
        moved.tv_sec -= ahead();
    return real(clock, flags, &moved, left);
}
