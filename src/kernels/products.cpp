#include "kernels/products.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <vector>

#include "kernels/mixed_product.h"

// BLAS, part of libtorch on x86; null in programs without it. C (m, n) = alpha op(A) op(B) + beta
// C, columns lying one after another.
extern "C" void sgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n,
                       const int* k, const float* alpha, const float* a, const int* lda,
                       const float* b, const int* ldb, const float* beta, float* c, const int* ldc)
    __attribute__((weak));

// oneMKL's: threads of this thread's calls, 0 for as many as the others have; returns what it was.
extern "C" int MKL_Set_Num_Threads_Local(int threads) __attribute__((weak));

namespace halftone {
namespace {

class OneThread {
 public:
  OneThread() : threads_(omp_get_max_threads()), before_(MKL_Set_Num_Threads_Local(1)) {
    omp_set_num_threads(1);  // the mixed product follows this, the other one that
  }
  ~OneThread() {
    MKL_Set_Num_Threads_Local(before_);
    omp_set_num_threads(threads_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int threads_, before_;
};

constexpr int kRepetitions = 4;
constexpr double kProductsOfParts = 3;

template <class Work>
double seconds_of(Work&& work) {
  const double start = processor_seconds();
  work();
  return processor_seconds() - start;
}

// a^T b of two matrices of `summed` rows.
ProductTimes measure(int64_t rows, int64_t columns, int64_t summed) {
  const std::vector<float> a(static_cast<size_t>(summed * rows), 1.0F);
  const std::vector<float> b(static_cast<size_t>(summed * columns), 1.0F);
  const std::vector<BFloat16Bits> x(a.size(), BFloat16Bits{0x3f80}), y(b.size(), x.front());
  std::vector<float> sum(static_cast<size_t>(rows * columns));
  const auto plain = [&] {  // rows that lie one after another are columns of the transpose
    const int m = static_cast<int>(columns), n = static_cast<int>(rows);
    const int k = static_cast<int>(summed);
    const float one = 1, zero = 0;
    sgemm_("N", "T", &m, &n, &k, &one, b.data(), &m, a.data(), &n, &zero, sum.data(), &m);
  };
  const auto mixed = [&] {
    add_mixed_product(rows, columns, summed, {x.data(), rows, true}, {y.data(), columns},
                      sum.data(), columns);
  };
  const OneThread one_thread;
  plain();  // pages are touched
  mixed();
  ProductTimes times{rows, columns, summed, 1e30, 1e30};
  for (int i = 0; i < kRepetitions; ++i) {
    times.float32 = std::min(times.float32, seconds_of(plain));
    times.mixed = std::min(times.mixed, seconds_of(mixed));
  }
  return times;
}

constexpr int kNotChosen = -1;
std::atomic<int> in_use = kNotChosen;

}  // namespace

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::string_view name_of(Products products) {
  return kProductsNames[static_cast<size_t>(products)];
}

std::optional<Products> products_named(std::string_view name) {
  const auto found = std::find(kProductsNames.begin(), kProductsNames.end(), name);
  if (found == kProductsNames.end()) return std::nullopt;
  return static_cast<Products>(found - kProductsNames.begin());
}

const std::array<ProductTimes, 2>& product_times() {
  static const std::array<ProductTimes, 2> times = [] {
    if (sgemm_ == nullptr || MKL_Set_Num_Threads_Local == nullptr || !has_mixed_product())
      return std::array<ProductTimes, 2>{};
    return std::array{measure(512, 512, 512), measure(256, 256, 2048)};
  }();
  return times;
}

Products clearly_fastest(const std::array<ProductTimes, 2>& times) {
  const auto all = [&](double products) {
    return std::all_of(times.begin(), times.end(), [&](const ProductTimes& of) {
      return of.mixed > 0 && of.float32 > kClearly * products * of.mixed;
    });
  };
  if (all(kProductsOfParts)) return Products::kTwoParts;
  return all(1) ? Products::kBFloat16 : Products::kFloat32;
}

Products fastest_products() {
  return clearly_fastest(product_times());
}

Products products() {
  if (in_use == kNotChosen) use_products(fastest_products());
  return static_cast<Products>(in_use.load());
}

void use_products(Products products) {
  in_use = static_cast<int>(products);
}

}  // namespace halftone
