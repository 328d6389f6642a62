#include "evaluate/logits.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <bit>
#include <cmath>

#include "model/compute.h"
#include "model/row_access.h"

namespace halftone {
namespace {

constexpr double kLeastKept = -16;  // log-probability, nats

double as_double(float x) {
  return x;
}

double as_double(BFloat16Bits x) {
  return std::bit_cast<float>(uint32_t{x.bits} << 16);
}

// What one position gives.
struct Position {
  double nll = 0, reference_nll = 0, kl = 0, reverse_kl = 0, confidence = 0;
  bool same_top = false;
};

void append(const std::vector<Position>& positions, bool referred, Scores& scores) {
  for (const Position& position : positions) {
    scores.nll.push_back(position.nll);
    if (!referred) continue;
    scores.reference_nll.push_back(position.reference_nll);
    scores.kl.push_back(position.kl);
    scores.same_top.push_back(position.same_top);
    scores.reverse_kl.push_back(position.reverse_kl);
    scores.confidence.push_back(position.confidence);
  }
}

// logits, reference (or undefined): lie in rows, both of elements that the kernels know as T
template <class T>
std::vector<Position> positions_of(const at::Tensor& logits, const at::Tensor& targets,
                                   const at::Tensor& reference) {
  const RowKernels<T> kernels = row_kernels<T>();
  const int64_t vocab = logits.size(1);
  const bool referred = reference.defined();
  const auto of_targets = [&](const at::Tensor& of) {
    return of.gather(1, targets.unsqueeze(1)).to(at::kFloat);
  };
  const at::Tensor own_targets = of_targets(logits),
                   other_targets = referred ? of_targets(reference) : own_targets;
  const auto nll = [](const LogitSummary& of, const at::Tensor& logits_of_targets, int64_t at) {
    return of.log_sum - static_cast<double>(numbers<float>(logits_of_targets)[at]);
  };
  const T *q = numbers<T>(logits), *p = referred ? numbers<T>(reference) : nullptr;
  std::vector<Position> positions(static_cast<size_t>(logits.size(0)));
  at::parallel_for(0, logits.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Position& position = positions[static_cast<size_t>(i)];
      const T* own = q + i * vocab;
      const LogitSummary mine = kernels.summarize(vocab, own);
      position.nll = nll(mine, own_targets, i);
      if (!referred) continue;
      const T* other = p + i * vocab;
      const LogitSummary theirs = kernels.summarize(vocab, other);
      position.reference_nll = nll(theirs, other_targets, i);
      position.same_top = mine.greatest == theirs.greatest;
      position.kl = kernels.divergence(vocab, other, theirs.log_sum, own, mine.log_sum);
      position.reverse_kl = kernels.divergence(vocab, own, mine.log_sum, other, theirs.log_sum);
      position.confidence = std::exp(as_double(other[theirs.greatest]) - theirs.log_sum);
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
  return at::log_softmax(widened(logits), -1);
}

void append_agreement(const at::Tensor& log_p, const at::Tensor& log_q, const at::Tensor& targets,
                      Scores& scores) {
  append(scores.reference_nll, nll_of(log_p, targets));
  const at::Tensor same = log_p.argmax(-1).eq(log_q.argmax(-1)).to(at::kCPU, at::kByte);
  scores.same_top.insert(scores.same_top.end(), same.data_ptr<uint8_t>(),
                         same.data_ptr<uint8_t>() + same.numel());
  append(scores.confidence, log_p.amax(-1).exp());
}

// The same by tensor operations, on any device, in float32 or wider.
void score_on_device(const at::Tensor& logits, const at::Tensor& targets,
                     const at::Tensor& reference, Scores& scores) {
  const at::Tensor log_q = log_probabilities(logits);
  append(scores.nll, nll_of(log_q, targets));
  if (!reference.defined()) return;
  const at::Tensor log_p = log_probabilities(reference);
  append_agreement(log_p, log_q, targets, scores);
  // differences of log-probabilities that are both -inf do not arise: softmax of finite logits
  append(scores.kl, log_p.exp().mul_(log_p - log_q).sum(-1, false, at::kDouble));
  append(scores.reverse_kl, log_q.exp().mul_(log_q - log_p).sum(-1, false, at::kDouble));
}

}  // namespace

void score_logits(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& reference,
                  Scores& scores) {
  const at::Tensor rows = logits.contiguous(),
                   others = reference.defined() ? reference.contiguous() : reference;
  const bool alike =
      !reference.defined() || (lies_in_rows(others) && others.scalar_type() == rows.scalar_type());
  if (!lies_in_rows(rows) || !alike) return score_on_device(logits, targets, reference, scores);
  with_type_of(rows, [&]<class T>(T) {
    append(positions_of<T>(rows, targets, others), reference.defined(), scores);
  });
}

void score_against_kept(const at::Tensor& logits, const at::Tensor& targets,
                        const at::Tensor& log_p, Scores& scores) {
  const at::Tensor log_q = log_probabilities(logits), kept = log_p.to(log_q.device());
  append(scores.nll, nll_of(log_q, targets));
  append_agreement(kept, log_q, targets, scores);
  const at::Tensor counted = (kept > kLeastKept).to(kept.scalar_type());
  append(scores.kl, kept.exp().mul_(kept - log_q).mul_(counted).sum(-1, false, at::kDouble));
}

std::vector<TargetScore> score_targets(const at::Tensor& logits, const at::Tensor& targets) {
  const at::Tensor rows = logits.contiguous(), ids = targets.to(at::kCPU).contiguous();
  const auto* target = ids.data_ptr<int64_t>();
  std::vector<TargetScore> scores(static_cast<size_t>(rows.size(0)));
  if (!lies_in_rows(rows)) {
    std::vector<double> nll;
    append(nll, nll_of(log_probabilities(rows), targets));
    const at::Tensor greatest = rows.argmax(-1).to(at::kCPU).contiguous();
    for (size_t i = 0; i < scores.size(); ++i)
      scores[i] = {-nll[i], greatest.data_ptr<int64_t>()[i] == target[i]};
    return scores;
  }
  const at::Tensor of_targets = rows.gather(1, targets.unsqueeze(1)).to(at::kFloat).contiguous();
  with_type_of(rows, [&]<class T>(T) {
    const RowKernels<T> kernels = row_kernels<T>();
    const T* q = numbers<T>(rows);
    at::parallel_for(0, rows.size(0), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const LogitSummary of = kernels.summarize(rows.size(1), q + i * rows.size(1));
        scores[static_cast<size_t>(i)] = {
            static_cast<double>(numbers<float>(of_targets)[i]) - of.log_sum,
            of.greatest == target[i]};
      }
    });
  });
  return scores;
}

}  // namespace halftone
