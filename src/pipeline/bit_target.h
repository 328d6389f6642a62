// What is asked of bits that are chosen by measurement (pipeline/allocate_bits.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace halftone {

struct BitTarget {
  // One of these.
  std::optional<double> bits;    // stored, a weight of the quantized linears, on average
  std::optional<int64_t> bytes;  // of all tensors
  std::optional<double> kl;  // estimated (methods.md 13.1), nats a token: the fewest bits with it
  // Widths ("2", "3") or, of a GGUF file, types ("Q3_K"); empty: those of bit_candidates.
  std::vector<std::string> candidates = {};
  // Where the recipe and what was measured are written; empty: OUT.recipe.toml,
  // OUT.sensitivities.json.
  std::filesystem::path recipe = {}, sensitivities = {};
};

}  // namespace halftone
