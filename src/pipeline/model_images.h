// Images as a model's own preprocessor hands them to it.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "evaluate/score_images.h"
#include "image/image_set.h"
#include "image/preprocessor.h"
#include "pipeline/opened_model.h"
#include "report/run_report.h"

namespace halftone {

class ModelImages {
 public:
  // The model must outlive it. Errors: one that reads text; no preprocessor_config.json beside it;
  // those of parse_preprocessor and open_images.
  ModelImages(const OpenedModel& model, const std::filesystem::path& images);

  int64_t count() const { return set_->count(); }
  std::string preprocessing() const { return preprocessor_.description(); }
  // Errors: those of ImageSet::read; pixels in another size than the model reads.
  ModelInputs read(std::span<const int64_t> which) const;
  // Of these some at a time.   which: must outlive the result
  ImageBatches batches(std::span<const int64_t> which) const;
  // Of the images of a calibration.   held_out: of them, for target.auto
  CalibrationIdentity identity(std::span<const int64_t> which, uint64_t seed,
                               int64_t held_out) const;

 private:
  const OpenedModel& model_;
  std::string name_;  // of the file or folder
  Preprocessor preprocessor_;
  std::unique_ptr<const ImageSet> set_;
};

// The numbers of images in an order that the seed draws: a calibration takes them from the
// beginning.
std::vector<int64_t> drawn_images(int64_t count, uint64_t seed);

}  // namespace halftone
