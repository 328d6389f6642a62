#include "pipeline/journal.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <span>

#include "base/error.h"
#include "base/place.h"
#include "checkpoint/checkpoint.h"
#include "pipeline/output_place.h"
#include "pipeline/output_plan.h"
#include "pipeline/run_identity.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string block_name(int64_t block) {
  return fmt::format("block-{:05}", block);
}

// run.json goes last, so that what a kill leaves is still known as a journal, or is empty.
void discard(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> blocks;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().filename() != kRunFile) blocks.push_back(entry.path());
  for (const fs::path& block : blocks) fs::remove_all(block, error);
  fs::remove(folder / kRunFile, error);
  fs::remove(folder, error);
}

}  // namespace

bool has_finished_blocks(const fs::path& out) {
  return is_there(journal_folder(out) / block_name(0));
}

void discard_journal(const fs::path& out) {
  discard(journal_folder(out));
}

Journal::Journal(const QuantizeJob& job)
    : job_(job), folder_(journal_folder(job.request().out)), plan_(job.output_plan()) {
  plan_.companions = false;
  plan_.online.reset();  // no network is run from a block's folder
  std::error_code error;
  if (fs::is_directory(folder_, error) && fs::is_empty(folder_, error))
    fs::remove(folder_, error);  // of a kill while it was removed
  if (is_there(folder_)) open();
  if (job.request().resume) remove_abandoned(job.request().out);
  remove_abandoned(folder_);
}

Journal::~Journal() {
  writer_.reset();  // its files are in the pending folder
  pending_.reset();
  if (started_ && !is_there(block_folder(0))) discard(folder_);
}

void Journal::open() {
  const QuantizeRequest& request = job_.request();
  require(request.resume || request.overwrite || !has_finished_blocks(request.out),
          "{}: an interrupted run is kept here; --resume goes on with it, --overwrite starts again",
          shown(folder_));
  const json begun = read_json(run_file());  // fails where the folder is none of ours
  require(begun.contains(kVersionKey), "{}: expected '{}'", shown(run_file()), kVersionKey);
  lock_.emplace(run_file());
  if (!request.resume) return;  // it is replaced when there is something to replace it
  const std::string change = first_change(begun, comparable(job_.identity()));
  require(change.empty(),
          "{}: belongs to another run ({}); ask for the same, or start again with --overwrite "
          "alone",
          shown(folder_), change);
  started_ = true;
  while (blocks_ < job_.model().config().layers && is_there(block_folder(blocks_))) ++blocks_;
}

void Journal::start() {
  if (lock_) discard(folder_);
  PendingOutput fresh(folder_, PendingOutput::Kind::kFolder, false);
  write_file_atomically(fresh.staging() / kRunFile, comparable(job_.identity()).dump(2) + "\n");
  fresh.commit();
  lock_.emplace(run_file());
  started_ = true;
}

size_t Journal::expected_bytes() const {
  if (!job_.calibrated()) return 0;
  size_t done = 0;
  for (int64_t block = 0; block < blocks_; ++block)
    done += job_.model().linears_of_block(block).size();
  return bytes_on_disk(code_bytes(std::span(plan_.linears).subspan(done)));
}

fs::path Journal::run_file() const {
  return folder_ / kRunFile;
}

fs::path Journal::block_folder(int64_t block) const {
  return folder_ / block_name(block);
}

void Journal::begin(int64_t block) {
  if (!job_.calibrated()) return;
  if (!started_) start();
  OutputPlan plan = plan_;
  plan.others.clear();
  const std::span<const LinearSlot> slots = job_.model().linears_of_block(block);
  std::erase_if(plan.linears, [&](const LinearPlan& linear) {
    return std::none_of(slots.begin(), slots.end(),
                        [&](const LinearSlot& slot) { return slot.name == linear.name; });
  });
  pending_.emplace(block_folder(block), PendingOutput::Kind::kFolder, true);
  writer_ = find_format("native").open_writer(pending_->staging(), plan);
  rows_ = json::array();
}

void Journal::add(const FinishedLinear& linear, const LinearRow& row) {
  if (!writer_) return;
  writer_->add_linear(linear);
  rows_.push_back(json(row));
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
  const std::span<const LinearSlot> slots = job_.model().linears_of_block(block);
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
    FinishedLinear linear =
        with_path(folder, [&] { return finish_linear(name, model->read_linear(name)); });
    require(prints.value(name, json()) == linear.fingerprint,
            "{}: {}: these are not the weights that were written", shown(folder), name);
    linears.push_back({slots[i], std::move(linear),
                       parse_linear_row(rows[i], shown(folder / kReportFile) + ": " + name)});
  }
  return linears;
}

void Journal::remove() {
  if (lock_) discard(folder_);
  lock_.reset();
}

}  // namespace halftone
