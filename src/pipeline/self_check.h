// Whether what a run has written still is the model: the output, as it is read back, against the
// full-precision source on windows of the calibration text that no sum has seen, and a line that it
// writes. A model that came out as gibberish is found before someone ships it.
#pragma once

#include <filesystem>

#include "base/progress.h"
#include "pipeline/quantize_job.h"
#include "report/run_report.h"

namespace halftone {

// `written` is read block by block; where all of its weights fit into the request's memory limit it
// also goes on with a few tokens of the text. A collapsed output is then compared block by block,
// so that it can be said which one is to blame. Skipped, with the reason, where there is no text or
// nothing of it is left beside the calibration's windows.
SelfCheck check_written(const QuantizeJob& job, const std::filesystem::path& written,
                        Progress& progress);

// With the check of the job's output in it, if the request asks for one.
RunReport with_self_check(RunReport report, const QuantizeJob& job, Progress& progress);

}  // namespace halftone
