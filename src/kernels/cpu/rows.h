// What the row kernels are made of, a register of float32 at a time: loads and stores of float32
// and bfloat16, sums over a row, exp. Included once per instruction set; see vector.h.
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
};

}  // namespace halftone::cpu
