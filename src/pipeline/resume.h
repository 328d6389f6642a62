// Going on where an interrupted run has stopped, to the same bytes.
#pragma once

#include <cstdint>
#include <optional>

#include "base/progress.h"
#include "calibrate/calibration.h"
#include "pipeline/journal.h"
#include "pipeline/output.h"
#include "pipeline/quantize_job.h"
#include "pipeline/run_record.h"

namespace halftone {

// What is chosen by measurement where it is not asked for (compute, products), as the run that
// `resume` goes on with has chosen it: measured again, it might come out otherwise.
QuantizeRequest with_choices_of_the_run_before(QuantizeRequest request);

// Hands everything that the journal holds to the output, the report and the calibration, which then
// stand where the interrupted run stood. Returns the first block that is left to do.
int64_t resume(const Journal& journal, Output& output, RunRecord& report, Calibration& calibration,
               Progress& progress);

// The report of the finished output that a resumed run finds in its place. None: there is none, it
// is not to be resumed, or a journal is about to replace it. Error: the output of another run.
std::optional<RunReport> finished_report(const QuantizeJob& job);

}  // namespace halftone
