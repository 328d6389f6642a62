// What a GGUF file says of a model beside its tensors: what only the pipeline knows (its family's
// numbers, its tokenizer), as a writer takes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace halftone {

struct GgufHead {
  // Where the file cannot say what the model's folder says; one line, empty: nowhere.
  std::string note;
  std::string architecture;  // general.architecture (checkpoint/gguf_architecture.h)
  int64_t head_dim = 0;      // rows of queries and keys are heads of this width
  std::vector<std::pair<std::string, std::string>> metadata;  // key, gguf_value(...); in file order
  std::vector<float> rope_factors;  // what divides each frequency; empty: nothing does
  std::string matrix_type;  // of matrices that are neither quantized nor of a type of their own
                            // (PlannedTensor); empty: the model's own
  size_t part_bytes = std::numeric_limits<size_t>::max();  // of tensors in a file, at most
  std::optional<uint32_t> file_type;  // general.file_type; none: by what most linears are in
};

}  // namespace halftone
