// A model of which only config.json is there: the names, shapes and types of its weights, as its
// family gives them, and no numbers. Enough for a plan of a run, and for nothing else.
#pragma once

#include <filesystem>
#include <memory>

#include "format/format.h"

namespace halftone {

// A folder with config.json and no file of weights; an index of absent shards may lie beside it.
bool is_description(const std::filesystem::path& place);

// Its weights have the type that config.json names, float32 without one. Errors: an architecture or
// an option that is not supported; loading a weight.
std::shared_ptr<const PackedModel> described_model(const std::filesystem::path& folder);

}  // namespace halftone
