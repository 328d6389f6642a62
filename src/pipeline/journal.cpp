#include "pipeline/journal.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "format/verify.h"
#include "report/human.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kDiskMargin = 1.02;  // headers
constexpr const char* kRunFile = "run.json";
constexpr const char* kReportFile = "halftone.json";
constexpr const char* kVersionKey = "halftone_version";

std::string shown(const fs::path& path) {
  return printable(path.string(), 400);
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

std::string_view next_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// "then X, now Y": the first line in which two values differ.
std::string difference(const json& then, const json& now) {
  const std::string before = text_of(then), after = text_of(now);
  std::string_view a = before, b = after, line_a, line_b;
  do {
    line_a = next_line(a);
    line_b = next_line(b);
  } while (line_a == line_b && !(a.empty() && b.empty()));
  return fmt::format("then {}, now {}", printable(line_a), printable(line_b));
}

// What of `identity` another run had otherwise; empty if nothing.
std::string first_difference(const json& begun, const json& identity) {
  const json then = begun.flatten(), asked = identity.flatten();
  for (const auto& [key, now] : asked.items()) {
    const auto found = then.find(key);
    const json value = found == then.end() ? json() : *found;
    if (value != now) return fmt::format("{}: {}", key.substr(1), difference(value, now));
  }
  return "";
}

// Where the text lies and what the recipe's file is called change nothing.
json comparable(json identity) {
  if (identity["calibration"].is_object()) identity["calibration"].erase("text");
  identity["recipe"].erase("sha256");
  return identity;
}

// A lower bound of what the linears take in the journal.
size_t expected_bytes(const OutputPlan& plan) {
  double bits = 0;
  for (const LinearPlan& linear : plan.linears)
    bits += static_cast<double>(linear.out * linear.in) * linear.recipe.grid.bits;
  return static_cast<size_t>(bits / 8 * kDiskMargin);
}

void require_room(const fs::path& folder, size_t needed) {
  const size_t free = free_disk_bytes(folder);
  require(free >= needed,
          "{}: the run takes about {} for its output and this journal, the disk has {} free",
          shown(folder), human_bytes(static_cast<double>(needed)),
          human_bytes(static_cast<double>(free)));
}

}  // namespace

fs::path journal_folder(const fs::path& out) {
  fs::path normal = out.lexically_normal();
  if (!normal.has_filename()) normal = normal.parent_path();
  return normal += ".journal";
}

Journal::Journal(const QuantizeJob& job, size_t output_bytes) : job_(job) {
  const QuantizeRequest& request = job.request();
  if (request.resume) remove_abandoned(request.out);
  if (!job.calibrated()) return;
  folder_ = journal_folder(request.out);
  plan_ = job.output_plan();
  plan_.companions = false;
  plan_.online.reset();  // no network is run from a block's folder
  require_room(folder_, output_bytes + expected_bytes(plan_));
  if (!is_there(folder_)) return;
  require(request.resume || request.overwrite,
          "{}: an interrupted run is kept here; --resume goes on with it, --overwrite starts again",
          shown(folder_));
  open();
}

Journal::~Journal() {
  writer_.reset();  // its files are in the pending folder
  pending_.reset();
  if (lock_ && !is_there(block_folder(0))) remove();
}

void Journal::open() {
  const json begun = read_json(run_file());  // fails where the folder is none of ours
  require(begun.contains(kVersionKey), "{}: expected '{}'", shown(run_file()), kVersionKey);
  lock_.emplace(run_file());
  if (!job_.request().resume) {
    remove();
    return;
  }
  const std::string changed = first_difference(begun, comparable(job_.identity()));
  require(changed.empty(),
          "{}: belongs to another run ({}); ask for the same, or start again with --overwrite "
          "alone",
          shown(folder_), changed);
  while (blocks_ < job_.model().config().layers && is_there(block_folder(blocks_))) ++blocks_;
}

void Journal::create() {
  PendingOutput fresh(folder_, PendingOutput::Kind::kFolder, false);
  write_file_atomically(fresh.staging() / kRunFile, comparable(job_.identity()).dump(2) + "\n");
  fresh.commit();
  lock_.emplace(run_file());
}

fs::path Journal::run_file() const {
  return folder_ / kRunFile;
}

fs::path Journal::block_folder(int64_t block) const {
  return folder_ / fmt::format("block-{:05}", block);
}

std::vector<LinearSlot> Journal::linears(int64_t block) const {
  std::vector<LinearSlot> all;
  for (int stage = 0; stage < job_.model().family().stages; ++stage)
    for (const LinearSlot& slot : job_.linears(block, stage)) all.push_back(slot);
  return all;
}

void Journal::begin(int64_t block) {
  if (folder_.empty()) return;
  if (!lock_) create();
  OutputPlan plan = plan_;
  const std::vector<LinearSlot> slots = linears(block);
  std::erase_if(plan.linears, [&](const LinearPlan& linear) {
    return std::none_of(slots.begin(), slots.end(),
                        [&](const LinearSlot& slot) { return slot.name == linear.name; });
  });
  pending_.emplace(block_folder(block), PendingOutput::Kind::kFolder, true);
  writer_ = find_format("native").open_writer(pending_->staging(), plan);
  rows_ = json::array();
}

void Journal::add(const std::string& linear, const QuantizedLinear& quantized, const json& row) {
  if (!writer_) return;
  writer_->add_linear(linear, quantized);
  rows_.push_back(row);
}

void Journal::finish() {
  if (!writer_) return;
  writer_->finish({{"linears", rows_}, {"fingerprints", writer_->fingerprints()}});
  writer_.reset();
  pending_->commit();
  pending_.reset();
}

std::vector<JournaledLinear> Journal::read(int64_t block) const {
  const fs::path folder = block_folder(block);
  const std::vector<LinearSlot> slots = linears(block);
  const auto model = open_model(folder);
  const json kept = read_json(folder / kReportFile);
  const json object = kept.is_object() ? kept : json::object();
  const json rows = object.value("linears", json()), prints = object.value("fingerprints", json());
  require(rows.is_array() && rows.size() == slots.size() && prints.is_object(),
          "{}: expected {} linears and their fingerprints", shown(folder / kReportFile),
          slots.size());
  std::vector<JournaledLinear> linears;
  for (size_t i = 0; i < slots.size(); ++i) {
    const std::string& name = slots[i].name;
    require(rows[i].is_object() && rows[i].value("name", json()) == name,
            "{}: expected {} as number {}", shown(folder / kReportFile), name, i);
    linears.push_back({slots[i], model->read_linear(name), rows[i]});
    require(prints.value(name, json()) == weight_fingerprint(linears.back().quantized),
            "{}: {}: these are not the weights that were written", shown(folder), name);
  }
  return linears;
}

void Journal::remove() {
  std::error_code error;
  if (!folder_.empty()) fs::remove_all(folder_, error);
  lock_.reset();
}

int64_t resume(const Journal& journal, Output& output, RunReport& report,
               std::optional<Calibration>& calibration, Progress& progress) {
  if (journal.blocks() == 0) return 0;
  progress.begin("resume", journal.blocks());
  for (int64_t block = 0; block < journal.blocks(); ++block) {
    const std::vector<JournaledLinear> linears = journal.read(block);
    for (const JournaledLinear& linear : linears) {
      output.add_linear(linear.slot.name, linear.quantized);
      report.take_over(linear.row);
    }
    if (calibration)
      calibration->pass(block, [&](Block& weights) {
        for (const JournaledLinear& linear : linears)
          replace_weight(weights, linear.slot, linear.quantized);
      });
    progress.update(block + 1, fmt::format("block {}", block));
  }
  progress.end();
  return journal.blocks();
}

std::optional<json> finished_report(const QuantizeJob& job) {
  const fs::path& out = job.request().out;
  if (!job.request().resume || !is_there(out) || is_there(journal_folder(out))) return std::nullopt;
  json report = read_json(out / kReportFile);
  json identity = comparable(job.identity());
  if (!job.request().format.empty()) identity["format"] = job.request().format;
  const std::string changed = first_difference(report, identity);
  require(changed.empty(),
          "{}: the output of another run ({}); --overwrite without --resume replaces it",
          shown(out), changed);
  report.update(written_totals(out));
  report["verified"] = true;  // it was read back before it was put here
  return report;
}

}  // namespace halftone
