#include "model/held_model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cassert>

namespace halftone {
namespace {

constexpr int64_t kLeastPositions = 256;  // of a table

// Where rotary tables begin to be others; no model has as many positions where they never do.
int64_t turning_point(const ModelConfig& config) {
  const bool turns = config.rope_scaling.kind == RopeScaling::Kind::kLong;
  return turns ? config.rope_scaling.original_context : INT64_MAX;
}

RopeTable part_of(const RopeTable& table, int64_t begin, int64_t length) {
  if (!table.cos.defined()) return {};
  return {table.cos.narrow(0, begin, length), table.sin.narrow(0, begin, length)};
}

// One after another.
RopeTable joined(const std::vector<Positions>& parts, RopeTable Positions::*table) {
  if (!(parts.front().*table).cos.defined()) return {};
  std::vector<at::Tensor> cos, sin;
  for (const Positions& part : parts) {
    cos.push_back((part.*table).cos);
    sin.push_back((part.*table).sin);
  }
  return {at::cat(cos), at::cat(sin)};
}

Positions joined(const std::vector<Positions>& parts) {
  if (parts.size() == 1) return parts.front();
  return {joined(parts, &Positions::rope), joined(parts, &Positions::local_rope)};
}

// What is run of all sequences: one after another.
struct Row {
  std::vector<int64_t> ids, positions;
  std::vector<int64_t> begins = {0};  // of each sequence, and the end of the last
};

Row row_of(const std::vector<CachedSequence*>& sequences) {
  Row row;
  for (const CachedSequence* sequence : sequences) {
    assert(sequence->cached() < sequence->length());
    for (int64_t i = sequence->cached(); i < sequence->length(); ++i) {
      row.ids.push_back(sequence->ids[static_cast<size_t>(i)]);
      row.positions.push_back(i);
    }
    row.begins.push_back(static_cast<int64_t>(row.ids.size()));
  }
  return row;
}

// x: (1, tokens, width) -> (sequences, width)
at::Tensor last_of_each(const at::Tensor& x, const std::vector<int64_t>& begins) {
  std::vector<at::Tensor> rows;
  for (size_t i = 1; i < begins.size(); ++i) rows.push_back(x[0].narrow(0, begins[i] - 1, 1));
  return rows.size() == 1 ? rows.front() : at::cat(rows);
}

}  // namespace

HeldModel::HeldModel(const Model& model, const Execution& execution,
                     const std::function<void(int64_t block)>& step)
    : model_(model),
      execution_(execution),
      head_(model.load_head(execution)),
      embedding_(model.load_embedding(execution, head_.linear.weight)) {
  for (int64_t i = 0; i < model.config().layers; ++i) {
    blocks_.push_back(model.load_block(i, execution, tables_.positions));
    if (step) step(i);
  }
}

// As transformers does it: the keys behind the turning point belong to other tables.
bool HeldModel::is_turned_anew(const CachedSequence& sequence) const {
  const int64_t point = turning_point(model_.config()), cached = sequence.cached();
  return cached > 0 && cached <= point && sequence.length() > point;
}

Positions HeldModel::positions_of(const CachedSequence& sequence) {
  const int64_t point = turning_point(model_.config()), begin = sequence.cached(),
                end = sequence.length();
  Tables& tables = end > point ? beyond_ : tables_;
  if (end > tables.length) {
    tables.length = std::max(kLeastPositions, 2 * end);
    if (end <= point) tables.length = std::min(tables.length, point);
    if (end > point) tables.length = std::max(tables.length, point + 1);
    tables.positions = model_.positions(tables.length, execution_);
  }
  return {part_of(tables.positions.rope, begin, end - begin),
          part_of(tables.positions.local_rope, begin, end - begin)};
}

at::Tensor HeldModel::next_logits(const std::vector<CachedSequence*>& sequences) {
  const at::NoGradGuard no_grad;
  std::vector<Positions> parts;
  for (CachedSequence* sequence : sequences) {
    if (sequence->layers.empty() || is_turned_anew(*sequence))
      sequence->layers = std::vector<KeyValueCache>(blocks_.size());
    parts.push_back(positions_of(*sequence));
  }
  const Positions positions = joined(parts);
  const Row row = row_of(sequences);
  const RowLookup rows = [&](const std::string& name, const at::Tensor& index) {
    const at::Tensor flat = index.flatten().to(execution_.device, at::kLong);
    return embedding_.at(name).index_select(0, flat).unflatten(0, index.sizes());
  };
  BlockState state{model_.embed(at::tensor(row.ids, at::kLong).unsqueeze(0), rows,
                                at::tensor(row.positions, at::kLong))};
  CachedSequences cached{row.begins, std::vector<KeyValueCache*>(sequences.size())};
  for (size_t layer = 0; layer < blocks_.size(); ++layer) {
    for (size_t i = 0; i < sequences.size(); ++i) cached.caches[i] = &sequences[i]->layers[layer];
    blocks_[layer].go_on(positions, cached);
    model_.run_block(blocks_[layer], state);
  }
  return model_.logits(head_, last_of_each(state.hidden, row.begins));
}

}  // namespace halftone
