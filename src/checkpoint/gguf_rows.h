// The rows of a tensor of a GGUF file as a torch tensor.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "checkpoint/gguf_model.h"

namespace halftone {

// The row of the folder that lies at `row` of a file whose heads of `head_dim` rows rotate by
// neighbours: row 2 i + b of a head is row b d/2 + i there. 0: the same row.
int64_t folder_row(int64_t head_dim, int64_t row);

// The type that a weight is read in: its own, or float32 of blocks.
at::ScalarType read_type(const GgufType& type);

// All of it. Numbers in their own order are a view of the mapping (do not write to it), which it
// keeps alive. Errors: a row with a number that is not finite, of blocks.
at::Tensor load_gguf(const GgufWeight& weight);

// Some rows of it.   rows: indices in the folder's order -> (rows, in)
at::Tensor load_gguf_rows(const GgufWeight& weight, std::span<const int64_t> rows);

}  // namespace halftone
