#include "model/fused_layers.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/Parallel.h>

#include "kernels/row_kernels.h"

namespace halftone {
namespace {

constexpr int64_t kElementsPerTask = 1 << 15;

template <class T>
const T* numbers(const at::Tensor& x) {
  return static_cast<const T*>(x.const_data_ptr());
}

template <class T>
T* numbers_of(at::Tensor& x) {
  return static_cast<T*>(x.mutable_data_ptr());
}

// work(T) for the type that holds x's elements.
template <class Work>
void with_type_of(const at::Tensor& x, Work&& work) {
  if (x.scalar_type() == at::kFloat)
    work(float{});
  else
    work(BFloat16Bits{});
}

int64_t rows_per_task(int64_t width) {
  return std::max<int64_t>(1, kElementsPerTask / width);
}

}  // namespace

bool can_fuse(const at::Tensor& x) {
  const bool known = x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
  return known && x.is_cpu() && x.is_contiguous() &&
         !(at::GradMode::is_enabled() && x.requires_grad());
}

at::Tensor fused_rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  at::Tensor out = at::empty_like(x);
  const int64_t width = x.size(-1), rows = x.numel() / width;
  with_type_of(x, [&]<class T>(T) {
    const RowKernels<T> kernels = row_kernels<T>();
    const T *from = numbers<T>(x), *scale = numbers<T>(weight);
    T* to = numbers_of<T>(out);
    at::parallel_for(0, rows, rows_per_task(width), [&](int64_t begin, int64_t end) {
      kernels.rms_norm(end - begin, width, from + begin * width, scale, static_cast<float>(epsilon),
                       to + begin * width);
    });
  });
  return out;
}

at::Tensor fused_rope(const at::Tensor& x, int64_t heads, const RopeTable& table) {
  const int64_t batch = x.size(0), length = x.size(1), width = x.size(2), dim = width / heads;
  at::Tensor out = at::empty({batch, heads, length, dim}, x.options());
  with_type_of(x, [&]<class T>(T) {
    const RowKernels<T> kernels = row_kernels<T>();
    const T *from = numbers<T>(x), *cosine = numbers<T>(table.cos), *sine = numbers<T>(table.sin);
    T* to = numbers_of<T>(out);
    at::parallel_for(0, batch * length, rows_per_task(width), [&](int64_t begin, int64_t end) {
      for (int64_t token = begin; token < end; ++token) {
        const int64_t sequence = token / length, position = token % length;
        kernels.rotate(heads, dim, from + token * width, cosine + position * dim,
                       sine + position * dim, length * dim,
                       to + (sequence * heads * length + position) * dim);
      }
    });
  });
  return out;
}

at::Tensor fused_gated_silu(const at::Tensor& gate, const at::Tensor& up) {
  at::Tensor out = at::empty_like(gate);
  with_type_of(gate, [&]<class T>(T) {
    const RowKernels<T> kernels = row_kernels<T>();
    const T *left = numbers<T>(gate), *right = numbers<T>(up);
    T* to = numbers_of<T>(out);
    at::parallel_for(0, gate.numel(), kElementsPerTask, [&](int64_t begin, int64_t end) {
      kernels.gated_silu(end - begin, left + begin, right + begin, to + begin);
    });
  });
  return out;
}

}  // namespace halftone
