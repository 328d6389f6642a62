// Writes a model as a GGUF file (formats.md 12): linears in blocks of their grid, vectors in
// float32, other matrices in the model's type or the one that was asked for.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "format/format.h"
#include "kernels/gguf_blocks.h"

namespace halftone {

// Where the report of a run is kept, as JSON behind which spaces may follow.
inline constexpr const char* kGgufReportKey = "halftone.report";
// Of each part behind the first, which has the report: the version that wrote it.
inline constexpr const char* kGgufVersionKey = "halftone.version";

std::string gguf_refusal(const OutputPlan& plan);

// What a tensor that is no planned linear's weight is stored in: vectors, which are added and
// multiplied, in float32.
const GgufType& gguf_type_of(const OutputPlan& plan, const PlannedTensor& tensor);

std::unique_ptr<ModelWriter> open_gguf_writer(const std::filesystem::path& path,
                                              const OutputPlan& plan);

}  // namespace halftone
