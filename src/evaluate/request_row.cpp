#include "evaluate/request_row.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace halftone {
namespace {

// A request's tokens but the last, which is only predicted.
std::vector<TokenId> input_of(const TokenRequest& request) {
  std::vector<TokenId> ids = request.context;
  ids.insert(ids.end(), request.continuation.begin(), request.continuation.end() - 1);
  return ids;
}

std::vector<std::vector<TokenId>> inputs_of(const RequestGroup& group) {
  std::vector<std::vector<TokenId>> inputs;
  for (const TokenRequest& request : group) inputs.push_back(input_of(request));
  return inputs;
}

int64_t common_prefix(const std::vector<std::vector<TokenId>>& inputs) {
  size_t length = inputs.front().size();
  for (const std::vector<TokenId>& input : inputs) {
    length = std::min(length, input.size());
    const auto differ = std::mismatch(input.begin(), input.begin() + static_cast<ptrdiff_t>(length),
                                      inputs.front().begin());
    length = static_cast<size_t>(differ.first - input.begin());
  }
  return static_cast<int64_t>(length);
}

// (requests, longest) int64, the shorter ones filled up with token 0
at::Tensor padded(const std::vector<std::vector<TokenId>>& inputs) {
  size_t longest = 0;
  for (const auto& input : inputs) longest = std::max(longest, input.size());
  at::Tensor ids =
      at::zeros({static_cast<int64_t>(inputs.size()), static_cast<int64_t>(longest)}, at::kLong);
  auto* to = ids.data_ptr<int64_t>();
  for (const auto& input : inputs) {
    std::copy(input.begin(), input.end(), to);
    to += longest;
  }
  return ids;
}

// Lists while a row grows.
struct Growing {
  std::vector<at::Tensor> hidden;  // (tokens, hidden) each
  std::vector<int64_t> branches, positions, places, targets;

  // embedded: (length, hidden); its tokens from `first` to `end` - 1
  void add(const at::Tensor& embedded, int64_t branch, int64_t first, int64_t end) {
    if (first == end) return;
    hidden.push_back(embedded.narrow(0, first, end - first));
    for (int64_t position = first; position < end; ++position) {
      branches.push_back(branch);
      positions.push_back(position);
    }
  }
};

void add_group(const Model& model, const RequestGroup& group, const Execution& execution,
               Growing& row, std::vector<int64_t>& counts) {
  const auto inputs = inputs_of(group);
  const int64_t trunk = common_prefix(inputs);
  const at::Tensor embedded = model.embed(padded(inputs), execution);
  const auto begin = static_cast<int64_t>(row.branches.size());
  row.add(embedded[0], 0, 0, trunk);
  for (size_t i = 0; i < group.size(); ++i) {
    const auto branch_begin = static_cast<int64_t>(row.branches.size());
    row.add(embedded[static_cast<int64_t>(i)], static_cast<int64_t>(i) + 1, trunk,
            static_cast<int64_t>(inputs[i].size()));
    auto position = static_cast<int64_t>(group[i].context.size()) - 1;  // that predicts the first
    for (const TokenId target : group[i].continuation) {
      row.places.push_back(position < trunk ? begin + position : branch_begin + position - trunk);
      row.targets.push_back(target);
      ++position;
    }
    counts.push_back(static_cast<int64_t>(group[i].continuation.size()));
  }
}

}  // namespace

int64_t tokens_in_row(const RequestGroup& group) {
  const auto inputs = inputs_of(group);
  const int64_t trunk = common_prefix(inputs);
  int64_t tokens = trunk;
  for (const auto& input : inputs) tokens += static_cast<int64_t>(input.size()) - trunk;
  return tokens;
}

int64_t longest_input(const RequestGroup& group) {
  size_t longest = 0;
  for (const TokenRequest& request : group)
    longest = std::max(longest, request.context.size() + request.continuation.size() - 1);
  return static_cast<int64_t>(longest);
}

RequestRow make_row(const Model& model, std::span<const RequestGroup> groups,
                    const Execution& execution) {
  Growing growing;
  RequestRow row;
  row.trees.begins = {0};
  for (const RequestGroup& group : groups) {
    add_group(model, group, execution, growing, row.counts);
    row.trees.begins.push_back(static_cast<int64_t>(growing.branches.size()));
  }
  const auto on_device = [&](const std::vector<int64_t>& list) {
    return at::tensor(list, at::kLong).to(execution.device);
  };
  row.hidden = at::cat(growing.hidden).unsqueeze(0);
  row.trees.branches = on_device(growing.branches);
  row.trees.positions = on_device(growing.positions);
  row.places = on_device(growing.places);
  row.targets = on_device(growing.targets);
  return row;
}

}  // namespace halftone
