// Static partition of independent work over threads: the same split for the same thread count, so
// results repeat.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <vector>

namespace halftone {

// Calls work(begin, end) on contiguous parts of [0, count), one part a thread: OpenMP's, which are
// libtorch's too, so that none of one pool waits while the other works. Part boundaries are
// multiples of `step`. An exception of any part is thrown on after all parts have ended.
template <class Work>
void parallel_for(int threads, int64_t count, int64_t step, Work&& work) {
  const int64_t steps = (count + step - 1) / step;
  const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(threads, steps));
  std::vector<std::exception_ptr> errors(static_cast<size_t>(parts));
  const int team = static_cast<int>(parts);
#pragma omp parallel for schedule(static, 1) num_threads(team)
  for (int64_t part = 0; part < parts; ++part) {
    try {
      const int64_t begin = steps * part / parts * step;
      const int64_t end = std::min(count, steps * (part + 1) / parts * step);
      if (begin < end) work(begin, end);
    } catch (...) {
      errors[static_cast<size_t>(part)] = std::current_exception();
    }
  }
  for (const auto& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace halftone
