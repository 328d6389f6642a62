// Tensors as raw rows, for the kernels of kernels/row_kernels.h.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/row_kernels.h"

namespace halftone {

// Whether the row kernels can read x: float32 or bfloat16, one row after another, on the CPU.
inline bool lies_in_rows(const at::Tensor& x) {
  const bool known = x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
  return known && x.is_cpu() && x.is_contiguous();
}

// work(T{}) for the type that the kernels know x's elements by.   x: lies in rows
template <class Work>
void with_type_of(const at::Tensor& x, Work&& work) {
  if (x.scalar_type() == at::kFloat)
    work(float{});
  else
    work(BFloat16Bits{});
}

template <class T>
const T* numbers(const at::Tensor& x) {
  return static_cast<const T*>(x.const_data_ptr());
}

template <class T>
T* numbers_of(at::Tensor& x) {
  return static_cast<T*>(x.mutable_data_ptr());
}

}  // namespace halftone
