#include "quantize/joined_rows.h"

#include "quantize/grid/grid_entries.h"
#include "quantize/run_tensors.h"

namespace halftone {
namespace {

Outliers joined_outliers(const std::vector<QuantizedLinear>& runs) {
  std::vector<at::Tensor> starts = {at::zeros({1}, at::kLong)};
  int64_t before = 0;
  for (const QuantizedLinear& run : runs) {
    starts.push_back(run.outliers->row_starts.narrow(0, 1, run.out()) + before);
    before += run.outliers->count();
  }
  const auto all = [&](auto&& member) {
    return below_each_other(runs,
                            [&](const QuantizedLinear& run) { return (*run.outliers).*member; });
  };
  return {at::cat(starts), all(&Outliers::columns), all(&Outliers::values)};
}

}  // namespace

QuantizedLinear joined_rows(std::vector<QuantizedLinear> runs) {
  QuantizedLinear linear = runs.front();
  if (runs.size() == 1) return linear;
  linear.codes = below_each_other(runs, [](const QuantizedLinear& run) { return run.codes; });
  // a run that had to do without its Hessian knows of no dead columns
  for (const QuantizedLinear& run : runs)
    if (!linear.dead_columns.defined()) linear.dead_columns = run.dead_columns;
  if (linear.outliers) linear.outliers = joined_outliers(runs);
  grid_entry(linear.kind()).join(runs, linear);
  return linear;
}

}  // namespace halftone
