#include "pipeline/output.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "base/place.h"
#include "checkpoint/safetensors.h"
#include "format/verify.h"
#include "pipeline/bits.h"
#include "pipeline/output_parts.h"
#include "pipeline/output_place.h"
#include "pipeline/output_plan.h"
#include "report/human.h"

namespace halftone {
namespace {

std::string formats_that_hold(const OutputPlan& plan) {
  std::string names;
  for (const Format& format : formats())
    if (format.refusal(plan).empty()) names += (names.empty() ? "" : ", ") + format.name;
  return names;
}

// A weight as it is read: blocks of a file are float32.
double read_bytes(const ModelSource& source, const std::string& name) {
  const WeightInfo info = source.info(name);
  return static_cast<double>(c10::multiply_integers(info.shape)) *
         static_cast<double>(c10::elementSize(info.dtype));
}

// A lower bound of what the output takes: the grid's bits for the linears, everything else as it
// is; of a source that is packed itself the linears alone.
size_t bytes_of_result(const OutputPlan& plan, bool dense) {
  const bool packed = std::any_of(
      plan.linears.begin(), plan.linears.end(),
      [&](const LinearPlan& linear) { return !plan.source->contains(linear.name + ".weight"); });
  double bytes = 0;
  if (!packed)
    for (const std::string& name : plan.source->names()) bytes += read_bytes(*plan.source, name);
  for (const LinearPlan& linear : plan.linears) {
    if (!packed) bytes -= read_bytes(*plan.source, linear.name + ".weight");
    if (dense)
      bytes += static_cast<double>(linear.out * linear.in) *
               static_cast<double>(c10::elementSize(plan.dtype));
  }
  return bytes_on_disk(dense ? bytes : bytes + code_bytes(plan.linears));
}

bool comes_in_parts(const OutputPlan& plan, const std::filesystem::path& path, Existing existing) {
  if (!plan.gguf || plan.gguf->part_bytes == GgufHead().part_bytes) return false;
  require_no_parts(path, existing);
  return true;
}

size_t bytes_while_written(const OutputPlan& plan, bool dense) {
  const size_t result = bytes_of_result(plan, dense);
  return result + std::min(result, ShardedWriter::kShardBytes);
}

}  // namespace

const Format& choose_format(const std::string& name, const OutputPlan& plan) {
  if (name.empty()) return default_format(plan);
  const Format& format = find_format(name);
  const std::string refusal = format.refusal(plan);
  require(refusal.empty(), "--format {}: {}; formats that can hold this: {}", name, refusal,
          formats_that_hold(plan));
  return format;
}

WrittenTotals written_totals(const std::filesystem::path& path) {
  const std::shared_ptr<const PackedModel> written = open_model(path);
  const Model model(written);
  return {.bits_per_weight = bits_of(*written, model),
          .bytes = written->source().stored_bytes(),
          .caution = ""};
}

Output::Output(const std::filesystem::path& path, Existing existing, const std::string& format,
               const OutputPlan& plan, size_t bytes_beside)
    : path_(path),
      format_(choose_format(format, plan)),
      existing_(existing),
      in_parts_(comes_in_parts(plan, path, existing)),
      pending_(path, in_parts_ ? PendingOutput::Kind::kFolder : format_.kind,
               existing == Existing::kReplace) {
  require_apart(path, plan.source->files());
  const size_t free = free_disk_bytes(path);
  const size_t needed = bytes_while_written(plan, format_.name == "dense") + bytes_beside;
  require(free >= needed, "{}: the output takes about {} while it is written, the disk has {} free",
          shown(path), human_bytes(static_cast<double>(needed)),
          human_bytes(static_cast<double>(free)));
  writer_ = format_.open_writer(
      in_parts_ ? pending_.staging() / path.filename() : pending_.staging(), plan);
  if (format_.caution != nullptr) caution_ = format_.caution(plan);
}

void Output::add_linear(const FinishedLinear& linear) {
  writer_->add_linear(linear);
}

void Output::add_tensor(const std::string& name, const at::Tensor& tensor) {
  writer_->add_tensor(name, tensor);
}

void Output::add_rows(const std::string& name, const at::Tensor& matrix,
                      const QuantizeRows& quantize) {
  writer_->add_rows(name, matrix, quantize);
}

std::filesystem::path Output::written() const {
  return in_parts_ ? file_to_open(pending_.staging() / path_.filename()) : pending_.staging();
}

WrittenTotals Output::verify_and_commit(const nlohmann::json& report) {
  nlohmann::json whole = report;
  whole[kWeightHashes] = writer_->fingerprints();
  writer_->finish(whole);
  try {
    verify_written(written(), writer_->fingerprints());
  } catch (const Error& error) {
    throw VerificationError(error.what());
  }
  WrittenTotals totals = written_totals(written());
  totals.caution = caution_;
  // still, after the hours that this may have taken
  if (in_parts_) {
    require_no_parts(path_, existing_);
    commit_parts(pending_.staging(), path_);
    return totals;
  }
  require_replaceable(path_);
  pending_.commit();
  return totals;
}

}  // namespace halftone
