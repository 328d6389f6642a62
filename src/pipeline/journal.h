// What an interrupted run leaves for the next one: the quantized linears of each block that was
// finished, beside the output until the output is in its place.
//
//   OUT.journal/run.json       what was asked for (QuantizeJob::identity)
//   OUT.journal/block-00007/   a `native` folder of the block's linears; its halftone.json holds
//                              their rows of the report and the fingerprints of their weights
//
// A block appears complete or not at all. A run without calibration keeps no journal: it takes
// little more than writing its output.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "format/format.h"
#include "pipeline/quantize_job.h"

namespace halftone {

inline constexpr const char* kRunFile = "run.json";

// Whether finished blocks of an interrupted run are kept there.
bool has_finished_blocks(const std::filesystem::path& out);
// Removes a journal that this process has made, as it ends in the middle of its work.
void discard_journal(const std::filesystem::path& out);

struct JournaledLinear {
  LinearSlot slot;
  FinishedLinear finished;
  LinearRow row;  // of the report
};

class Journal {
 public:
  // Errors: a journal that the request neither resumes nor overwrites; one that another process is
  // writing to; one of another run (the message says what differs). What a killed run has left of
  // the output itself is removed with --resume.
  explicit Journal(const QuantizeJob& job);
  ~Journal();  // a journal without a single block is removed
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  size_t expected_bytes() const;  // what the blocks that are left will take, at least
  // The blocks an interrupted run has finished: 0 .. blocks() - 1.
  int64_t blocks() const { return blocks_; }
  // The linears of one of them in the order in which they were quantized. Errors: files that are
  // damaged or do not hold what was calibrated.
  std::vector<JournaledLinear> read(int64_t block) const;

  // One block after another: `begin`, `add` for each of its linears, `finish`.
  void begin(int64_t block);
  void add(const FinishedLinear& linear, const LinearRow& row);
  void finish();

  // The output is in its place.
  void remove();

 private:
  std::filesystem::path block_folder(int64_t block) const;
  std::filesystem::path run_file() const;
  void open();   // what an interrupted run has left
  void start();  // at the first block, so that a refusal changes nothing

  const QuantizeJob& job_;
  std::filesystem::path folder_;
  OutputPlan plan_;
  bool started_ = false;                  // the folder is this run's
  std::optional<FileLock> lock_;          // while the folder is there
  int64_t blocks_ = 0;                    // taken over
  std::optional<PendingOutput> pending_;  // the block at hand
  std::unique_ptr<ModelWriter> writer_;
  nlohmann::json rows_;
};

}  // namespace halftone
