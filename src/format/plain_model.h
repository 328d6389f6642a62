// A model whose weights are used as they are stored.
#pragma once

#include <memory>

#include "format/format.h"

namespace halftone {

// "dense", without linears of ours.
std::unique_ptr<PackedModel> plain_model(std::shared_ptr<const ModelSource> source);

}  // namespace halftone
