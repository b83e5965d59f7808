// SPDX-License-Identifier: MIT
//
// Boost.Coroutine2: stackful generators, no scheduler.
#include "../../measure.h"
#include <boost/coroutine2/all.hpp>
using coroutine = boost::coroutines2::coroutine<uint64_t>;

int main(int argc, char **argv)
{
    const uint64_t n = 20000000;
    uint64_t sum = 0;
    if (argc < 2 || strcmp(argv[1], "generator"))
        return 2;
    coroutine::pull_type naturals([](coroutine::push_type &yield) {
        for (uint64_t i = 0;; i++)
            yield(i);
    });
    double started = wall_seconds();
    for (uint64_t i = 0; i < n; i++) {
        sum += naturals.get();
        naturals();
    }
    result("generator", "coroutine2", ns_each(started, (double)n), "ns");
    return sum != n * (n - 1) / 2;
}
