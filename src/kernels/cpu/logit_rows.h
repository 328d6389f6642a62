// The statistics of a row of logits. Included once per instruction set; see vector.h.
#pragma once

#include "kernels/cpu/rows.h"

namespace halftone::cpu {

template <class T, int kBytes>
struct LogitRows : Rows<T, kBytes> {
  using Base = Rows<T, kBytes>;
  using Base::exponential, Base::for_each_part, Base::load, Base::load_some, Base::load_up_to,
      Base::long_sum, Base::only, Base::store_some, Base::store_up_to, Base::width;
  using typename Base::Integers, typename Base::Reals, typename Base::V;

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

}  // namespace halftone::cpu
