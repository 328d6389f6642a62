#include "evaluate/logits.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "kernels/row_kernels.h"

namespace halftone {
namespace {

// What one position gives.
struct Position {
  double nll = 0, reference_nll = 0, kl = 0;
  bool same_top = false;
};

void append(const std::vector<Position>& positions, bool referred, Scores& scores) {
  for (const Position& position : positions) {
    scores.nll.push_back(position.nll);
    if (!referred) continue;
    scores.reference_nll.push_back(position.reference_nll);
    scores.kl.push_back(position.kl);
    scores.same_top.push_back(position.same_top);
  }
}

// T holds the elements of `logits` and `reference`, in rows on the CPU.
template <class T, class Number>
std::vector<Position> positions_of(const at::Tensor& logits, const at::Tensor& targets,
                                   const at::Tensor& reference) {
  const RowKernels<T> kernels = row_kernels<T>();
  const int64_t vocab = logits.size(1);
  const bool referred = reference.defined();
  const auto *q = static_cast<const T*>(logits.const_data_ptr()),
             *p = referred ? static_cast<const T*>(reference.const_data_ptr()) : nullptr;
  const auto* target = targets.const_data_ptr<int64_t>();
  const auto nll = [&](const T* row, const LogitSummary& of, int64_t token) {
    return of.log_sum -
           static_cast<double>(static_cast<float>(reinterpret_cast<const Number*>(row)[token]));
  };
  std::vector<Position> positions(static_cast<size_t>(logits.size(0)));
  at::parallel_for(0, logits.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Position& position = positions[static_cast<size_t>(i)];
      const T* own = q + i * vocab;
      const LogitSummary mine = kernels.summarize(vocab, own);
      position.nll = nll(own, mine, target[i]);
      if (!referred) continue;
      const T* other = p + i * vocab;
      const LogitSummary theirs = kernels.summarize(vocab, other);
      position.reference_nll = nll(other, theirs, target[i]);
      position.same_top = mine.greatest == theirs.greatest;
      position.kl = kernels.divergence(vocab, other, theirs.log_sum, own, mine.log_sum);
    }
  });
  return positions;
}

void append(std::vector<double>& list, const at::Tensor& values) {
  const at::Tensor plain = values.to(at::kCPU, at::kDouble).contiguous();
  list.insert(list.end(), plain.data_ptr<double>(), plain.data_ptr<double>() + plain.numel());
}

at::Tensor nll_of(const at::Tensor& log_p, const at::Tensor& targets) {
  return log_p.gather(1, targets.unsqueeze(1)).squeeze(1).neg();
}

at::Tensor log_probabilities(const at::Tensor& logits) {
  return at::log_softmax(logits.scalar_type() == at::kDouble ? logits : logits.to(at::kFloat), -1);
}

// The same by tensor operations, on any device, in float32 or wider.
void score_on_device(const at::Tensor& logits, const at::Tensor& targets,
                     const at::Tensor& reference, Scores& scores) {
  const at::Tensor log_q = log_probabilities(logits);
  append(scores.nll, nll_of(log_q, targets));
  if (!reference.defined()) return;
  const at::Tensor log_p = log_probabilities(reference);
  append(scores.reference_nll, nll_of(log_p, targets));
  const at::Tensor same = log_p.argmax(-1).eq(log_q.argmax(-1)).to(at::kCPU, at::kByte);
  scores.same_top.insert(scores.same_top.end(), same.data_ptr<uint8_t>(),
                         same.data_ptr<uint8_t>() + same.numel());
  // differences of log-probabilities that are both -inf do not arise: softmax of finite logits
  append(scores.kl, log_p.exp().mul_(log_p - log_q).sum(-1, false, at::kDouble));
}

}  // namespace

void score_logits(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& reference,
                  Scores& scores) {
  const at::ScalarType type = logits.scalar_type();
  const bool alike = !reference.defined() || reference.scalar_type() == type;
  if (!logits.is_cpu() || !alike || (type != at::kFloat && type != at::kBFloat16))
    return score_on_device(logits, targets, reference, scores);
  const at::Tensor rows = logits.contiguous(), tokens = targets.contiguous();
  const at::Tensor others = reference.defined() ? reference.contiguous() : reference;
  append(type == at::kFloat ? positions_of<float, float>(rows, tokens, others)
                            : positions_of<BFloat16Bits, at::BFloat16>(rows, tokens, others),
         reference.defined(), scores);
}

}  // namespace halftone
