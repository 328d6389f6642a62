#include "pipeline/verify_output.h"

#include <algorithm>
#include <functional>
#include <span>

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"
#include "base/sha256.h"
#include "format/linear_check.h"
#include "format/verify.h"
#include "pipeline/bits.h"
#include "pipeline/opened_model.h"
#include "pipeline/output.h"
#include "pipeline/output_place.h"
#include "pipeline/source_accounts.h"
#include "pipeline/source_check.h"
#include "recipe/recipe.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<fs::path> files_at(const fs::path& path) {
  if (kind_at(path) != PlaceKind::kFolder) return {path};
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

json hashed_files(const fs::path& path, Progress& progress) {
  const std::vector<fs::path> files = files_at(path);
  progress.begin("hash", static_cast<int64_t>(files.size()));
  json list = json::array();
  for (const fs::path& file : files) {
    const MappedFile mapped(file);
    const bool inside = file != path;
    list.push_back({{"name", (inside ? file.lexically_relative(path) : file.filename()).string()},
                    {"bytes", mapped.bytes().size()},
                    {"sha256", sha256_hex(mapped.bytes())}});
    progress.update(static_cast<int64_t>(list.size()), last_name(file.string()));
  }
  progress.end();
  return list;
}

// Runs checks one after another; each says what it found, or throws what is wrong.
class Checks {
 public:
  void add(const char* name, const std::function<std::string()>& check) {
    json entry = {{"name", name}, {"holds", true}};
    try {
      entry["found"] = check();
    } catch (const Error& error) {
      entry["holds"] = holds_ = false;
      entry["found"] = error.what();
    }
    list_.push_back(std::move(entry));
  }
  bool hold() const { return holds_; }
  json take() { return std::move(list_); }

 private:
  json list_ = json::array();
  bool holds_ = true;
};

std::string fingerprint_of(const OpenedModel& opened, const std::vector<std::string>& packed,
                           const std::string& name) {
  if (!std::binary_search(packed.begin(), packed.end(), name))
    return weight_fingerprint(opened.weights->load(name + ".weight"));
  const QuantizedLinear linear = opened.weights->read_linear(name);
  check_linear(linear);
  return weight_fingerprint(linear);
}

// Reads every linear: the codes and scales of a quantized one are a grid, its weights finite.
// `hashes` gets the fingerprints of their weights, however they are stored.
std::string check_weights(const OpenedModel& opened, Progress& progress, json& hashes) {
  const std::vector<std::string> packed = opened.weights->linears();
  progress.begin("read back", static_cast<int64_t>(opened.model.linears().size()));
  for (const LinearSlot& slot : opened.model.linears()) {
    hashes[slot.name] =
        with_context(slot.name, [&] { return fingerprint_of(opened, packed, slot.name); });
    opened.weights->release(slot.name + ".weight");
    progress.update(static_cast<int64_t>(hashes.size()), slot.name);
  }
  progress.end();
  const std::string damage = first_not_finite(opened);
  require(damage.empty(), "{}", damage);
  return fmt::format("{} linears ({} quantized) and {} other tensors are read, all finite",
                     hashes.size(), opened.quantized_linears(),
                     opened.model.other_tensors().size());
}

// What the run kept of the weights it wrote, against what is read now.
std::string check_hashes(const OpenedModel& opened, const json& report, const json& hashes) {
  if (!report.is_object() || !report.contains(kWeightHashes)) return "no report with their hashes";
  const std::vector<std::string> packed = opened.weights->linears();
  const json& written = report.at(kWeightHashes);
  for (const auto& [name, hash] : written.items()) {
    require(opened.weights->contains(name + ".weight"), "{}: written, but not there",
            printable(name));
    require((hashes.contains(name) ? hashes.at(name)
                                   : json(fingerprint_of(opened, packed, name))) == hash,
            "{}: the weights read back are not the weights that were written", printable(name));
  }
  return fmt::format("{} matrices as the run has written them", written.size());
}

// The run's own report against what is there.
std::string check_report(const OpenedModel& opened, const json& report) {
  if (report.is_null()) return "none: not written by `halftone quantize` or `convert`";
  if (!report.contains("recipe")) {
    require(!report.contains("run") || report.at("run").is_object(),
            "run: expected the model and the recipe behind a conversion, found something else");
    return "of a conversion";
  }
  const std::string toml = report.at("recipe").at("toml"),
                    sha256 = sha256_hex(std::as_bytes(std::span(toml.data(), toml.size())));
  require(report.at("recipe").at("sha256") == sha256,
          "the recipe's text is not that of its hash: the report was changed");
  std::vector<std::string> linears, slots;
  for (const json& row : report.at("linears")) linears.push_back(row.at("name"));
  for (const LinearSlot& slot : opened.model.linears()) slots.push_back(slot.name);
  std::sort(linears.begin(), linears.end());
  std::sort(slots.begin(), slots.end());
  require(linears == slots, "the report has {} linears, the model {}, or others", linears.size(),
          slots.size());
  require(report.at("format") == opened.weights->format() || report.at("format") == "dense",
          "the report says {}, the files are {}", report.at("format").dump(),
          opened.weights->format());
  return fmt::format("recipe {}, {} linears, format {}", report.at("recipe").at("name").dump(),
                     linears.size(), report.at("format").dump());
}

// Errors of JSON that is not what a report is become ours.
template <class Work>
std::string of_report(Work&& work) {
  try {
    return work();
  } catch (const json::exception& error) {
    fail("expected the report of a run, found something else: {}", printable(error.what()));
  }
}

// What a report says of the run, its own or that behind a conversion.
const json& run_of(const json& report) {
  return report.is_object() && report.contains("run") ? report["run"] : report;
}

// A report that does not say is no rotated one's; that it is damaged is said elsewhere.
bool is_rotated(const json& run) {
  try {
    if (!run.is_object() || !run.contains("recipe")) return false;
    const Recipe recipe = parse_recipe(run["recipe"].at("toml").get<std::string>(), "report");
    return recipe.model.transform.rotation != RotationKind::kNone;
  } catch (const json::exception&) {
    return false;
  } catch (const Error&) {
    return false;
  }
}

void check_source(const OpenedModel& opened, const OpenedModel& source, const json& run,
                  Progress& progress, Checks& checks, json& result) {
  checks.add("made from the source", [&] {
    return of_report([&]() -> std::string {
      if (!run.is_object() || !run.contains("model")) return "no report says from what";
      require(run["model"].at("fingerprint") == source.fingerprint(),
              "the report names another model's fingerprint");
      return "its fingerprint is the one in the report";
    });
  });
  const bool rotated = is_rotated(run);
  checks.add("every tensor accounted for",
             [&] { return account_tensors(opened, source, rotated); });
  if (!rotated)
    checks.add("weights near the source's",
               [&] { return account_linears(opened, source, progress, result["linears"]); });
  checks.add("companion files", [&] { return account_companions(opened, source); });
}

}  // namespace

std::vector<fs::path> inputs_of_verification(const fs::path& path,
                                             const std::optional<fs::path>& source) {
  std::vector<fs::path> inputs = files_of_model(path);
  if (source)
    for (const fs::path& file : files_of_model(*source)) inputs.push_back(file);
  return inputs;
}

json verify_output(const fs::path& path, const std::optional<fs::path>& source,
                   Progress& progress) {
  require(is_there(path), "{}: does not exist", shown(path));
  std::optional<OpenedModel> reference;
  if (source) reference.emplace(*source);
  json result = {{"model", path.string()},
                 {"source", source ? json(source->string()) : json()},
                 {"files", hashed_files(path, progress)}};
  Checks checks;
  std::optional<OpenedModel> opened;
  json report;
  checks.add("opens", [&] {
    opened.emplace(path);
    return fmt::format("{}, {}", opened->model.config().architecture, opened->weights->format());
  });
  if (opened) {
    result["format"] = opened->weights->format();
    result["bits_per_weight"] = bits_of(*opened->weights, opened->model);
    json& hashes = result[kWeightHashes] = json::object();
    checks.add("reads back", [&] { return check_weights(*opened, progress, hashes); });
    checks.add("its report", [&] {
      report = report_of_output(path);
      return of_report([&] { return check_report(*opened, report); });
    });
    checks.add("its weights",
               [&] { return of_report([&] { return check_hashes(*opened, report, hashes); }); });
    if (reference) check_source(*opened, *reference, run_of(report), progress, checks, result);
  }
  result["holds"] = checks.hold();
  result["checks"] = checks.take();
  return result;
}

}  // namespace halftone
