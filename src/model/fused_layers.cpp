#include "model/fused_layers.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/row_access.h"

namespace halftone {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::Variable;
using torch::autograd::variable_list;

constexpr int64_t kElementsPerTask = 1 << 15;

int64_t rows_per_task(int64_t width) {
  return std::max<int64_t>(1, kElementsPerTask / width);
}

// What is added to a norm's weight, and under its root.
struct NormNumbers {
  double epsilon, offset;
};

at::Tensor normalize(const at::Tensor& x, const at::Tensor& weight, NormNumbers norm) {
  at::Tensor out = at::empty_like(x);
  const int64_t width = x.size(-1), rows = x.numel() / width;
  with_type_of(x, [&]<class T>(T) {
    const RowKernels<T> kernels = row_kernels<T>();
    const T *from = numbers<T>(x), *scale = numbers<T>(weight);
    T* to = numbers_of<T>(out);
    at::parallel_for(0, rows, rows_per_task(width), [&](int64_t begin, int64_t end) {
      kernels.rms_norm(end - begin, width, from + begin * width, scale,
                       static_cast<float>(norm.offset), static_cast<float>(norm.epsilon),
                       to + begin * width);
    });
  });
  return out;
}

// gradient: contiguous, like x
at::Tensor normalize_backward(const at::Tensor& x, const at::Tensor& weight, NormNumbers norm,
                              const at::Tensor& gradient) {
  at::Tensor out = at::empty_like(x);
  const int64_t width = x.size(-1), rows = x.numel() / width;
  with_type_of(x, [&]<class T>(T) {
    const RowKernels<T> kernels = row_kernels<T>();
    const T *from = numbers<T>(x), *scale = numbers<T>(weight), *back = numbers<T>(gradient);
    T* to = numbers_of<T>(out);
    at::parallel_for(0, rows, rows_per_task(width), [&](int64_t begin, int64_t end) {
      kernels.rms_norm_gradient(end - begin, width, from + begin * width, scale,
                                static_cast<float>(norm.offset), static_cast<float>(norm.epsilon),
                                back + begin * width, to + begin * width);
    });
  });
  return out;
}

// Every head of every token in x to its place in out, turned as far as the table is wide.   x, out:
// (batch, length, heads, head_dim) with any strides but the last; cos, sin: (length, rotary_dim)
void turn(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, at::Tensor out) {
  const int64_t length = x.size(1), heads = x.size(2), dim = cos.size(1);
  if (const int64_t rest = x.size(3) - dim; rest > 0)
    out.narrow(3, dim, rest).copy_(x.narrow(3, dim, rest));
  with_type_of(x, [&]<class T>(T) {
    const RowKernels<T> kernels = row_kernels<T>();
    const T *from = numbers<T>(x), *cosine = numbers<T>(cos), *sine = numbers<T>(sin);
    T* to = numbers_of<T>(out);
    const int64_t tokens = x.size(0) * length;
    at::parallel_for(0, tokens, rows_per_task(heads * dim), [&](int64_t begin, int64_t end) {
      for (int64_t token = begin; token < end; ++token) {
        const int64_t sequence = token / length, position = token % length;
        kernels.rotate(heads, dim, from + sequence * x.stride(0) + position * x.stride(1),
                       x.stride(2), cosine + position * dim, sine + position * dim, out.stride(2),
                       to + sequence * out.stride(0) + position * out.stride(1));
      }
    });
  });
}

// x: (batch, length, heads * head_dim) -> (batch, heads, length, head_dim)
at::Tensor turn_heads(const at::Tensor& x, int64_t heads, const RopeTable& table) {
  const int64_t batch = x.size(0), length = x.size(1), dim = x.size(2) / heads;
  const at::Tensor out = at::empty({batch, heads, length, dim}, x.options());
  turn(x.view({batch, length, heads, dim}), table.cos, table.sin, out.transpose(1, 2));
  return out;
}

// The turn is orthogonal: its gradient goes back by the opposite angle.   gradient: as turn_heads
// gives -> as it takes
at::Tensor turn_heads_back(const at::Tensor& gradient, const at::Tensor& cos,
                           const at::Tensor& sin) {
  const int64_t batch = gradient.size(0), heads = gradient.size(1), length = gradient.size(2),
                dim = gradient.size(3);
  const at::Tensor out = at::empty({batch, length, heads, dim}, gradient.options());
  const at::Tensor rows = gradient.stride(3) == 1 ? gradient : gradient.contiguous();
  turn(rows.transpose(1, 2), cos, sin.neg(), out);
  return out.view({batch, length, heads * dim});
}

at::Tensor gate(const at::Tensor& gate, const at::Tensor& up) {
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

// gradient: contiguous, like gate and up
variable_list gate_backward(const at::Tensor& gate, const at::Tensor& up,
                            const at::Tensor& gradient) {
  at::Tensor at_gate = at::empty_like(gate), at_up = at::empty_like(up);
  with_type_of(gate, [&]<class T>(T) {
    const RowKernels<T> kernels = row_kernels<T>();
    const T *left = numbers<T>(gate), *right = numbers<T>(up), *back = numbers<T>(gradient);
    T *to_left = numbers_of<T>(at_gate), *to_right = numbers_of<T>(at_up);
    at::parallel_for(0, gate.numel(), kElementsPerTask, [&](int64_t begin, int64_t end) {
      kernels.gated_silu_gradient(end - begin, left + begin, right + begin, back + begin,
                                  to_left + begin, to_right + begin);
    });
  });
  return {at_gate, at_up};
}

// The three as autograd sees them: what they keep is what they were given.

struct RmsNorm : Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            double epsilon, double offset) {
    context->save_for_backward({x, weight});
    context->saved_data["epsilon"] = epsilon;
    context->saved_data["offset"] = offset;
    return normalize(x, weight, {epsilon, offset});
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const NormNumbers norm{context->saved_data["epsilon"].toDouble(),
                           context->saved_data["offset"].toDouble()};
    return {normalize_backward(saved[0], saved[1], norm, gradients[0].contiguous()), Variable(),
            Variable(), Variable()};
  }
};

struct Rope : Function<Rope> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, int64_t heads,
                            const at::Tensor& cos, const at::Tensor& sin) {
    context->save_for_backward({cos, sin});
    return turn_heads(x, heads, {cos, sin});
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    return {turn_heads_back(gradients[0], saved[0], saved[1]), Variable(), Variable(), Variable()};
  }
};

struct GatedSilu : Function<GatedSilu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& left,
                            const at::Tensor& right) {
    context->save_for_backward({left, right});
    return gate(left, right);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    return gate_backward(saved[0], saved[1], gradients[0].contiguous());
  }
};

}  // namespace

at::Tensor fused_rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                          double offset) {
  return RmsNorm::apply(x, weight, epsilon, offset);
}

at::Tensor fused_rope(const at::Tensor& x, int64_t heads, const RopeTable& table) {
  return Rope::apply(x, heads, table.cos, table.sin);
}

at::Tensor fused_gated_silu(const at::Tensor& gate, const at::Tensor& up) {
  return GatedSilu::apply(gate, up);
}

}  // namespace halftone
