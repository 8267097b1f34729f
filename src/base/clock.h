/* clock.h - units of time. Time is data here: a uint64_t of nanoseconds on a monotonic clock that
 * goes on while the machine sleeps (CLOCK_BOOTTIME). Reading the clock is io's business. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define TIME_NEVER UINT64_MAX /* a deadline that does not come */

#endif
