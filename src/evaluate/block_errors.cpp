#include "evaluate/block_errors.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

namespace halftone {
namespace {

double squares(const at::Tensor& x) {
  return x.to(at::kDouble).square().sum().item<double>();
}

double relative_error(const at::Tensor& is, const at::Tensor& should_be, const at::Tensor& change) {
  const double error = squares(is - should_be);
  return error == 0 ? 0 : error / squares(change);
}

// The name of a tensor's module.
std::string module_of(std::string_view tensor) {
  return std::string(tensor.substr(0, tensor.rfind('.')));
}

at::Tensor output_of(const Model& model, int64_t index, const at::Tensor& hidden,
                     const Execution& execution, const Positions& positions) {
  const Block block = model.load_block(index, execution, positions);
  BlockState state{hidden};
  model.run_block(block, state);
  return state.hidden;
}

// Enough of what the head reads, of any vocabulary: the last position's, or the class tokens'.
at::Tensor read_by_head(const ModelConfig& config, const at::Tensor& hidden) {
  return config.reads_images() ? hidden.narrow(1, 0, config.image.class_tokens)
                               : hidden.select(1, hidden.size(1) - 1);
}

}  // namespace

std::vector<PartError> part_errors(const Model& model, const Model& reference,
                                   const at::Tensor& items, const Execution& execution,
                                   Progress& progress) {
  const at::NoGradGuard no_grad;
  const Family& family = reference.family();
  const int64_t layers = reference.config().layers;
  progress.begin("compare blocks", layers);
  std::vector<PartError> errors;
  at::Tensor hidden = reference.embed(items, execution);  // (windows, length, hidden)
  errors.push_back(
      {module_of(family.embedding), relative_error(model.embed(items, execution), hidden, hidden)});
  const Positions positions = reference.positions(items.size(1), execution);
  for (int64_t i = 0; i < layers; ++i) {
    const at::Tensor output = output_of(reference, i, hidden, execution, positions);
    const at::Tensor other = output_of(model, i, hidden, execution, positions);
    errors.push_back({fmt::format("{}{}", family.block_prefix, i),
                      relative_error(other, output, output - hidden)});
    hidden = output;
    progress.update(i + 1, errors.back().name);
  }
  const at::Tensor read = read_by_head(reference.config(), hidden);
  const at::Tensor logits = reference.logits(reference.load_head(execution), read);
  errors.push_back(
      {module_of(family.head),
       relative_error(model.logits(model.load_head(execution), read), logits, logits)});
  progress.end();
  return errors;
}

}  // namespace halftone
