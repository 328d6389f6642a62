// What is told of weights that somebody else has rounded to few bits (PackedModel::coarse_weights).
#pragma once

#include <map>
#include <string>

namespace halftone {

// Bits of a weight from which on its own error counts for little.
inline constexpr double kFineBits = 8;

// "3 in Q4_K, 1 in Q6_K".   counts: of matrices, by what they are in
std::string coarse_text(const std::map<std::string, int>& counts);

}  // namespace halftone
