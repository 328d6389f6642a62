// What a quantization was asked for, did and left: the report of `quantize`, which is JSON in an
// output's halftone.json, in a journal and in what --report writes (docs/interface.md).
//
// In JSON a number that is none is null, and keys whose field is empty are absent.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "report/self_check.h"
#include "report/written_totals.h"

namespace halftone {

// A text of a calibration, or its images.
struct CalibrationText {
  std::string text;  // where it lies
  std::string ids_sha256 = {}, tokenizer = {};
  bool round_trip = false, bos = false;
  double weight = 1;      // against the other texts
  int64_t sequences = 0;  // of it
};

// Which sequences a run learns from.
struct CalibrationIdentity {
  std::vector<CalibrationText> texts;  // at least one
  int64_t sequences = 0, length = 0;
  uint64_t seed = 0;
  std::string windows_sha256;
  int64_t held_out_sequences = 0;  // for target.auto
};

// What decides the result of a run.
struct RunIdentity {
  std::string halftone_version, model_fingerprint;
  std::string recipe_name, recipe_toml, recipe_sha256;
  std::optional<CalibrationIdentity> calibration;
  double least_scale = 0;
  std::map<std::string, std::string> matrix_types;  // of a GGUF file, outside the blocks
  std::string imatrix_sha256;                       // of the file of importances; empty: none
  std::optional<std::string> compute, products;     // of calibrated runs
  std::string device;
  int threads = 0;
  uint64_t seed = 0;
};

// One linear.
struct LinearRow {
  struct Gate {
    double score = 0;
    bool closed = false;
  };
  struct Target {
    std::string chosen;
    std::map<std::string, double> held_out_error;  // of each target tried
  };

  std::string name, objective;
  double loss = 0, relative_error = 0, weight_divergence = 0;
  double outliers = 0;  // a share
  double bits_per_weight = 0, damping = 0;
  std::string fallback;
  std::optional<double> seconds;             // not in halftone.json
  std::optional<int64_t> skipped_sequences;  // with an objective
  std::optional<int64_t> tokens;             // that reached an expert's linear, with an objective
  std::optional<double> loss_ratio_to_rtn;
  std::string labels;  // of objectives that follow the end loss
  std::optional<Gate> gate;
  std::optional<Target> target;  // of target.auto
};

struct RunReport {
  RunIdentity identity;
  std::string format;
  std::optional<int64_t> dropped_sequences;  // of calibrated runs
  std::vector<LinearRow> linears;            // in the order in which they were quantized
  std::optional<LinearRow> head;             // quantized behind the final norm
  std::vector<std::string> notes;
  std::optional<WrittenTotals> written;  // once every weight was read back from the files
  std::optional<SelfCheck> check;        // of the files, where it was asked for
  // Of the run that has just ended, not of its output.
  int64_t resumed_linears = 0;
  std::optional<double> seconds;
  size_t peak_rss_bytes = 0, planned_peak_bytes = 0;

  bool verified() const { return written.has_value(); }
};

void to_json(nlohmann::json& json, const CalibrationText& text);
void to_json(nlohmann::json& json, const CalibrationIdentity& calibration);
void to_json(nlohmann::json& json, const RunIdentity& identity);
void to_json(nlohmann::json& json, const LinearRow& row);
void to_json(nlohmann::json& json, const RunReport& report);

// Back from JSON, as journals and outputs keep it: without what was written. Errors, behind
// `place`: a key that is missing or of another type.
LinearRow parse_linear_row(const nlohmann::json& json, const std::string& place);
RunReport parse_run_report(const nlohmann::json& json, const std::string& place);

}  // namespace halftone
