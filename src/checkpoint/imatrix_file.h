// Files of importances ("imatrix"): of each linear how large the squares of its inputs are, as
// `halftone imatrix` and llama.cpp's llama-imatrix write them: GGUF (NAME.in_sum2, NAME.counts), or
// the form before that.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace halftone {

class ImatrixFile {
 public:
  // Errors, which name the file and the entry: neither form, cut short, sizes that do not fit each
  // other, numbers that are negative or not finite.
  explicit ImatrixFile(const std::filesystem::path& path);

  bool contains(std::string_view weight) const { return means_.contains(weight); }
  // weight: as a GGUF file names it, "blk.0.attn_q.weight"; matrix: of how many that are stored as
  // one (experts) -> (in) float32, mean squares; 1 where no token ever came. Errors: no such entry,
  // another width than `in`, no such matrix.
  at::Tensor mean_squares(std::string_view weight, int64_t in, int64_t matrix = 0) const;
  const std::string& sha256() const { return sha256_; }

 private:
  void read_gguf(const std::filesystem::path& path);
  void read_old(std::string_view bytes);
  void add(const std::string& weight, at::Tensor sums, at::Tensor counts);

  std::string name_, sha256_;
  std::map<std::string, at::Tensor, std::less<>> means_;  // (matrices, in) float32
};

}  // namespace halftone
