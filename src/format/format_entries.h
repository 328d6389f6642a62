// One function a format: what format.cpp lists.
#pragma once

#include "format/format.h"

namespace halftone {

Format compressed_tensors_format();
Format gptq_format();
Format gptq_v2_format();
Format awq_format();
Format mlx_format();
Format native_format();
Format dense_format();
Format gguf_format();

}  // namespace halftone
