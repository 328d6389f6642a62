// The whole job: a model folder in, a verified quantized model out.
#pragma once

#include "base/progress.h"
#include "pipeline/quantize_request.h"
#include "report/run_report.h"

namespace halftone {

// Returns the report (interface.md 5), with times; the copy in the output folder has none. Every
// error comes before the first output byte is in place. An exception leaves nothing behind but, if
// a block was finished, the journal that `resume` goes on from (pipeline/journal.h), with the same
// bytes in the end.
// It is verified() once every quantized weight, read back from the files, was bit for bit what was
// calibrated.
RunReport quantize_model(const QuantizeRequest& request, Progress& progress);

}  // namespace halftone
