#include "pipeline/quantize_request.h"

#include "pipeline/output_place.h"

namespace halftone {

std::vector<std::filesystem::path> inputs_of(const QuantizeRequest& request) {
  std::vector<std::filesystem::path> inputs = files_of_model(request.model);
  for (const auto& file : {request.recipe_file, request.imatrix})
    if (file) inputs.push_back(*file);
  for (const WeighedText& text : request.calibration)
    if (!text.file.empty()) inputs.push_back(text.file);
  return inputs;
}

}  // namespace halftone
