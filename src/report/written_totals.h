// How large a model is, as its files hold it.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

namespace halftone {

struct BitsPerWeight {
  double quantized = 0;  // stored, of the quantized linears
  double quoted = 0;     // the papers' count of the same
  double model = 0;      // stored, of all tensors over all parameters
};

struct WrittenTotals {
  BitsPerWeight bits_per_weight;
  size_t bytes = 0;     // of all tensors
  std::string caution;  // which reader is known to refuse the files; empty: none
};

void to_json(nlohmann::json& json, const BitsPerWeight& bits);
void to_json(nlohmann::json& json, const WrittenTotals& totals);

}  // namespace halftone
