// Rotating the linears of one block of an 8B model (hidden 4096, 1024 wide keys and values, 14336 =
// 28 x 512 wide MLP): by the fast transforms of matrix/orthogonal.h, and by the same matrices dense
// through the library's GEMM, in the same run and the same arithmetic.
//
//   rotation_bench [threads] [repetitions] [float32 | float64]
//
// float64 is what transform/ computes in. The two results are compared.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "matrix/orthogonal.h"
#include "timing.h"

namespace {

using namespace halftone;

// One side of one linear: W R with W of `rows` rows.
struct Side {
  const char* name;
  int64_t rows, order;
};

// Readers on their inputs, writers on their outputs (as W^T), and the down projection's inputs,
// which transform.online rotates.
constexpr Side kSides[] = {{"q_proj in", 4096, 4096},      {"k_proj in", 1024, 4096},
                           {"v_proj in", 1024, 4096},      {"o_proj out", 4096, 4096},
                           {"gate_proj in", 14336, 4096},  {"up_proj in", 14336, 4096},
                           {"down_proj out", 14336, 4096}, {"down_proj in", 4096, 14336}};

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  const int repetitions = argc > 2 ? std::atoi(argv[2]) : 3;
  const bool narrow = argc > 3 && std::strcmp(argv[3], "float32") == 0;
  const at::ScalarType type = narrow ? at::kFloat : at::kDouble;
  at::set_num_threads(threads);
  at::manual_seed(0);
  std::printf("one block of an 8B model, %d threads, %s, least of %d\n", threads,
              narrow ? "float32" : "float64", repetitions);
  double fast_total = 0, dense_total = 0;
  at::Tensor dense;
  for (const Side& side : kSides) {
    const KroneckerMatrix matrix = hadamard(side.order, 0);
    if (!dense.defined() || dense.size(0) != side.order) {
      dense = at::Tensor();  // the old one goes before the new one comes
      dense = matrix.dense().to(type);
    }
    const at::Tensor weight = at::randn({side.rows, side.order}, type);
    at::Tensor by_fast, by_dense;
    const double fast = least_seconds(repetitions, [&] { by_fast = multiply(weight, matrix); });
    const double slow = least_seconds(repetitions, [&] { by_dense = weight.mm(dense); });
    fast_total += fast;
    dense_total += slow;
    std::printf("%-14s %5lld x %5lld %-18s fast %7.3f s  dense %7.3f s  %5.1f times  differ %.1e\n",
                side.name, static_cast<long long>(side.rows), static_cast<long long>(side.order),
                describe_hadamard(side.order).c_str(), fast, slow, slow / fast,
                (by_fast - by_dense).abs().max().item<double>());
    std::fflush(stdout);
  }
  std::printf("all together: fast %.3f s, dense %.3f s: %.1f times as fast\n", fast_total,
              dense_total, dense_total / fast_total);
}
