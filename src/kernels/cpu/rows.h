// Row kernels, a register of float32 at a time. Included once per instruction set; see vector.h.
#pragma once

#include "kernels/cpu/vector.h"
#include "kernels/row_kernels.h"

namespace halftone::cpu {

template <class T, int kBytes>
struct Rows {
  using V = Vector<float, kBytes>;
  using Reals = typename V::Reals;
  using Integers = typename V::Integers;
  static constexpr int width = V::width;
  typedef uint16_t Halves __attribute__((vector_size(2 * width)));

  static Reals load(const float* from) { return V::load(from); }
  static void store(float* to, Reals value) { V::store(to, value); }
  static Reals narrow(Reals value, float) { return value; }

  static Reals load(const BFloat16Bits* from) {
    Halves halves;
    __builtin_memcpy(&halves, from, sizeof halves);
    return V::reals_of(__builtin_convertvector(halves, Integers) << 16);
  }
  // To nearest, half to even; a NaN stays one.
  static Reals narrow(Reals value, BFloat16Bits) {
    const Integers raw = V::bits_of(value);
    const Integers rounded = (raw + 0x7fff + ((raw >> 16) & 1)) & ~0xffff;
    return V::select(value == value, V::reals_of(rounded), V::reals_of(raw | 0x400000));
  }
  static void store(BFloat16Bits* to, Reals value) {
    const Integers raw = V::bits_of(narrow(value, BFloat16Bits{})) >> 16;
    const Halves halves = __builtin_convertvector(raw & 0xffff, Halves);
    __builtin_memcpy(to, &halves, sizeof halves);
  }
  static Reals narrow(Reals value) { return narrow(value, T{}); }

  // `count` < width elements, zeros behind them.
  static Reals load_some(const T* from, int64_t count) {
    T padded[width] = {};
    for (int64_t i = 0; i < count; ++i) padded[i] = from[i];
    return load(padded);
  }
  static void store_some(T* to, Reals value, int64_t count) {
    T padded[width];
    store(padded, value);
    for (int64_t i = 0; i < count; ++i) to[i] = padded[i];
  }

  static Reals load_up_to(const T* from, int64_t count) {
    return count == width ? load(from) : load_some(from, count);
  }
  static void store_up_to(T* to, Reals value, int64_t count) {
    count == width ? store(to, value) : store_some(to, value, count);
  }
  // work(at, some) for the elements of a row, `some` <= width of them from `at` on.
  template <class Work>
  static void for_each_part(int64_t count, Work work) {
    int64_t i = 0;
    for (; i + width <= count; i += width) work(i, width);
    if (i < count) work(i, count - i);
  }

  // out[i] = function(x[i], y[i])
  template <class Function>
  static void zip(int64_t count, const T* x, const T* y, T* out, Function function) {
    for_each_part(count, [&](int64_t at, int64_t some) {
      store_up_to(out + at, function(load_up_to(x + at, some), load_up_to(y + at, some)), some);
    });
  }

  static float square_sum(const T* x, int64_t count) {
    constexpr int kSums = 4;  // independent, so that additions overlap
    Reals sums[kSums] = {};
    int64_t i = 0;
    for (; i + kSums * width <= count; i += kSums * width)
      for (int k = 0; k < kSums; ++k) {
        const Reals value = load(x + i + k * width);
        sums[k] += value * value;
      }
    for (; i < count; i += width) {
      const Reals value = i + width <= count ? load(x + i) : load_some(x + i, count - i);
      sums[0] += value * value;
    }
    const Reals all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    float total = 0;
    for (int lane = 0; lane < width; ++lane) total += all[lane];
    return total;
  }

  static void rms_norm(int64_t rows, int64_t count, const T* x, const T* weight, float epsilon,
                       T* out) {
    for (int64_t row = 0; row < rows; ++row, x += count, out += count) {
      const float mean = square_sum(x, count) / static_cast<float>(count);
      const Reals scale = V::all(1.0F / __builtin_sqrtf(mean + epsilon));
      zip(count, x, weight, out, [&](Reals a, Reals w) { return narrow(a * scale) * w; });
    }
  }

  // y = x r w with r = (mean(x^2) + epsilon)^(-1/2), so dx = r (u - x r^2 mean(u x)) with u = w dy.
  static void rms_norm_gradient(int64_t rows, int64_t count, const T* x, const T* weight,
                                float epsilon, const T* gradient, T* out) {
    const auto size = static_cast<float>(count);
    for (int64_t row = 0; row < rows; ++row, x += count, gradient += count, out += count) {
      const float scale = 1.0F / __builtin_sqrtf(square_sum(x, count) / size + epsilon);
      const double product = long_sum(count, [&](int64_t at, int64_t some) {
        return load_up_to(x + at, some) * load_up_to(weight + at, some) *
               load_up_to(gradient + at, some);
      });
      const Reals all = V::all(scale),
                  along = V::all(scale * scale * static_cast<float>(product) / size);
      for_each_part(count, [&](int64_t at, int64_t some) {
        const Reals u = load_up_to(weight + at, some) * load_up_to(gradient + at, some);
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

  // exp, relative error about 1e-7 for x in [-87, 88]; clamped there (polynomial: Cephes, expf).
  static Reals exponential(Reals x) {
    x = V::smaller(V::larger(x, V::all(-87.0F)), V::all(88.0F));
    const Reals n = V::rint(x * 1.44269504F);
    const Reals r = (x - n * 0.693359375F) + n * 2.12194440e-4F;  // ln 2 in two parts
    Reals p = 1.3981999507e-3F + r * 1.9875691500e-4F;
    p = 8.3334519073e-3F + r * p;
    p = 4.1665795894e-2F + r * p;
    p = 1.6666665459e-1F + r * p;
    p = 5.0000001201e-1F + r * p;
    const Reals mantissa = (1.0F + r) + (r * r) * p;
    const Integers power = V::bits_of(n + (Bits<float>::shifter + 127)) << 23;  // 2^n
    return mantissa * V::reals_of(power);
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

  // Float32 sums are moved to float64 after this many elements.
  static constexpr int64_t kRun = 64 * width;

  static double sum_of(Reals values) {
    double total = 0;
    for (int lane = 0; lane < width; ++lane) total += static_cast<double>(values[lane]);
    return total;
  }

  // Sum over a row of term(at, some), the values of the `some` <= width elements from `at` on.
  template <class Term>
  static double long_sum(int64_t count, Term term) {
    double total = 0;
    for (int64_t begin = 0; begin < count; begin += kRun) {
      const int64_t end = count - begin < kRun ? count : begin + kRun;
      Reals sum = {};
      int64_t i = begin;
      for (; i + width <= end; i += width) sum += term(i, width);
      if (i < end) {
        const Reals last = term(i, end - i);
        for (int lane = 0; lane < end - i; ++lane) sum[lane] += last[lane];
      }
      total += sum_of(sum);
    }
    return total;
  }

  static float only(const T& x) { return load_some(&x, 1)[0]; }

  // NaN if one is among them.
  static float greatest_of(int64_t count, const T* logits) {
    Reals most = V::all(-__builtin_inff());
    Integers ordered = most == most;
    int64_t i = 0;
    for (; i + width <= count; i += width) {
      const Reals x = load(logits + i);
      most = V::larger(x, most);
      ordered &= x == x;
    }
    float greatest = -__builtin_inff();
    bool is_number = !V::any(~ordered);
    for (int lane = 0; lane < width; ++lane)
      greatest = most[lane] > greatest ? most[lane] : greatest;
    for (; i < count; ++i) {
      const float x = only(logits[i]);
      greatest = x > greatest ? x : greatest;
      is_number &= x == x;
    }
    return is_number ? greatest : __builtin_nanf("");
  }

  static int64_t first_equal(int64_t count, const T* x, float value) {
    int64_t i = 0;
    while (i + width <= count && !V::any(load(x + i) == V::all(value))) i += width;
    while (i + 1 < count && only(x[i]) != value) ++i;
    return i < count ? i : 0;
  }

  static double log_sum_of(int64_t count, const T* logits, float greatest) {
    const Reals shift = V::all(greatest);
    const double sum = long_sum(count, [&](int64_t at, int64_t some) {
      return exponential(load_up_to(logits + at, some) - shift);
    });
    return static_cast<double>(greatest) + __builtin_log(sum);
  }

  static LogitSummary summarize(int64_t count, const T* logits) {
    const float greatest = greatest_of(count, logits);
    return {first_equal(count, logits, greatest), log_sum_of(count, logits, greatest)};
  }

  static double cross_entropy(int64_t count, const T* logits, int64_t label, T* out) {
    const double log_sum = log_sum_of(count, logits, greatest_of(count, logits));
    const Reals shift = V::all(static_cast<float>(log_sum));
    const double rounding = __builtin_exp(static_cast<double>(shift[0]) - log_sum);
    const auto probability = [&](Reals x) {
      return exponential(x - shift) * static_cast<float>(rounding);
    };
    const T own = logits[label];
    for_each_part(count, [&](int64_t at, int64_t some) {
      store_up_to(out + at, probability(load_up_to(logits + at, some)), some);
    });
    store_some(out + label, probability(load_some(&own, 1)) - 1.0F, 1);
    return log_sum - static_cast<double>(only(own));
  }

  static void scale(int64_t count, const T* x, float factor, T* out) {
    for_each_part(count, [&](int64_t at, int64_t some) {
      store_up_to(out + at, load_up_to(x + at, some) * factor, some);
    });
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

  static double divergence(int64_t count, const T* p, double p_log_sum, const T* q,
                           double q_log_sum) {
    const Reals shift = V::all(static_cast<float>(p_log_sum));
    const double mean = long_sum(count, [&](int64_t at, int64_t some) {
      const Reals own = load_up_to(p + at, some);
      return exponential(own - shift) * (own - load_up_to(q + at, some));
    });
    // `shift` is rounded
    const double rounding = static_cast<double>(shift[0]) - p_log_sum;
    return mean * __builtin_exp(rounding) - (p_log_sum - q_log_sum);
  }
};

template <class T, int kBytes>
RowKernels<T> row_kernels_of() {
  using Loops = Rows<T, kBytes>;
  return {Loops::rms_norm,
          Loops::rms_norm_gradient,
          Loops::rotate,
          Loops::gated_silu,
          Loops::gated_silu_gradient,
          Loops::summarize,
          Loops::cross_entropy,
          Loops::scale,
          Loops::add_squares,
          Loops::divergence};
}

RowKernels<float> row_kernels_portable(float);
RowKernels<BFloat16Bits> row_kernels_portable(BFloat16Bits);
RowKernels<float> row_kernels_avx2(float);
RowKernels<BFloat16Bits> row_kernels_avx2(BFloat16Bits);
RowKernels<float> row_kernels_avx512(float);
RowKernels<BFloat16Bits> row_kernels_avx512(BFloat16Bits);

}  // namespace halftone::cpu
