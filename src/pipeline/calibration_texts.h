// The texts of a run: which windows of them it learns from, and which it is checked on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pipeline/opened_model.h"
#include "pipeline/quantize_request.h"
#include "report/run_report.h"
#include "text/text_mixture.h"

namespace halftone {

// What the request names, or the program's own text.
std::vector<WeighedText> texts_of(const QuantizeRequest& request);

// Errors: weights that are none; several sources for a model of images, which takes one.
void require_sources(const QuantizeRequest& request, const ModelConfig& config);

class CalibrationTexts {
 public:
  // Errors: those of read_corpus_for; two of the same tokens.
  CalibrationTexts(const OpenedModel& opened, const QuantizeRequest& request);

  // The request, with as many sequences at most as the program's own text holds where it is the
  // only one; `note` then says so. Error: it holds none.
  QuantizeRequest fitted(QuantizeRequest request, const ModelConfig& config,
                         std::string& note) const;

  // Shares the request's sequences out by weight and draws them (random_windows, with the seed)
  // from each text; in the order of methods.md 7.5. Errors: a text whose share is none; those of
  // random_windows, behind the text.
  void draw(const QuantizeRequest& request, const ModelConfig& config);
  const std::optional<TokenWindows>& windows() const { return windows_; }

  // At most `count` windows that share no token with those that were drawn, from every text by the
  // same shares, where there are enough one at least; text by text.
  struct Apart {
    TokenWindows windows;
    std::vector<std::string> texts;  // the name of each one's text
  };
  Apart windows_apart(int64_t count, int64_t length) const;

  CalibrationIdentity identity(uint64_t seed, int64_t held_out) const;

 private:
  struct Part {
    WeighedText text;
    Corpus corpus;
    int64_t share = 0;             // of the windows
    std::vector<int64_t> offsets;  // where they begin
  };

  std::vector<double> weights() const;

  std::vector<Part> parts_;
  std::optional<TokenWindows> windows_;
};

// Which text each of a run's windows is from, given how many are from each: in proportion among
// those that are held out for target.auto (one of each at least, where there are enough), among
// those of the gate, and from the first to the last of the others.
std::vector<size_t> mixed_order(const std::vector<int64_t>& shares);

}  // namespace halftone
