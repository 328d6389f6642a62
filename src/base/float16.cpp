#include "base/float16.h"

#include <algorithm>
#include <cmath>

namespace halftone {

float nearest_float16(double x) {
  constexpr int kSignificantBits = 11, kLeastExponent = -24;  // of a subnormal's last bit
  constexpr double kGreatest = 65504;
  int exponent = 0;
  std::frexp(x, &exponent);
  const int last = std::max(exponent - kSignificantBits, kLeastExponent);
  const double rounded = std::ldexp(std::nearbyint(std::ldexp(x, -last)), last);
  return static_cast<float>(std::clamp(rounded, -kGreatest, kGreatest));
}

}  // namespace halftone
