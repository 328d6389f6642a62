// The element-wise layers of a transformer block with their gradients, and what is summed of a
// layer's inputs. Included once per instruction set; see vector.h.
#pragma once

#include "kernels/cpu/rows.h"

namespace halftone::cpu {

template <class T, int kBytes>
struct LayerRows : Rows<T, kBytes> {
  using Base = Rows<T, kBytes>;
  using Base::exponential, Base::for_each_part, Base::load_up_to, Base::long_sum, Base::narrow,
      Base::square_sum, Base::store_up_to, Base::width, Base::zip;
  using typename Base::Reals, typename Base::V;

  static void rms_norm(int64_t rows, int64_t count, const T* x, const T* weight, float offset,
                       float epsilon, T* out) {
    for (int64_t row = 0; row < rows; ++row, x += count, out += count) {
      const float mean = square_sum(x, count) / static_cast<float>(count);
      const Reals scale = V::all(1.0F / __builtin_sqrtf(mean + epsilon));
      zip(count, x, weight, out,
          [&](Reals a, Reals w) { return narrow(a * scale) * (w + offset); });
    }
  }

  // y = x r w with r = (mean(x^2) + epsilon)^(-1/2), so dx = r (u - x r^2 mean(u x)) with u = w dy,
  // w with its offset.
  static void rms_norm_gradient(int64_t rows, int64_t count, const T* x, const T* weight,
                                float offset, float epsilon, const T* gradient, T* out) {
    const auto size = static_cast<float>(count);
    for (int64_t row = 0; row < rows; ++row, x += count, gradient += count, out += count) {
      const float scale = 1.0F / __builtin_sqrtf(square_sum(x, count) / size + epsilon);
      const double product = long_sum(count, [&](int64_t at, int64_t some) {
        return load_up_to(x + at, some) * (load_up_to(weight + at, some) + offset) *
               load_up_to(gradient + at, some);
      });
      const Reals all = V::all(scale),
                  along = V::all(scale * scale * static_cast<float>(product) / size);
      for_each_part(count, [&](int64_t at, int64_t some) {
        const Reals u = (load_up_to(weight + at, some) + offset) * load_up_to(gradient + at, some);
        store_up_to(out + at, all * (u - load_up_to(x + at, some) * along), some);
      });
    }
  }

  static void rotate(int64_t heads, int64_t head_dim, const T* x, int64_t x_stride, const T* cosine,
                     const T* sine, int64_t out_stride, T* out) {
    const int64_t half = head_dim / 2;
    for (int64_t head = 0; head < heads; ++head, x += x_stride, out += out_stride)
      for (int64_t i = 0; i < half; i += width) {
        const int64_t count = half - i < width ? half - i : width;
        const auto take = [&](const T* from) { return load_up_to(from, count); };
        const auto put = [&](T* to, Reals value) { store_up_to(to, value, count); };
        const Reals low = take(x + i), high = take(x + half + i);
        put(out + i, narrow(low * take(cosine + i)) - narrow(high * take(sine + i)));
        put(out + half + i,
            narrow(high * take(cosine + half + i)) + narrow(low * take(sine + half + i)));
      }
  }

  static void gated_silu(int64_t count, const T* gate, const T* up, T* out) {
    zip(count, gate, up, out,
        [](Reals g, Reals u) { return narrow(g / (1.0F + exponential(-g))) * u; });
  }

  // silu(g) = g s with s = 1 / (1 + exp(-g)), so silu'(g) = s (1 + g (1 - s)).
  static void gated_silu_gradient(int64_t count, const T* gate, const T* up, const T* gradient,
                                  T* at_gate, T* at_up) {
    for_each_part(count, [&](int64_t at, int64_t some) {
      const Reals g = load_up_to(gate + at, some), dy = load_up_to(gradient + at, some);
      const Reals s = 1.0F / (1.0F + exponential(-g));
      const Reals slope = s * (1.0F + g * (1.0F - s));
      store_up_to(at_gate + at, dy * load_up_to(up + at, some) * slope, some);
      store_up_to(at_up + at, dy * (g * s), some);
    });
  }

  static void scale(int64_t count, const T* x, float factor, T* out) {
    for_each_part(count, [&](int64_t at, int64_t some) {
      store_up_to(out + at, load_up_to(x + at, some) * factor, some);
    });
  }

  static bool split(int64_t count, const T* x, float factor, BFloat16Bits* high,
                    BFloat16Bits* low) {
    using Halves = Rows<BFloat16Bits, kBytes>;
    typename V::Integers seen{};
    for_each_part(count, [&](int64_t at, int64_t some) {
      const Reals value = load_up_to(x + at, some) * factor;
      const Reals rest = value - Halves::narrow(value);
      Halves::store_up_to(high + at, value, some);
      Halves::store_up_to(low + at, rest, some);
      seen |= rest != 0;
    });
    return V::any(seen);
  }

  static float add_squares(int64_t count, const T* x, float weight, float* sums) {
    if (sums != nullptr)
      for_each_part(count, [&](int64_t at, int64_t some) {
        using Sums = Rows<float, kBytes>;
        const Reals value = load_up_to(x + at, some);
        const Reals sum = Sums::load_up_to(sums + at, some);
        Sums::store_up_to(sums + at, sum + weight * (value * value), some);
      });
    return square_sum(x, count);
  }
};

}  // namespace halftone::cpu
