// Which format a folder is in, by its config files.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "checkpoint/checkpoint.h"

namespace halftone {

// A quantization config and the file it was found in.
struct QuantizationConfig {
  nlohmann::json json;  // null: the model is plain
  std::string place;    // "FOLDER/config.json: quantization_config"
};

// `quantization_config` of config.json; else quantize_config.json (AutoGPTQ). Error: something that
// is no object.
QuantizationConfig find_quantization(const Checkpoint& checkpoint);

// "gptq", "compressed-tensors", "halftone", ...; empty: the model is plain. Error: a method that is
// no string.
std::string quantization_method(const QuantizationConfig& config);

}  // namespace halftone
