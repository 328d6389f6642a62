// The demo model with its intermediate width of 172 filled up by zeros to 192 = 3 x 64: the same
// function, whose rows are whole blocks of GGUF's types of 32 and 64.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <map>
#include <string>

#include "checkpoint/safetensors.h"
#include "format/format.h"
#include "pipeline/demo_request.h"

namespace halftone::testing {

inline constexpr int64_t kWidth = 192;

// own_head: with the rows of its embedding, in the other order, for a head of its own
inline std::filesystem::path filled_up(const std::filesystem::path& to, bool own_head = false) {
  namespace fs = std::filesystem;
  const fs::path from = example("stories260K");
  const auto model = open_model(from);
  std::map<std::string, at::Tensor> tensors;
  for (const std::string& name : model->names()) {
    at::Tensor weight = model->load(name).clone();
    const auto is = [&](const char* part) { return name.find(part) != std::string::npos; };
    if (is("gate_proj") || is("up_proj"))
      weight = at::constant_pad_nd(weight, {0, 0, 0, kWidth - weight.size(0)});
    if (is("down_proj")) weight = at::constant_pad_nd(weight, {0, kWidth - weight.size(1)});
    tensors[name] = weight;
  }
  if (own_head)
    tensors["lm_head.weight"] = tensors.at("model.embed_tokens.weight").flip(0).contiguous();
  fs::create_directory(to);
  for (const auto& entry : fs::directory_iterator(from))
    if (entry.path().extension() != ".safetensors") fs::copy(entry.path(), to);
  nlohmann::json config = model->config();
  config["intermediate_size"] = kWidth;
  config["tie_word_embeddings"] = !own_head;
  write_file_atomically(to / "config.json", config.dump());
  write_safetensors(to / "model.safetensors", tensors, {{"format", "pt"}});
  return to;
}

}  // namespace halftone::testing
