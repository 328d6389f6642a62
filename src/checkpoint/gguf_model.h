// A GGUF file, or the parts of one, as a model (formats.md 12.3): weights under the names, in the
// shapes and in the order of rows that they have in a Hugging Face folder, blocks de-quantized to
// float32.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/gguf_file.h"
#include "checkpoint/model_source.h"

namespace halftone {

// Where a weight lies.
struct GgufWeight {
  const GgufFile* file = nullptr;
  const GgufTensor* tensor = nullptr;
  double scale = 1;      // of all of it (NVFP4), in a tensor of its own
  int64_t head_dim = 0;  // of rows whose neighbours rotate together; 0: in the folder's order
};

class GgufModel final : public ModelSource {
 public:
  // Errors: see open_gguf_parts and gguf_config; an architecture or a tensor that is not known, a
  // tensor whose shape does not go with the metadata.
  explicit GgufModel(const std::filesystem::path& path);

  const std::filesystem::path& path() const override { return path_; }
  std::vector<std::filesystem::path> files() const override;
  // Tokenizer and licence are in the file itself.
  std::optional<std::filesystem::path> companion_folder() const override { return std::nullopt; }
  // Of the first part: tokenizer and the like.
  const GgufMetadata& metadata() const { return parts_.front()->metadata(); }
  // Keys that are not understood.
  std::vector<std::string> notes() const override { return notes_; }

  const nlohmann::json& config() const override { return config_; }
  std::vector<std::string> names() const override;
  bool contains(std::string_view name) const override;
  WeightInfo info(std::string_view name) const override;
  // Errors: also a block whose scale is not finite.
  at::Tensor load(std::string_view name) const override;
  at::Tensor load_rows(std::string_view name, const at::Tensor& index) const override;
  void release(std::string_view name) const override;

  // As the file holds it. Error: absent.
  const GgufTensor& stored(std::string_view name) const { return *find(name).tensor; }
  StoredInfo stored_info(std::string_view name) const override;
  std::span<const std::byte> stored_data(std::string_view name) const override;
  size_t stored_bytes() const override;

 private:
  const GgufWeight& find(std::string_view name) const;
  std::string place(const GgufWeight& weight) const;  // for messages

  std::filesystem::path path_;
  std::vector<std::shared_ptr<const GgufFile>> parts_;
  nlohmann::json config_;
  std::map<std::string, GgufWeight, std::less<>> weights_;
  std::vector<std::string> notes_;
};

}  // namespace halftone
