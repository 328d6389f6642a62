#include "base/parallel.h"

#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace halftone {
namespace {

TEST(ParallelFor, VisitsEveryIndexOnceInPartsThatBeginAtSteps) {
  for (const int threads : {1, 2, 3, 8})
    for (const int64_t count : {0, 1, 15, 16, 100}) {
      std::vector<int> visits(static_cast<size_t>(count));
      parallel_for(threads, count, 16, [&](int64_t begin, int64_t end) {
        EXPECT_EQ(begin % 16, 0);
        for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
      });
      EXPECT_EQ(visits, std::vector<int>(static_cast<size_t>(count), 1));
    }
}

TEST(ParallelFor, RunsEveryPartOnAThreadOfItsOwn) {
  std::set<std::thread::id> threads;
  std::mutex mutex;
  parallel_for(3, 3, 1, [&](int64_t, int64_t) {
    const std::lock_guard<std::mutex> lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  EXPECT_EQ(threads.size(), 3);
}

TEST(ParallelFor, ThrowsOnWhatAnyPartThrowsAfterAllHaveEnded) {
  std::vector<int> ended(4);
  EXPECT_THROW(parallel_for(4, 4, 1,
                            [&](int64_t begin, int64_t) {
                              ended[static_cast<size_t>(begin)] = 1;
                              if (begin == 2) throw std::runtime_error("part");
                            }),
               std::runtime_error);
  EXPECT_EQ(ended, std::vector<int>(4, 1));
}

}  // namespace
}  // namespace halftone
