/* Three threads that do nothing but read the time, and judge each reading: a stand-in for a busy database.

   Monotonic time is the measure, for it is never changed: realtime minus monotonic must be the true difference, or that
   plus one of the offsets given as arguments (in ms), within a tolerance for being scheduled away between two calls.
   Prints "calls skewed wrong torn" at the end of stdin. `torn` counts readings whose nanoseconds are no fraction. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static atomic_long calls, skewed, wrong, torn;
static atomic_int over;
static long long offsets_ms[8];
static int count;
static long long base_ns;

static long long ns(struct timespec t) { return t.tv_sec * 1000000000LL + t.tv_nsec; }

static int judge(long long delta_ns, long long tolerance_ns) {
    if (llabs(delta_ns) <= tolerance_ns) return 0;
    for (int i = 0; i < count; i++)
        if (llabs(delta_ns - offsets_ms[i] * 1000000LL) <= tolerance_ns) return 1;
    return -1;
}

static void *loop(void *unused) {
    (void)unused;
    while (!over) {
        struct timespec mono, real, coarse;
        struct timeval day;
        clock_gettime(CLOCK_MONOTONIC, &mono);
        clock_gettime(CLOCK_REALTIME, &real);
        clock_gettime(CLOCK_REALTIME_COARSE, &coarse);
        gettimeofday(&day, NULL);
        time_t seconds = time(NULL);
        struct timespec after;
        clock_gettime(CLOCK_MONOTONIC, &after);
        calls += 5;
        if ((unsigned long)real.tv_nsec > 999999999UL || (unsigned long)day.tv_usec > 999999UL) torn++;
        if (ns(after) - ns(mono) > 100000000LL) continue; /* scheduled away: proves nothing */
        long long start = base_ns + ns(mono), slack = 200000000LL;
        int seen[4] = {judge(ns(real) - start, slack), judge(ns(coarse) - start, slack),
                       judge(day.tv_sec * 1000000000LL + day.tv_usec * 1000LL - start, slack),
                       judge(seconds * 1000000000LL + 500000000LL - start, slack + 500000000LL)};
        for (int i = 0; i < 4; i++) {
            if (seen[i] == 1) skewed++;
            if (seen[i] < 0) wrong++;
        }
    }
    return NULL;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc && i < 9; i++) offsets_ms[count++] = atoll(argv[i]);
    struct timespec mono, real;
    clock_gettime(CLOCK_REALTIME, &real);
    clock_gettime(CLOCK_MONOTONIC, &mono);
    base_ns = ns(real) - ns(mono);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, loop, NULL);
    while (access("stop", F_OK) != 0) usleep(20000);
    over = 1;
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    printf("%ld %ld %ld %ld\n", calls, skewed, wrong, torn);
    return 0;
}
