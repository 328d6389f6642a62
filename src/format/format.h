// The output formats: one explicit list, each entry with what it can hold, a writer and a reader.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "checkpoint/checkpoint.h"
#include "format/finished_linear.h"
#include "format/gguf_head.h"
#include "format/linear_plan.h"
#include "quantize/quantized_linear.h"

namespace halftone {

// Some linears read inputs that are rotated as the model runs (reads_rotated of their plan): x R,
// with weights W R.
struct OnlineRotation {
  nlohmann::json config;  // keys of quantization_config that tell our own network so
  // W R -> W, for a network that does not rotate.   weight: (out, in) float32
  std::function<at::Tensor(const at::Tensor& weight)> undo;
};

// How linears were made, for config keys that are there to be read by people (gptq: `meta`).
struct Provenance {
  std::string producer = "halftone:" HALFTONE_VERSION;  // NAME:VERSION
  std::optional<double> damping;                        // share of the Hessian's mean diagonal
  bool static_groups = true;
};

// A tensor that is no planned linear's weight.
struct PlannedTensor {
  std::string name;
  std::vector<int64_t> shape;
  at::ScalarType dtype = at::kFloat;    // of a folder
  std::optional<StoredGrid> grid = {};  // of a folder, where `quantized`
  std::string gguf_type = {};           // of a GGUF file; empty: that of all matrices
  bool quantized = false;  // its rows come through add_rows: that type is one of our grids
  bool last = false;       // behind the linears, by which time its inputs are known
};

// Quantizes some rows of a matrix; fewer than all, so that memory holds no more.
using QuantizeRows = std::function<QuantizedLinear(const at::Tensor& rows)>;  // rows: (rows, in)

// What the writer of a whole model needs to know before the first tensor comes.
struct OutputPlan {
  const ModelSource* source = nullptr;  // config and companion files are taken from here
  at::ScalarType dtype = at::kFloat;    // of the model's weights: kBFloat16, kHalf or kFloat
  nlohmann::json config;                // in place of the source's config.json, unless null
  // Modules by the model's family: engines are told whether the head is quantized, and take the
  // embedding for no linear.
  std::string head, embedding;
  std::vector<PlannedTensor> others;     // they come first, in this order, but for the last ones
  std::vector<LinearPlan> linears;       // these next, in this one
  std::optional<GgufHead> gguf;          // of a GGUF file
  std::optional<OnlineRotation> online;  // where a linear's plan has one
  bool companions = true;                // tokenizer, licence and the like come along
  Provenance made = {};

  // All that is stored on a grid of ours: the linears, and behind them the matrices of `others`
  // that have one.
  std::vector<LinearPlan> on_grids() const;
  static LinearPlan on_grid(const PlannedTensor& tensor);  // that has one
};

// Writes one model into an existing empty folder, or a file, tensor by tensor; memory stays at one
// shard.
// Errors: a linear that is not what the plan says, comes twice or never; numbers the format would
// change (a scale beyond its type).
class ModelWriter {
 public:
  virtual ~ModelWriter() = default;
  // linear: one of `plan.linears`.
  virtual void add_linear(const FinishedLinear& linear) = 0;
  // Any other tensor, unchanged, under its own name.
  virtual void add_tensor(const std::string& name, const at::Tensor& tensor) = 0;
  // A matrix of `others` that is planned as quantized.
  virtual void add_rows(const std::string& name, const at::Tensor& matrix,
                        const QuantizeRows& quantize) = 0;
  // Index, config files, companions. `report` goes to halftone.json.
  virtual void finish(const nlohmann::json& report) = 0;
  // What the files must give back: linear, or quantized matrix, -> weight_fingerprint
  // (format/verify.h) of the weights they hold, which are those of the finished linear unless the
  // format rounds them (dense).
  virtual const std::map<std::string, std::string>& fingerprints() const = 0;
};

struct Format {
  std::string name, summary;
  PendingOutput::Kind kind = PendingOutput::Kind::kFolder;  // what an output is
  // The least zero point of an asymmetric grid that it holds; a run starts its zeros there.
  int least_zero = 0;
  // Its engines run linears of one input (q, k, v; gate, up; experts) as one, which needs one grid.
  bool fuses_linears = false;
  bool only_on_request(const OutputPlan& plan) const { return on_request && on_request(plan); }

  // Why this format cannot hold the plan: one line that names the linear, empty if it can.
  std::string (*refusal)(const OutputPlan& plan);
  // Holds it, but is not chosen unless asked for by name (compressed-tensors at 3, 5, 6, 7 bits).
  // May be null.
  bool (*on_request)(const OutputPlan& plan);
  // path: an empty folder, or of a format that is a file its name.
  std::unique_ptr<ModelWriter> (*open_writer)(const std::filesystem::path& path,
                                              const OutputPlan& plan);
  // The type its files hold scales in; float32: as wide a one as they need.
  at::ScalarType (*scale_type)(const OutputPlan& plan);
  // Which reader refuses what this format holds: one line, empty if none is known to. May be null.
  std::string (*caution)(const OutputPlan& plan);
  // The model in a folder of this format; null if the folder is in another one.
  std::unique_ptr<class PackedModel> (*open_reader)(std::shared_ptr<const Checkpoint> checkpoint);
  // Of a format that is a file: the model in it, or in the parts of which it is the first; null if
  // the file is in another format. Null for formats that are folders.
  std::unique_ptr<class PackedModel> (*open_file)(const std::filesystem::path& file) = nullptr;
};

// In the order in which the default is looked for; `native` and `dense` come last.
const std::vector<Format>& formats();

// Error listing the known names if there is none such.
const Format& find_format(const std::string& name);

// The first format that can hold the plan and needs no asking. Error: none (never happens while
// `native` holds all).
const Format& default_format(const OutputPlan& plan);

// A model of any format as weights. Quantized linears appear under NAME.weight, de-quantized to
// float32; the tensors they are packed in do not appear.
class PackedModel : public WeightSource {
 public:
  virtual std::string format() const = 0;
  virtual std::vector<std::string> linears() const = 0;  // names without ".weight", sorted
  virtual QuantizedLinear read_linear(const std::string& name) const = 0;
  // Whether a weight is stored as codes of a few bits, on a grid of ours or not.
  virtual bool is_packed(std::string_view weight) const;
  // All stored bytes that belong to a linear's weight (codes to side data, not the bias).
  virtual size_t linear_bytes(const std::string& name) const = 0;
  virtual const ModelSource& source() const = 0;  // what it reads, as it is stored
  // Which of its weights were rounded to fewer than 8 bits by someone else, so that to quantize
  // them again adds to their error, in words; empty: none. Of a model without linears() of ours.
  virtual std::string coarse_weights() const { return {}; }
  // What was repaired or guessed while reading, for the log; one line each.
  virtual std::vector<std::string> notes() const { return {}; }
};

// Any model folder, or a file that is one: packed in one of the formats, or plain. A plain one is
// "dense" and has no linears(). Errors: every tensor that is missing or not as the config says,
// with folder and linear; a quantization that is none of ours.
std::unique_ptr<PackedModel> open_model(const std::filesystem::path& path);

}  // namespace halftone
