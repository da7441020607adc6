/* Shifts the clocks of a process by what stands in a file: two numbers of milliseconds, for the wall clock and for the
   monotonic clock. Loaded before the C library. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile long long *offsets(void) {
    static const volatile long long *shown;
    if (!shown) {
        const char *path = getenv("CLOCK_OFFSETS");
        int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *map = file < 0 ? MAP_FAILED : mmap(0, 16, PROT_READ, MAP_SHARED, file, 0);
        if (map == MAP_FAILED)
            abort();
        close(file);
        shown = map;
    }
    return shown;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    long failed = syscall(SYS_clock_gettime, clock, time);
    if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC))
        return (int)failed;
    long long ms = offsets()[clock == CLOCK_MONOTONIC];
    time->tv_sec += ms / 1000;
    time->tv_nsec += ms % 1000 * 1000000;
    if (time->tv_nsec < 0) {
        time->tv_nsec += 1000000000;
        time->tv_sec--;
    } else if (time->tv_nsec >= 1000000000) {
        time->tv_nsec -= 1000000000;
        time->tv_sec++;
    }
    return 0;
}
