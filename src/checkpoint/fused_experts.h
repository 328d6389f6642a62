// Experts of a mixture that a folder stores a layer at a time (GPT-OSS; formats.md 3), as the
// tensors of each expert that folders of other mixtures hold, and the other way round:
//
//   experts.gate_up_proj         (experts, in, 2 out)               of two columns one the gate's,
//                                                                   one the up's
//   experts.gate_up_proj_bias    (experts, 2 out)                   likewise
//   experts.gate_up_proj_blocks  (experts, 2 out, in / 32, 16) U8   in the place of the first:
//   experts.gate_up_proj_scales  (experts, 2 out, in / 32) U8       MXFP4, rows in turn
//   experts.down_proj ...                                           of one linear
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint/stored_layout.h"

namespace halftone {

enum class FusedKind { kWeight, kBias, kBlocks, kScales };

// What a stored name stands for: of "a.experts.gate_up_proj_bias" {"a.experts.", gate_up_proj, ..}
struct FusedName {
  std::string_view prefix;
  const FusedExperts* experts;
  FusedKind kind;
};
std::optional<FusedName> fused_name(const StoredLayout& layout, std::string_view stored);

// What a linear of one expert has of a fused tensor: of `parts` rows the one numbered `part`.
struct ExpertPart {
  FusedKind kind;
  int64_t expert, part, parts;
};

struct NamedExpertPart {
  std::string name;  // "a.experts.3.up_proj.bias"
  ExpertPart part;
};
// Of a tensor of this shape all parts, none of scales. Error: no shape of that kind.
std::vector<NamedExpertPart> expert_parts(const FusedName& name, const std::vector<int64_t>& shape);

// shape: the fused tensor's -> (out, in), of a bias (out)
std::vector<int64_t> shape_of_part(const ExpertPart& part, const std::vector<int64_t>& shape);
// fused: as stored -> shaped as that says; of blocks (out, in / 32, 16), of scales (out, in / 32)
at::Tensor taken_out(const at::Tensor& fused, const ExpertPart& part);

// blocks: (out, in / 32, 16) bytes, a code of E2M1 in each half, the lower half first; scales:
// (out, in / 32), e of 2^(e - 127) -> (out, in) bfloat16, exact
at::Tensor mxfp4_numbers(const at::Tensor& blocks, const at::Tensor& scales);

// The way back: experts handed over one after another, any order.
class ExpertJoiner {
 public:
  // names: of all tensors that will come, other ones as well
  ExpertJoiner(const StoredLayout& layout, const std::vector<std::string>& names);

  bool takes(std::string_view name) const;
  // The fused tensor and its name with its last part, else nothing.   tensor: (out, in), of a bias
  // (out). Error: a type other than that of the parts before.
  std::optional<std::pair<std::string, at::Tensor>> add(std::string_view name,
                                                        const at::Tensor& tensor);
  void require_whole() const;  // Error naming what lacks parts

 private:
  struct Place {
    std::string fused;  // its name
    ExpertPart part;
  };
  struct Waiting {
    at::Tensor whole;
    int64_t missing;
  };
  std::optional<Place> place_of(std::string_view name) const;

  const StoredLayout& layout_;
  std::map<std::string, int64_t> experts_;  // of each fused tensor, by its name
  std::map<std::string, Waiting> waiting_;
};

}  // namespace halftone
