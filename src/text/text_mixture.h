// Several texts for one run: how much of it comes from each.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace halftone {

struct WeighedText {
  std::filesystem::path file;  // empty: the text that comes with the program
  double weight = 1;           // against the others' weights

  std::string name() const;   // file name, without folders
  std::string place() const;  // as messages name it
};

// FILE or FILE:WEIGHT. What is there as it stands, colon included, is that file; kBuiltinText is
// the program's own text. Errors: nothing in front of the colon; behind that of a file that is
// there no positive number.
WeighedText weighed_text(const std::string& written);

// Error: a weight that is no positive number.
void require_weights(std::span<const WeighedText> texts);

// `count` shared out by the weights, which are positive: whole parts first, what is left by the
// largest remainders (of equal ones the first). The sum is `count`.
std::vector<int64_t> shares_by_weight(int64_t count, std::span<const double> weights);

}  // namespace halftone
