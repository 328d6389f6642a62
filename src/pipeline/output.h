// The writing side of a run: a pending folder or file, a format's writer, the read-back.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"
#include "format/format.h"
#include "pipeline/opened_model.h"
#include "report/written_totals.h"

namespace halftone {

// Where a report keeps the fingerprint of each linear's weights (format/verify.h), by its name.
inline constexpr const char* kWeightHashes = "weights_sha256";

// The files do not give back what was calibrated; nothing was put in place.
class VerificationError : public Error {
 public:
  using Error::Error;
};

// The format of this name, or the default without one. Errors: there is none such; it cannot hold
// the plan (the message names the formats that can).
const Format& choose_format(const std::string& name, const OutputPlan& plan);

// What the files of a model hold.
WrittenTotals written_totals(const std::filesystem::path& path);

class Output {
 public:
  // format: empty for the default. bytes_beside: of what else the run writes to the same disk.
  // Errors, before anything is written: no such format; a linear that the format cannot hold (the
  // message names the formats that can); an existing output; too little room on the disk; a file
  // beside the weights that cannot be read.
  Output(const std::filesystem::path& path, Existing existing, const std::string& format,
         const OutputPlan& plan, size_t bytes_beside = 0);

  const std::string& format() const { return format_.name; }
  void add_linear(const FinishedLinear& linear);
  void add_tensor(const std::string& name, const at::Tensor& tensor);
  void add_rows(const std::string& name, const at::Tensor& matrix, const QuantizeRows& quantize);

  // Writes `report` into the folder, with hashes of the weights, reads every quantized linear back
  // and compares it bit for bit with what was added, then puts the folder in its place. Returns
  // what the files hold. Error if a weight differs; then nothing is put in place.
  WrittenTotals verify_and_commit(const nlohmann::json& report);

 private:
  std::filesystem::path written() const;  // what is opened to read it back

  std::filesystem::path path_;
  const Format& format_;
  Existing existing_;
  bool in_parts_;  // of a file: in as many as it takes, in a folder until they are committed
  PendingOutput pending_;
  std::unique_ptr<ModelWriter> writer_;
  std::string caution_;
};

}  // namespace halftone
