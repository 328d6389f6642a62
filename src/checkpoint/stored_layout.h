// Folders of some architectures store what all others do otherwise: matrices of linears as (in,
// out) (GPT-2's Conv1D), names without the outer class's prefix, or experts of a layer in one
// tensor (GPT-OSS; checkpoint/fused_experts.h). Inside this program weights have none of these
// differences: a reader of folders takes them out, a writer puts the first back, and the last where
// other programs are to read the weights.
#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

namespace halftone {

// The linears of each expert that one tensor of a layer holds.
struct FusedExperts {
  std::string_view stem;                    // its name behind "experts.": "gate_up_proj"
  std::span<const std::string_view> parts;  // whose rows take turns: "gate_proj", "up_proj"
};

struct StoredLayout {
  std::string_view model_class;              // "GPT2LMHeadModel"
  std::string_view prefix;                   // "transformer."
  std::span<const std::string_view> inner;   // beginnings of names that may lack it: "h."
  std::span<const std::string_view> turned;  // endings of names of matrices that are (in, out)
  std::span<const FusedExperts> fused = {};
};

// Of the class that config.json names; one without differences for any other.
const StoredLayout& stored_layout(const nlohmann::json& config);

// A stored name -> the name that the outer class knows it by.
std::string full_name(const StoredLayout& layout, std::string_view stored);
// Whether the weight of this name is stored as (in, out).
bool is_turned(const StoredLayout& layout, std::string_view name);
// A weight as it is stored -> as this program has it, and the other way round.
at::Tensor turned_if_needed(const StoredLayout& layout, std::string_view name,
                            const at::Tensor& weight);

}  // namespace halftone
