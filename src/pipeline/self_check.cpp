#include "pipeline/self_check.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/memory.h"
#include "evaluate/block_errors.h"
#include "evaluate/context_free.h"
#include "evaluate/generate.h"
#include "evaluate/score.h"
#include "evaluate/statistics.h"
#include "pipeline/end_tokens.h"
#include "pipeline/image_check.h"
#include "pipeline/model_tokenizer.h"
#include "pipeline/output_parts.h"

namespace halftone {
namespace {

constexpr int64_t kWindows = 4, kLength = 512;          // enough to see a collapse
constexpr int64_t kPromptTokens = 32, kNewTokens = 32;  // of the line it writes
constexpr double kStandsOut = 4;                        // times the other blocks' error
constexpr double kFarFromTraining = 0.6;                // of the loss of a guess among all tokens

SelfCheck::Number number(const Estimate& estimate) {
  return {estimate.value, estimate.standard_error};
}

// NaN has no place in an order: it counts as the greatest.
double ordered(double error) {
  return std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
}

// What is compared, and how.
struct Checked {
  const QuantizeJob& job;
  const OpenedModel& written;
  Execution execution;
  TokenWindows windows;
  std::vector<std::string> texts;  // of each window
  Progress& progress;

  const Model& source() const { return job.source().model; }
};

// Texts on which the full-precision model is little better than a guess that knows nothing.
void note_far_texts(const Checked& checked, const std::vector<double>& losses, SelfCheck& check) {
  const auto vocabulary = static_cast<double>(checked.source().config().vocab);
  for (size_t first = 0, end = 0; first < losses.size(); first = end) {
    double sum = 0;
    for (; end < losses.size() && checked.texts[end] == checked.texts[first]; ++end)
      sum += losses[end];
    const double loss = sum / static_cast<double>(end - first);
    if (!(loss > kFarFromTraining * std::log(vocabulary))) continue;
    check.notes.push_back(fmt::format(
        "{} is far from what the model was trained on: the full-precision model loses {:.3g} nats "
        "a token on it, a guess among its {} tokens {:.3g}; calibrate on a text that it knows",
        checked.texts[first], loss, vocabulary, std::log(vocabulary)));
  }
}

void add_scores(const Checked& checked, SelfCheck& check) {
  ReferenceStates states;
  const Scores scores = score_windows(checked.written.model, &checked.source(), checked.windows,
                                      checked.execution, checked.progress, {.states = &states});
  const int64_t windows = check.windows = scores.windows;
  check.length = checked.windows.length;
  check.kl = number(mean_over_windows(scores.kl, windows));
  check.top1 = number(mean_over_windows(scores.same_top, windows));
  check.perplexity = number(perplexity(scores.nll, windows));
  check.reference_perplexity = number(perplexity(scores.reference_nll, windows));
  note_far_texts(checked, window_means(scores.reference_nll, windows), check);
  const at::Tensor scored = states.hidden.slice(1, 0, -1);  // those of the last tokens are not
  check.context_free_kl =
      context_free_divergence(checked.source(), checked.execution, scored.flatten(0, 1));
  check.limit = checked.job.request().check_kl.value_or(check.context_free_kl);
}

// Of the block's linears the one whose weights are furthest from the unquantized ones.
void blame_linear(const Checked& checked, int64_t block, SelfCheck::Blame& blame) {
  const bool rotates = checked.written.model.online() != nullptr;
  double worst = -1;
  for (const LinearSlot& slot : checked.job.model().linears_of_block(block)) {
    if (slot.reads_rotated && !rotates) continue;  // stored in another basis than it was made in
    const at::Tensor weight = checked.job.weight(slot);
    const std::string name = slot.name + ".weight";
    const at::Tensor read = checked.written.weights->load(name).to(at::kFloat);
    const double error = (read - weight).square().sum(at::kDouble).item<double>() /
                         weight.square().sum(at::kDouble).item<double>();
    checked.written.weights->release(name);
    if (ordered(error) <= worst) continue;
    worst = ordered(error);
    blame.linear = slot.name;
    blame.linear_error = error;
  }
}

SelfCheck::Blame find_blame(const Checked& checked) {
  const at::Tensor ids =
      at::tensor(checked.windows.ids, at::kInt).narrow(0, 0, checked.windows.length).unsqueeze(0);
  const std::vector<PartError> errors = part_errors(checked.written.model, checked.job.model(), ids,
                                                    checked.execution, checked.progress);
  std::vector<double> blocks;  // the embedding is the first part, the head the last
  for (size_t i = 1; i + 1 < errors.size(); ++i) blocks.push_back(ordered(errors[i].error));
  std::sort(blocks.begin(), blocks.end());
  const auto worst = std::max_element(
      errors.begin(), errors.end(),
      [](const auto& a, const auto& b) { return ordered(a.error) < ordered(b.error); });
  SelfCheck::Blame blame{.part = worst->name,
                         .error = worst->error,
                         .others = blocks[(blocks.size() - 1) / 2],
                         .stands_out = false,
                         .linear = {}};
  blame.stands_out = ordered(blame.error) > kStandsOut * blame.others;
  const int64_t block = worst - errors.begin() - 1;
  if (block >= 0 && block < static_cast<int64_t>(blocks.size()))
    blame_linear(checked, block, blame);
  return blame;
}

// Writes on behind the first window's first tokens; a reason where that cannot be done.
void go_on(const Checked& checked, SelfCheck& check) {
  const QuantizeRequest& request = checked.job.request();
  const int64_t bytes = checked.source().parameters() * static_cast<int64_t>(sizeof(float));
  require(bytes <= request.memory_limit.value_or(physical_memory_bytes() / 2),
          "all weights at once do not fit into --memory-limit");
  const auto tokenizer = open_model_tokenizer(checked.job.source().path);
  const int64_t prompt = std::min(kPromptTokens, checked.windows.length / 2);
  const std::vector<TokenId> ids(checked.windows.ids.begin(), checked.windows.ids.begin() + prompt);
  checked.progress.begin("self-check: write", checked.source().config().layers + kNewTokens);
  int64_t done = 0;
  const auto step = [&] { checked.progress.update(++done, "a line"); };
  HeldModel held(checked.written.model, checked.execution, [&](int64_t) { step(); });
  GeneratedText line;
  const GenerationOptions options{.max_tokens = kNewTokens,
                                  .ends = end_tokens(checked.job.source())};
  const std::vector<std::vector<TokenId>> prompts = {ids};
  generate(held, *tokenizer, options, prompts,
           {.grown = {},
            .finished = [&](size_t, GeneratedText text) { line = std::move(text); },
            .step = step});
  checked.progress.end();
  require(line.finish != Finish::kNotFinite, "logits that are no numbers");
  check.prompt = tokenizer->decode(ids, true);
  check.text = line.text;
  check.loops = ends_in_a_loop(line.ids);
}

// Why nothing can be scored; empty: something can.
std::string reason_to_skip(const QuantizeJob& job, const TokenWindows& windows) {
  if (!job.texts()) return "no --calibration text to score the output on";
  if (windows.count == 0)
    return fmt::format("the calibration's windows leave no {} tokens of the text", windows.length);
  return "";
}

}  // namespace

SelfCheck check_written(const QuantizeJob& job, const std::filesystem::path& path,
                        Progress& progress) {
  const auto start = std::chrono::steady_clock::now();
  SelfCheck check;
  CalibrationTexts::Apart apart{{0, std::min(kLength, job.model().config().context), {}}, {}};
  if (job.texts()) apart = job.texts()->windows_apart(kWindows, apart.windows.length);
  check.skipped = reason_to_skip(job, apart.windows);
  if (!check.skipped.empty()) return check;
  const OpenedModel written(path);
  const QuantizeRequest& request = job.request();
  const Checked checked{job,
                        written,
                        choose_execution(request.device, Compute::kAuto, request.threads, false),
                        std::move(apart.windows),
                        std::move(apart.texts),
                        progress};
  add_scores(checked, check);
  if (check.collapsed()) check.blame = find_blame(checked);
  try {
    go_on(checked, check);
  } catch (const Error& error) {  // the line is an extra
    check.no_text = error.what();
  }
  check.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return check;
}

RunReport with_self_check(RunReport report, const QuantizeJob& job, Progress& progress) {
  if (!job.request().check) return report;
  const auto check = job.images() ? check_images : check_written;
  report.check = check(job, file_to_open(job.request().out), progress);
  for (const std::string& note : report.check->notes) report.notes.push_back(note);
  if (!report.seconds) return report;  // nothing else was done
  *report.seconds += report.check->seconds;
  report.peak_rss_bytes = static_cast<size_t>(peak_resident_bytes());
  return report;
}

}  // namespace halftone
