// A model opened for work: its weights, whatever format they are in, and the network over
// them.
#pragma once

#include <filesystem>
#include <memory>

#include "format/format.h"
#include "model/model.h"
#include "text/corpus.h"
#include "text/tokenizer.h"

namespace halftone {

struct OpenedModel {
  // Errors: those of open_model and Model, behind the path.
  explicit OpenedModel(const std::filesystem::path& place);
  // Over weights that were opened by someone else. Errors: those of Model, behind the path.
  OpenedModel(const std::filesystem::path& place, std::shared_ptr<const PackedModel> opened);

  std::filesystem::path path;  // of a folder, or of a file that is a model
  std::shared_ptr<const PackedModel> weights;
  Model model;

  bool is_quantized() const { return !weights->linears().empty(); }
  int64_t quantized_linears() const;  // of the blocks, on grids of ours
  // config.json with what the stored tensors add to it (ModelConfig::unasked).
  nlohmann::json config_json() const;
  // Tells models apart at the cost of a look: SHA-256 of the config and of every tensor's name,
  // type, shape and first, middle and last 64 KiB.
  std::string fingerprint() const;
  // What was wrong with the files, repaired or guessed, and changed nothing; one line each.
  std::vector<std::string> notes() const;
};

// Error: a model of images, where text is asked for.
void require_reads_text(const OpenedModel& opened);

// The text as this model's own tokenizer reads it. Errors: that, those of open_model_tokenizer and
// read_corpus.
Corpus read_corpus_for(const OpenedModel& opened, const std::filesystem::path& text);

// The text that comes with the program, likewise.
Corpus builtin_corpus_for(const OpenedModel& opened);

// length 0: 2048, or the model's context where that is shorter. Errors: more than the context, less
// than 2.
int64_t checked_length(int64_t length, const ModelConfig& config);

}  // namespace halftone
