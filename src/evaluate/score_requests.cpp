#include "evaluate/score_requests.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <utility>

#include "evaluate/logits.h"

namespace halftone {
namespace {

constexpr int64_t kTokensPerRow = 4096;  // through one block at a time
// Loading every block costs a round a few percent of its work, whatever the model's size.
constexpr int64_t kTokensPerRound = 1 << 14;
constexpr int64_t kHiddenBytes = int64_t{1} << 30;  // of a round
constexpr int64_t kLogitBytes = int64_t{1} << 26;   // of one chunk of positions

// How many groups, from the first on, have at most `most` tokens in a row; one at least.
size_t groups_within(std::span<const RequestGroup> groups, int64_t most) {
  int64_t tokens = 0;
  size_t count = 0;
  while (count < groups.size() && (tokens += tokens_in_row(groups[count])) <= most) ++count;
  return std::max<size_t>(count, std::min<size_t>(1, groups.size()));
}

}  // namespace

RequestScorer::RequestScorer(const Model& model, const Execution& execution)
    : model_(model), execution_(execution), head_(model.load_head(execution)) {}

size_t RequestScorer::groups_in_round(std::span<const RequestGroup> groups) const {
  const int64_t token_bytes =
      model_.config().hidden * static_cast<int64_t>(at::elementSize(execution_.dtype));
  return groups_within(groups, std::min(kTokensPerRound, kHiddenBytes / token_bytes));
}

std::vector<LogLikelihood> RequestScorer::score_row(const RequestRow& row) const {
  std::vector<TargetScore> scores;
  const int64_t at_once = std::max<int64_t>(1, kLogitBytes / (model_.config().vocab * 4));
  for (int64_t begin = 0; begin < row.targets.size(0); begin += at_once) {
    const int64_t count = std::min(at_once, row.targets.size(0) - begin);
    const at::Tensor hidden = row.hidden[0].index_select(0, row.places.narrow(0, begin, count));
    const auto part =
        score_targets(model_.logits(head_, hidden), row.targets.narrow(0, begin, count));
    scores.insert(scores.end(), part.begin(), part.end());
  }
  std::vector<LogLikelihood> likelihoods;
  auto score = scores.begin();
  for (const int64_t count : row.counts) {
    LogLikelihood& sum = likelihoods.emplace_back();
    for (int64_t i = 0; i < count; ++i, ++score) {
      sum.value += score->log_probability;
      sum.is_greedy = sum.is_greedy && score->is_greatest;
    }
  }
  return likelihoods;
}

std::vector<std::vector<LogLikelihood>> RequestScorer::score(
    std::span<const RequestGroup> groups, const std::function<void(int64_t block)>& step) const {
  const at::NoGradGuard no_grad;
  int64_t longest = 1;
  for (const RequestGroup& group : groups) longest = std::max(longest, longest_input(group));
  const Positions all = model_.positions(longest, execution_);
  std::vector<RequestRow> rows;
  std::vector<Positions> positions;
  for (std::span<const RequestGroup> rest = groups; !rest.empty();) {
    const size_t count = groups_within(rest, kTokensPerRow);
    rows.push_back(make_row(model_, rest.first(count), execution_));
    positions.push_back(all.at(rows.back().trees.positions));
    rest = rest.subspan(count);
  }
  for (int64_t i = 0; i < model_.config().layers; ++i) {
    Block block = model_.load_block(i, execution_, all);
    for (size_t r = 0; r < rows.size(); ++r) {
      block.lay_out(positions[r], rows[r].trees);
      BlockState state{std::move(rows[r].hidden)};
      model_.run_block(block, state);
      rows[r].hidden = std::move(state.hidden);
    }
    step(i);
  }
  std::vector<std::vector<LogLikelihood>> scores;
  auto group = groups.begin();
  for (const RequestRow& row : rows) {
    const std::vector<LogLikelihood> of_row = score_row(row);
    for (auto at = of_row.begin(); at != of_row.end(); ++group) {
      const auto end = at + static_cast<ptrdiff_t>(group->size());
      scores.emplace_back(at, end);
      at = end;
    }
  }
  return scores;
}

}  // namespace halftone
