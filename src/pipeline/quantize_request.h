// What is asked of a run. It lies at the bottom of this folder and includes nothing of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/place.h"
#include "model/compute.h"
#include "recipe/recipe.h"
#include "text/text_mixture.h"

namespace halftone {

inline constexpr int64_t kMostSequences = int64_t{1} << 24;

struct QuantizeRequest {
  std::filesystem::path model, out;
  Recipe recipe;
  std::optional<std::filesystem::path> recipe_file;  // where `recipe` came from, if from a file
  // The texts that a recipe calibrates on; none: the program's own (text/builtin_text.h). Of a
  // model of images the one place where they lie.
  std::vector<WeighedText> calibration;
  // Importances of columns in place of calibration data (checkpoint/imatrix_file.h).
  std::optional<std::filesystem::path> imatrix;
  int64_t sequences = 128;
  int64_t length = 0;  // tokens a sequence; 0 = 2048, or the model's context where that is shorter
  uint64_t seed = 0;
  std::string format;  // empty: the first that can hold the grid of every linear
  // Of a GGUF file: the type of every linear, or a mix of types; empty: the recipe's own grid. Of
  // the embedding and the head; empty: what the mix says, without one the model's own.
  std::string type, mix, embedding_type, head_type;
  // Of a GGUF file: bytes of tensors that one file holds, more go to further ones; none: one file.
  std::optional<int64_t> shard_bytes;
  bool strict = false;  // no other type where rows are no whole number of blocks
  std::string device = "cpu";
  Compute compute = Compute::kAuto;
  std::optional<Products> products;  // none: the fastest
  int threads = 0;                   // 0: all cores
  // Bytes of activations and statistics put aside in memory; more goes to a temporary file beside
  // the output, with the same result. Absent: half of the machine's memory.
  std::optional<int64_t> memory_limit;
  bool overwrite = false;
  bool requantize = false;  // even weights that hold fewer than 8 bits already
  // Score the output as it is read back (pipeline/self_check.h). It counts as collapsed above so
  // many nats of KL; none: above those of a guess that never looks at the context.
  bool check = false;
  std::optional<double> check_kl;
  bool resume = false;  // go on with what an interrupted run has left beside `out`, if anything

  Existing existing() const {
    return overwrite ? Existing::kReplace : resume ? Existing::kResume : Existing::kRefuse;
  }
};

// What a run reads.
std::vector<std::filesystem::path> inputs_of(const QuantizeRequest& request);

}  // namespace halftone
