#include "pipeline/model_images.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/place.h"
#include "base/random.h"
#include "base/sha256.h"
#include "checkpoint/checkpoint.h"
#include "model/patches.h"

namespace halftone {
namespace {

constexpr const char* kPreprocessorFile = "preprocessor_config.json";

Preprocessor preprocessor_of(const OpenedModel& model) {
  const ModelConfig& config = model.model.config();
  require(config.reads_images(), "{}: {} reads text, not images", shown(model.path),
          config.architecture);
  const auto folder = model.weights->source().companion_folder();
  require(folder && is_there(*folder / kPreprocessorFile),
          "{}: no {} beside the model, which says how images become its numbers", shown(model.path),
          kPreprocessorFile);
  return with_path(*folder,
                   [&] { return parse_preprocessor(read_json(*folder / kPreprocessorFile)); });
}

// By number; a class without a name is called by it.
std::vector<std::string> class_names(const OpenedModel& model) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < model.model.config().vocab; ++i) names.push_back(std::to_string(i));
  const nlohmann::json& config = model.weights->config();
  if (!config.contains("id2label") || !config.at("id2label").is_object()) return names;
  for (const auto& [number, name] : config.at("id2label").items()) {
    const auto found = std::find(names.begin(), names.end(), number);
    if (found != names.end() && name.is_string()) *found = name.get<std::string>();
  }
  return names;
}

}  // namespace

ModelImages::ModelImages(const OpenedModel& model, const std::filesystem::path& images)
    : model_(model),
      name_(last_name(images)),
      preprocessor_(preprocessor_of(model)),
      set_(open_images(images, class_names(model))) {}

ModelInputs ModelImages::read(std::span<const int64_t> which) const {
  const ImageSizes& sizes = model_.model.config().image;
  std::vector<at::Tensor> images;
  std::vector<int64_t> labels;
  for (const int64_t index : which) {
    const Preprocessor::Pixels pixels = preprocessor_.apply(set_->read(index));
    require(pixels.size.width == sizes.width && pixels.size.height == sizes.height,
            "{}: image {}: {} x {} pixels behind {}; config.json's image_size asks for {} x {}",
            name_, index, pixels.size.width, pixels.size.height, kPreprocessorFile, sizes.width,
            sizes.height);
    images.push_back(
        at::tensor(pixels.numbers, at::kFloat).view({sizes.channels, sizes.height, sizes.width}));
    labels.push_back(set_->label(index));
  }
  return {patches_of(at::stack(images), sizes), at::tensor(labels, at::kLong)};
}

ImageBatches ModelImages::batches(std::span<const int64_t> which) const {
  return {.count = static_cast<int64_t>(which.size()),
          .read = [this, which](int64_t first, int64_t count) {
            return read(which.subspan(static_cast<size_t>(first), static_cast<size_t>(count)));
          }};
}

CalibrationIdentity ModelImages::identity(std::span<const int64_t> which, uint64_t seed,
                                          int64_t held_out) const {
  return {.texts = {{.text = name_,
                     .ids_sha256 = set_->sha256(),
                     .tokenizer = preprocessing(),
                     .round_trip = true,
                     .bos = false,
                     .sequences = static_cast<int64_t>(which.size())}},
          .sequences = static_cast<int64_t>(which.size()),
          .length = model_.model.config().context,
          .seed = seed,
          .windows_sha256 = sha256_hex(std::as_bytes(which)),
          .held_out_sequences = held_out};
}

std::vector<int64_t> drawn_images(int64_t count, uint64_t seed) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  Random random(seed);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

}  // namespace halftone
