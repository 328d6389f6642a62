// The self-check of a classifier (pipeline/self_check.h): its classes on images beside the
// calibration's.
#pragma once

#include <filesystem>

#include "base/progress.h"
#include "pipeline/quantize_job.h"
#include "report/self_check.h"

namespace halftone {

// Of a job with images; without the blame of a collapsed output.
SelfCheck check_images(const QuantizeJob& job, const std::filesystem::path& written,
                       Progress& progress);

}  // namespace halftone
