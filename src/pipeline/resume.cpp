#include "pipeline/resume.h"

#include "base/error.h"
#include "base/place.h"
#include "checkpoint/checkpoint.h"
#include "pipeline/output_parts.h"
#include "pipeline/output_place.h"
#include "pipeline/run_identity.h"

namespace halftone {

namespace fs = std::filesystem;
using nlohmann::json;

QuantizeRequest with_choices_of_the_run_before(QuantizeRequest request) {
  if (!request.resume) return request;
  const fs::path begun = journal_folder(request.out) / kRunFile;
  for (const bool journaled : {true, false}) {
    json before;
    try {
      if (!journaled) before = report_of_output(request.out);
      if (journaled && is_there(begun)) before = read_json(begun);
    } catch (const Error&) {
      continue;  // for those to say who need it
    }
    if (before.is_null()) continue;
    const auto text = [&](const char* key) {
      const auto found = before.is_object() ? before.find(key) : before.end();
      return found != before.end() && found->is_string() ? found->get<std::string>() : "";
    };
    if (request.compute == Compute::kAuto) request.compute = compute_named(text("compute"));
    if (!request.products) request.products = products_named(text("products"));
    break;
  }
  return request;
}

int64_t resume(const Journal& journal, Output& output, RunRecord& report, Calibration& calibration,
               Progress& progress) {
  if (journal.blocks() == 0) return 0;
  progress.begin("resume", journal.blocks());
  for (int64_t block = 0; block < journal.blocks(); ++block) {
    calibration.enter(block);
    for (const JournaledLinear& linear : journal.read(block)) {
      output.add_linear(linear.finished);
      report.take_over(linear.row);
      calibration.replace(linear.slot, linear.finished.weights);
    }
    calibration.leave();
    progress.update(block + 1, fmt::format("block {}", block));
  }
  progress.end();
  return journal.blocks();
}

std::optional<RunReport> finished_report(const QuantizeJob& job) {
  const QuantizeRequest& request = job.request();
  const json kept = request.resume ? report_of_output(request.out) : json();
  if (kept.is_null()) return std::nullopt;
  const json identity = comparable(job.identity());
  json wanted = identity;
  if (!request.format.empty()) wanted["format"] = request.format;
  const std::string change = first_change(comparable(kept), wanted);
  const fs::path journal = journal_folder(request.out);
  if (!change.empty() && is_there(journal)) return std::nullopt;  // an output to be overwritten
  require(change.empty(),
          "{}: the output of another run ({}); --overwrite without --resume replaces it",
          shown(request.out), change);
  if (is_there(journal / kRunFile)) {  // killed after the output was put here
    const FileLock lock(journal / kRunFile);
    if (first_change(read_json(journal / kRunFile), identity).empty()) discard_journal(request.out);
  }
  RunReport report = parse_run_report(kept, place_of_report(request.out));
  report.written = written_totals(file_to_open(request.out));  // verified, or it would not be here
  return report;
}

}  // namespace halftone
