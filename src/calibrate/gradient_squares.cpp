#include "calibrate/gradient_squares.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "model/row_access.h"

namespace halftone {
namespace {

constexpr int64_t kTokensPerTask = 128;  // summed in float32, then in float64 with the rest

// -> (tasks, out) float32, the weighted squares of each task's tokens; means as in GradientSquares
at::Tensor sum_rows(const at::Tensor& delta, const at::Tensor& weights,
                    const std::vector<int64_t>& runs, at::Tensor& means) {
  const int64_t out = delta.size(2), tokens = delta.numel() / out;
  const int64_t tasks = (tokens + kTokensPerTask - 1) / kTokensPerTask;
  at::Tensor sums = at::zeros({tasks, out}, at::kFloat);
  with_type_of(delta, [&]<class T>(T) {
    const RowKernels<T> kernels = row_kernels<T>();
    const T* first = numbers<T>(delta);
    const float* weight = weights.const_data_ptr<float>();
    float *sum = sums.mutable_data_ptr<float>(), *mean = means.mutable_data_ptr<float>();
    at::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t token = begin * kTokensPerTask; token < std::min(end * kTokensPerTask, tokens);
           ++token)
        for (size_t run = 0; run + 1 < runs.size(); ++run) {
          const int64_t count = runs[run + 1] - runs[run];
          const float total =
              kernels.add_squares(count, first + token * out + runs[run], weight[token],
                                  sum + token / kTokensPerTask * out + runs[run]);
          mean[static_cast<int64_t>(run) * tokens + token] = total / static_cast<float>(count);
        }
    });
  });
  return sums;
}

}  // namespace

at::Tensor squared_lengths(const at::Tensor& x) {
  if (!lies_in_rows(x)) return x.to(at::kFloat).square().sum(-1);
  const int64_t width = x.size(2), tokens = x.numel() / width;
  at::Tensor lengths = at::empty({x.size(0), x.size(1)}, at::kFloat);
  with_type_of(x, [&]<class T>(T) {
    const RowKernels<T> kernels = row_kernels<T>();
    const T* first = numbers<T>(x);
    float* to = lengths.mutable_data_ptr<float>();
    at::parallel_for(0, tokens, kTokensPerTask, [&](int64_t begin, int64_t end) {
      for (int64_t token = begin; token < end; ++token)
        to[token] = kernels.add_squares(width, first + token * width, 0, nullptr);
    });
  });
  return lengths;
}

GradientSquares gradient_squares(const at::Tensor& delta, const at::Tensor& weights,
                                 const std::vector<int64_t>& runs) {
  const auto groups = static_cast<int64_t>(runs.size()) - 1;
  at::Tensor means =
      at::empty({groups, delta.size(0), delta.size(1)}, weights.options().dtype(at::kFloat));
  if (lies_in_rows(delta))
    return {means, sum_rows(delta, weights.contiguous(), runs, means).sum(0, false, at::kDouble)};
  const at::Tensor squares = delta.to(at::kFloat).square();
  for (int64_t run = 0; run < groups; ++run) {
    const auto at = static_cast<size_t>(run);
    means[run].copy_(squares.narrow(2, runs[at], runs[at + 1] - runs[at]).mean(-1));
  }
  return {means, (squares * weights.unsqueeze(2)).sum(at::IntArrayRef({0, 1}), false, at::kDouble)};
}

}  // namespace halftone
