// A model folder as named tensors: config.json and model.safetensors, or shards with an index.
// Weights are mapped, not read, until they are asked for. Names and shapes are those of other
// folders where this one's architecture stores them otherwise (checkpoint/stored_layout.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/fused_experts.h"
#include "checkpoint/model_source.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/stored_layout.h"

namespace halftone {

class Checkpoint final : public ModelSource {
 public:
  // Errors: not a folder with config.json and safetensors; an index that lies (missing shard, a
  // tensor that is not in its shard or in two, a shard name that is a path).
  explicit Checkpoint(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  const std::filesystem::path& path() const override { return folder_; }
  std::vector<std::filesystem::path> files() const override;
  std::optional<std::filesystem::path> companion_folder() const override { return folder_; }
  const nlohmann::json& config() const override { return config_; }
  // safetensors metadata of the first file.
  const std::map<std::string, std::string>& metadata() const;

  // An index's total_size that is not that of the shards.
  std::vector<std::string> notes() const override { return notes_; }

  bool contains(std::string_view name) const override;
  std::vector<std::string> names() const override;
  // As the file has it; of an expert's part the whole that holds it. Error naming the tensor (and
  // the closest names) if absent.
  const StoredTensor& stored(std::string_view name) const;
  StoredInfo stored_info(std::string_view name) const override;
  std::span<const std::byte> stored_data(std::string_view name) const override;
  WeightInfo info(std::string_view name) const override;
  at::Tensor load(std::string_view name) const override;  // see SafetensorsFile::view
  void release(std::string_view name) const override;
  size_t stored_bytes() const override;

 private:
  struct Place {
    size_t file, tensor;
    std::optional<ExpertPart> part = {};  // of it
    size_t scales_file = 0, scales = 0;   // of a part of blocks
  };
  using Places = std::map<std::string, Place, std::less<>>;
  void add_place(const std::string& name, const Place& place);
  void add_fused(const FusedName& name, const Place& place, Places& scales);
  const Place& find(std::string_view name) const;
  const StoredTensor& stored(const Place& place) const;
  std::vector<int64_t> shape_of(std::string_view name) const;  // as `load` has it

  std::filesystem::path folder_;
  nlohmann::json config_;
  const StoredLayout* layout_;
  std::vector<std::shared_ptr<const SafetensorsFile>> files_;
  Places places_;
  std::vector<std::string> notes_;
};

// JSON from a file, strict: duplicate keys, trailing text and deep nesting are errors that name
// file and place.
nlohmann::json read_json(const std::filesystem::path& path);

}  // namespace halftone
