// What a run did (interface.md 5).
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "calibrate/linear_statistics.h"
#include "pipeline/quantize_job.h"
#include "quantize/linear_outcome.h"

namespace halftone {

class RunReport {
 public:
  RunReport(const QuantizeJob& job, const std::string& format);
  // Returns the linear's row.
  const nlohmann::json& add(const LinearSlot& linear, const LinearRecipe& recipe,
                            const LinearStatistics& statistics, const LinearOutcome& outcome);
  // A row of the interrupted run that this one goes on with.
  void take_over(const nlohmann::json& row);
  void set_dropped_sequences(int64_t count) { report_["calibration"]["dropped_sequences"] = count; }
  void set_totals(const nlohmann::json& written);
  int64_t linears() const { return static_cast<int64_t>(report_["linears"].size()); }
  nlohmann::json with_times() const;
  nlohmann::json without_times() const;

 private:
  std::chrono::steady_clock::time_point start_;
  std::string labels_;     // of the end loss, where a linear's objective follows it
  nlohmann::json report_;  // rows with the seconds of each linear
  int64_t taken_over_ = 0;
};

}  // namespace halftone
