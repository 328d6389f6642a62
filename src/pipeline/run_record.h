// Keeps the report of a run while it goes on.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "calibrate/linear_statistics.h"
#include "pipeline/quantize_job.h"
#include "quantize/linear_outcome.h"
#include "report/run_report.h"

namespace halftone {

class RunRecord {
 public:
  RunRecord(const QuantizeJob& job, const std::string& format);
  // Returns the linear's row.
  const LinearRow& add(const LinearSlot& linear, const LinearRecipe& recipe,
                       const LinearStatistics& statistics, const LinearOutcome& outcome);
  // A row of the interrupted run that this one goes on with.
  void take_over(LinearRow row);
  void set_head(const std::string& name, const LinearRecipe& recipe,
                const LinearStatistics& statistics, const LinearOutcome& outcome);
  // None: nothing was calibrated.
  void set_dropped_sequences(std::optional<int64_t> count) { report_.dropped_sequences = count; }
  void set_totals(WrittenTotals written) { report_.written = std::move(written); }
  int64_t linears() const { return static_cast<int64_t>(report_.linears.size()); }
  RunReport with_times() const;
  RunReport without_times() const;

 private:
  // But for what is an expert's alone.
  LinearRow row_of(const std::string& name, const LinearRecipe& recipe,
                   const LinearStatistics& statistics, const LinearOutcome& outcome) const;
  RunReport noted() const;  // with what only its rows together tell

  std::chrono::steady_clock::time_point start_;
  std::string labels_;  // of the end loss, where a linear's objective follows it
  RunReport report_;    // rows with the seconds of each linear
};

}  // namespace halftone
