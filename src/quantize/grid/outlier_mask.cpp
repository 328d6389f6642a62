#include "quantize/grid/outlier_mask.h"

#include <ATen/ATen.h>

namespace halftone {

MaskedGroups::MaskedGroups(const OutlierMask& mask, const Grouping& grouping, int64_t rows)
    : grouping_(grouping), is_outlier_(at::zeros({mask.members.size(1), rows}, at::kByte)) {
  is_outlier_.narrow(1, 0, mask.members.size(0)).copy_(mask.members.t());
}

}  // namespace halftone
