#include "calibrate/cross_entropy.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "model/compute.h"
#include "model/row_access.h"

namespace halftone {
namespace {

template <class T>
void differentiate_rows(at::Tensor& logits, const at::Tensor& labels, at::Tensor& loss) {
  const RowKernels<T> kernels = row_kernels<T>();
  const int64_t vocab = logits.size(1);
  T* first = numbers_of<T>(logits);
  const int64_t* label = labels.const_data_ptr<int64_t>();
  double* out = loss.mutable_data_ptr<double>();
  at::parallel_for(0, logits.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t position = begin; position < end; ++position) {
      T* row = first + position * vocab;
      out[position] = kernels.cross_entropy(vocab, row, label[position], row);
    }
  });
}

at::Tensor differentiate_plainly(const at::Tensor& logits, const at::Tensor& labels,
                                 at::Tensor& loss) {
  const at::Tensor log_p = at::log_softmax(widened(logits), -1);
  loss.copy_(log_p.gather(1, labels.unsqueeze(1)).squeeze(1).neg());
  at::Tensor slope = log_p.exp_();
  slope.scatter_add_(1, labels.unsqueeze(1), at::full({slope.size(0), 1}, -1, slope.options()));
  return slope.to(logits.scalar_type());
}

}  // namespace

at::Tensor differentiate_cross_entropy(at::Tensor logits, const at::Tensor& labels,
                                       at::Tensor& loss) {
  const at::Tensor own = labels.contiguous();
  if (!lies_in_rows(logits) || !loss.is_contiguous())
    return differentiate_plainly(logits, own, loss);
  with_type_of(logits, [&]<class T>(T) { differentiate_rows<T>(logits, own, loss); });
  return logits;
}

}  // namespace halftone
