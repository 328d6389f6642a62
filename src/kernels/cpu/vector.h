// A vector register of kBytes bytes and the few operations that the hot loops need, by the
// compilers' vector extension: one source, compiled once per instruction set at its own width (so
// each compilation is its own template instance and the linker cannot mix them). Nothing of the
// standard library here, for the same reason.
#pragma once

#include <math.h>

#include <cstdint>

#include "kernels/lane_kernels.h"

namespace halftone::cpu {

template <class T>
struct Bits;  // layout of an IEEE number
template <>
struct Bits<float> {
  using Integer = int32_t;
  static constexpr int mantissa = 23;
  static constexpr float shifter =
      12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer, half to even
};
template <>
struct Bits<double> {
  using Integer = int64_t;
  static constexpr int mantissa = 52;
  static constexpr double shifter = 6755399441055744.0;  // 1.5 * 2^52
};

template <class T, int kBytes>
struct Vector {
  using Integer = typename Bits<T>::Integer;
  static constexpr int width = kBytes / static_cast<int>(sizeof(T));
  typedef T Reals __attribute__((vector_size(kBytes)));
  typedef Integer Integers __attribute__((vector_size(kBytes)));
  typedef uint8_t Bytes __attribute__((vector_size(width)));

  static Reals load(const T* from) {
    Reals value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
  }
  static void store(T* to, Reals value) { __builtin_memcpy(to, &value, sizeof value); }
  static Reals all(T value) { return value - Reals{}; }

  static Reals select(Integers mask, Reals yes, Reals no) { return mask ? yes : no; }
  static Reals smaller(Reals a, Reals b) { return a < b ? a : b; }
  static Reals larger(Reals a, Reals b) { return a > b ? a : b; }
  static Reals magnitude(Reals a) { return larger(a, -a); }
  static bool any(Integers mask) {
    Integer seen = 0;
    for (int i = 0; i < width; ++i) seen |= mask[i];
    return seen != 0;
  }
  // to the nearest integer, half to even; |a| < 2^22 (float), 2^51 (double)
  static Reals rint(Reals a) { return (a + Bits<T>::shifter) - Bits<T>::shifter; }
  static Integers bits_of(Reals a) { return reinterpret_cast<Integers>(a); }
  static Reals reals_of(Integers a) { return reinterpret_cast<Reals>(a); }
  // So many significant bits of a number not below 0, to nearest, half to even.
  static Reals with_bits(Reals a, int bits) {
    const int drop = Bits<T>::mantissa + 1 - bits;
    if (drop <= 0) return a;
    const auto one = static_cast<Integer>(1);
    const Integers raw = bits_of(a), odd = (raw >> drop) & one;
    return reals_of((raw + ((one << (drop - 1)) - one) + odd) & ~((one << drop) - one));
  }
  // A number not below 0 that has been rounded to float16's 11 bits or fewer: those below 2^-14
  // become multiples of 2^-24, as float16 has them. `a` may be more exact.
  static Reals as_float16(Reals rounded, Reals a) {
    const T least = static_cast<T>(kLeastFloat16Scale);
    const Reals multiple = rint(smaller(a / least, all(1024))) * least;
    return select(a < static_cast<T>(kLeastNormalFloat16), multiple, rounded);
  }
  // whole numbers 0 .. 255
  static void store_bytes(uint8_t* to, Reals value) {
    const Integers shifted = bits_of(value + Bits<T>::shifter);  // the integer lies in the low bits
    const Bytes bytes = __builtin_convertvector(shifted & 255, Bytes);
    __builtin_memcpy(to, &bytes, sizeof bytes);
  }
};

// |x|^exponent * 2^offset: 2^(exponent log2 |x| + offset), relative error about 1e-6; 0 where x is
// 0 or tiny.
template <int kBytes>
typename Vector<float, kBytes>::Reals scaled_power(typename Vector<float, kBytes>::Reals x,
                                                   float exponent,
                                                   typename Vector<float, kBytes>::Reals offset) {
  using V = Vector<float, kBytes>;
  // x = 2^e m with m in [sqrt(1/2), sqrt(2)); log2 m by a polynomial in m - 1 (Chebyshev fit, error
  // 9e-8)
  const auto bits = V::bits_of(x) & 0x7fffffff;
  const auto e = (bits - 0x3f3504f3) >> 23;
  const auto f = V::reals_of(bits - (e << 23)) - 1.0F;
  auto p = 0.23420985F + f * -0.14620353F;
  p = -0.24882181F + f * p;
  p = 0.28707561F + f * p;
  p = -0.36024199F + f * p;
  p = 0.48092404F + f * p;
  p = -0.72135276F + f * p;
  p = 1.44269496F + f * p;
  const auto log2 = __builtin_convertvector(e, typename V::Reals) + f * p;
  // 2^y = 2^n 2^r with r in [-1/2, 1/2] (Chebyshev fit, error 1e-7)
  const auto y = V::smaller(V::larger(log2 * exponent + offset, V::all(-126)), V::all(126));
  const auto n = V::rint(y);
  const auto r = y - n;
  auto q = 0.0096760371F + r * 0.0013400432F;
  q = 0.055503272F + r * q;
  q = 0.24022107F + r * q;
  q = 0.69314721F + r * q;
  q = 1.0000001F + r * q;
  const auto power = (V::bits_of(n + (Bits<float>::shifter + 127)) << 23);  // exponent field of 2^n
  const auto result = q * V::reals_of(power);
  return V::select(y > -126, result, V::all(0));
}

}  // namespace halftone::cpu
