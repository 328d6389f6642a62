// A model as it lies on disk: weights as a WeightSource, and what is known of the files that hold
// them. A Hugging Face folder is one (checkpoint.h); a file, or the parts of one, may be another.
//
// Weights have the names and shapes that they have in Hugging Face folders; a source that stores
// others translates. Who needs what such a folder alone has (metadata of safetensors files, configs
// beside the weights) asks for a Checkpoint by type.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/weight_source.h"

namespace halftone {

// A weight as the files hold it; `WeightSource::info` says how `load` hands it out.
struct StoredInfo {
  std::string dtype;           // as the files call it: "BF16", "I32", "Q4_K"
  std::vector<int64_t> shape;  // as `load` has it; empty: a scalar
  size_t bytes = 0;
};

class ModelSource : public WeightSource {
 public:
  // The folder or the file that was opened, for messages and to open it again.
  virtual const std::filesystem::path& path() const = 0;
  // Every file that weights and config are read from: no output may take the place of one.
  virtual std::vector<std::filesystem::path> files() const = 0;
  // The folder whose other files (tokenizer, licence: format/companions.h) belong to the model and
  // go into an output; none where everything is in the weights' own files.
  virtual std::optional<std::filesystem::path> companion_folder() const = 0;

  // For listings, checks of shapes, sizes and bits per weight. Error: absent.
  virtual StoredInfo stored_info(std::string_view name) const = 0;
  // The bytes of a weight, by which models are told apart; they live as long as the source. Error:
  // absent.
  virtual std::span<const std::byte> stored_data(std::string_view name) const = 0;
  // Of all weights, without headers: the size of the model, what an output may take.
  virtual size_t stored_bytes() const = 0;

  // What is wrong with the files but changes no weight; one line each.
  virtual std::vector<std::string> notes() const = 0;
};

}  // namespace halftone
