// What lies outside the blocks of a model, on its way into the output: as it is, or quantized by
// --embedding, --head and --mix (pipeline/matrix_types.h).
#pragma once

#include "base/progress.h"
#include "calibrate/calibration.h"
#include "pipeline/output.h"
#include "pipeline/quantize_job.h"
#include "pipeline/run_record.h"

namespace halftone {

// All but a head that waits for its inputs.
void add_outer_tensors(const QuantizeJob& job, Output& output);

// The head, where it waits: by the ordinary sweep with the Hessian of what the final norm hands it.
// A head that is the embedding as well is searched for with the diagonal of that, without
// compensation: its rows are read as they are, too. Some rows at a time, so that memory holds no
// more; the last block has been left.
void add_head(const QuantizeJob& job, Calibration& calibration, Output& output, RunRecord& report,
              Progress& progress);

}  // namespace halftone
