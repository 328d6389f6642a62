#include "checkpoint/dtype.h"

#include <algorithm>
#include <array>

namespace halftone {
namespace {

using enum at::ScalarType;
constexpr std::array<Dtype, 22> kDtypes{{
    {"BOOL", 8, Bool},
    {"F4", 4, {}},
    {"F6_E2M3", 6, {}},
    {"F6_E3M2", 6, {}},
    {"U8", 8, Byte},
    {"I8", 8, Char},
    {"F8_E5M2", 8, Float8_e5m2},
    {"F8_E4M3", 8, Float8_e4m3fn},
    {"F8_E8M0", 8, Float8_e8m0fnu},
    {"F8_E4M3FNUZ", 8, Float8_e4m3fnuz},
    {"F8_E5M2FNUZ", 8, Float8_e5m2fnuz},
    {"I16", 16, Short},
    {"U16", 16, UInt16},
    {"F16", 16, Half},
    {"BF16", 16, BFloat16},
    {"I32", 32, Int},
    {"U32", 32, UInt32},
    {"F32", 32, Float},
    {"C64", 64, ComplexFloat},
    {"F64", 64, Double},
    {"I64", 64, Long},
    {"U64", 64, UInt64},
}};

template <class Predicate>
const Dtype* find_if(Predicate matches) {
  const auto found = std::find_if(kDtypes.begin(), kDtypes.end(), matches);
  return found == kDtypes.end() ? nullptr : &*found;
}

}  // namespace

std::span<const Dtype> all_dtypes() {
  return kDtypes;
}

const Dtype* find_dtype(std::string_view name) {
  return find_if([&](const Dtype& dtype) { return dtype.name == name; });
}

const Dtype* find_dtype(at::ScalarType scalar) {
  return find_if([&](const Dtype& dtype) { return dtype.scalar == scalar; });
}

}  // namespace halftone
