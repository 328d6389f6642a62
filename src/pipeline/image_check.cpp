#include "pipeline/image_check.h"

#include <chrono>

#include "evaluate/score_images.h"
#include "evaluate/statistics.h"

namespace halftone {
namespace {

constexpr size_t kImages = 256;

SelfCheck::Number mean(const auto& values, int64_t images) {
  const Estimate estimate = mean_over_windows(values, images);
  return {estimate.value, estimate.standard_error};
}

}  // namespace

SelfCheck check_images(const QuantizeJob& job, const std::filesystem::path& written,
                       Progress& progress) {
  const auto start = std::chrono::steady_clock::now();
  SelfCheck check;
  const std::span<const int64_t> apart = job.images_apart(kImages);
  if (apart.empty()) {
    check.skipped = "the calibration takes every image";
    return check;
  }
  const OpenedModel opened(written);
  const QuantizeRequest& request = job.request();
  const ImageScores scores = score_images(
      opened.model, &job.source().model, job.images()->batches(apart),
      choose_execution(request.device, Compute::kAuto, request.threads, false), progress);
  const int64_t images = check.windows = scores.scores.windows;
  check.length = scores.scores.positions;
  check.kl = mean(scores.scores.kl, images);
  check.top1 = mean(scores.scores.same_top, images);
  check.classes = {mean(scores.correct, images), mean(scores.reference_correct, images)};
  check.context_free_kl = *scores.context_free_kl;
  check.limit = request.check_kl.value_or(check.context_free_kl);
  check.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return check;
}

}  // namespace halftone
