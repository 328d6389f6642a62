#include "checkpoint/stored_layout.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>

namespace halftone {
namespace {

using std::string_view;

constexpr std::array<string_view, 4> kGpt2Inner = {"h.", "wte.", "wpe.", "ln_f."};
constexpr std::array<string_view, 3> kGpt2Turned = {".c_attn.weight", ".c_proj.weight",
                                                    ".c_fc.weight"};
constexpr std::array<string_view, 1> kOptInner = {"decoder."};

constexpr std::array<string_view, 2> kGateUp = {"gate_proj", "up_proj"};
constexpr std::array<string_view, 1> kDown = {"down_proj"};
constexpr std::array<FusedExperts, 2> kGptOssFused = {
    {{"gate_up_proj", kGateUp}, {"down_proj", kDown}}};

constexpr std::array<StoredLayout, 3> kLayouts = {
    {{.model_class = "GPT2LMHeadModel",
      .prefix = "transformer.",
      .inner = kGpt2Inner,
      .turned = kGpt2Turned},
     {.model_class = "OPTForCausalLM", .prefix = "model.", .inner = kOptInner, .turned = {}},
     {.model_class = "GptOssForCausalLM",
      .prefix = "",
      .inner = {},
      .turned = {},
      .fused = kGptOssFused}}};
constexpr StoredLayout kPlain = {};

}  // namespace

const StoredLayout& stored_layout(const nlohmann::json& config) {
  const auto classes = config.find("architectures");
  if (classes == config.end() || !classes->is_array() || classes->size() != 1) return kPlain;
  const auto found = std::ranges::find_if(kLayouts, [&](const StoredLayout& layout) {
    return (*classes)[0].is_string() &&
           (*classes)[0].get_ref<const std::string&>() == layout.model_class;
  });
  return found == kLayouts.end() ? kPlain : *found;
}

std::string full_name(const StoredLayout& layout, string_view stored) {
  const bool lacks_prefix = std::ranges::any_of(
      layout.inner, [&](string_view beginning) { return stored.starts_with(beginning); });
  return std::string(lacks_prefix ? layout.prefix : "") + std::string(stored);
}

bool is_turned(const StoredLayout& layout, string_view name) {
  return std::ranges::any_of(layout.turned,
                             [&](string_view ending) { return name.ends_with(ending); });
}

at::Tensor turned_if_needed(const StoredLayout& layout, string_view name,
                            const at::Tensor& weight) {
  return weight.dim() == 2 && is_turned(layout, name) ? weight.t().contiguous() : weight;
}

}  // namespace halftone
