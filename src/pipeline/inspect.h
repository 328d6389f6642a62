// What lies at a path: the `inspect` command without its printing.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace halftone {

// What a path holds, as JSON: kind ("model folder", "safetensors", "recipe"), format, family,
// parameters, bits per weight, tensors {name, dtype, shape, bytes} if `with_tensors`.
nlohmann::json inspect_path(const std::filesystem::path& path, bool with_tensors);

}  // namespace halftone
