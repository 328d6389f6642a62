// What large products are made with: chosen by what is faster on this machine, not by what its
// processor says it can do. bfloat16 products round other bits than float32 ones, so one choice
// holds for a whole run, is part of what identifies it, and can be forced.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace halftone {

enum class Products {
  kFloat32,   // bfloat16 matrices are made float32 first
  kBFloat16,  // bfloat16 matrices go to the library's mixed product (kernels/mixed_product.h)
  kTwoParts   // and large float32 ones as the sum of two bfloat16 matrices, in three products
};

inline constexpr std::array<std::string_view, 3> kProductsNames = {"float32", "bfloat16",
                                                                   "two-part"};
std::string_view name_of(Products products);
std::optional<Products> products_named(std::string_view name);

// bfloat16 is chosen only where float32 takes this many times as long: a choice that is close would
// gain little and might turn out otherwise next time.
inline constexpr double kClearly = 1.3;

// What this process has computed for, on all its threads: other processes that share the cores do
// not count, as they would in a time of the day.
double processor_seconds();

// Seconds of one product on one thread, least of a few.
struct ProductTimes {
  int64_t rows, columns, summed;
  double float32, mixed;
};

// An update (a cube) and a sum over many tokens (narrow, deep). Measured when first asked for, some
// milliseconds, and kept; {} without a mixed product.
const std::array<ProductTimes, 2>& product_times();

// The choice for these times: the same or better on both shapes.
Products clearly_fastest(const std::array<ProductTimes, 2>& times);

// What is in use: `fastest_products()` until `use_products` says otherwise. Not while another
// thread multiplies.
Products products();
void use_products(Products products);
Products fastest_products();

}  // namespace halftone
