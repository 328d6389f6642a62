#include "model/patches.h"

#include <ATen/ATen.h>

namespace halftone {

at::Tensor patches_of(const at::Tensor& images, const ImageSizes& sizes) {
  const at::Tensor cut = images.unfold(2, sizes.patch_height, sizes.patch_height)
                             .unfold(3, sizes.patch_width, sizes.patch_width);
  // (batch, channels, rows, columns, patch height, patch width)
  const at::Tensor patches =
      cut.permute({0, 2, 3, 1, 4, 5}).reshape({images.size(0), sizes.patches(), -1});
  return at::constant_pad_nd(patches, {0, 0, sizes.class_tokens, 0});
}

}  // namespace halftone
