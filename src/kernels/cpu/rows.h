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

  // out[i] = function(x[i], y[i])
  template <class Function>
  static void zip(int64_t count, const T* x, const T* y, T* out, Function function) {
    int64_t i = 0;
    for (; i + width <= count; i += width) store(out + i, function(load(x + i), load(y + i)));
    if (i < count)
      store_some(out + i, function(load_some(x + i, count - i), load_some(y + i, count - i)),
                 count - i);
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

  static void rotate(int64_t heads, int64_t head_dim, const T* x, const T* cosine, const T* sine,
                     int64_t stride, T* out) {
    const int64_t half = head_dim / 2;
    for (int64_t head = 0; head < heads; ++head, x += head_dim, out += stride)
      for (int64_t i = 0; i < half; i += width) {
        const int64_t count = half - i < width ? half - i : width;
        const bool whole = count == width;
        const auto take = [&](const T* from) {
          return whole ? load(from) : load_some(from, count);
        };
        const auto put = [&](T* to, Reals value) {
          whole ? store(to, value) : store_some(to, value, count);
        };
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
  static Reals load_up_to(const T* from, int64_t count) {
    return count == width ? load(from) : load_some(from, count);
  }

  static LogitSummary summarize(int64_t count, const T* logits) {
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
      const float x = load_some(logits + i, 1)[0];
      greatest = x > greatest ? x : greatest;
      is_number &= x == x;
    }
    LogitSummary summary;
    while (summary.greatest + 1 < count && load_some(logits + summary.greatest, 1)[0] != greatest)
      ++summary.greatest;
    const Reals shift = V::all(greatest);
    const double sum = long_sum(count, [&](int64_t at, int64_t some) {
      return exponential(load_up_to(logits + at, some) - shift);
    });
    summary.log_sum = is_number ? static_cast<double>(greatest) + __builtin_log(sum)
                                : static_cast<double>(__builtin_nanf(""));
    return summary;
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
  return {Loops::rms_norm, Loops::rotate, Loops::gated_silu, Loops::summarize, Loops::divergence};
}

RowKernels<float> row_kernels_portable(float);
RowKernels<BFloat16Bits> row_kernels_portable(BFloat16Bits);
RowKernels<float> row_kernels_avx2(float);
RowKernels<BFloat16Bits> row_kernels_avx2(BFloat16Bits);
RowKernels<float> row_kernels_avx512(float);
RowKernels<BFloat16Bits> row_kernels_avx512(BFloat16Bits);

}  // namespace halftone::cpu
