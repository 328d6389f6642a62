#include "checkpoint/fused_experts.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "kernels/gguf_codebooks.h"

namespace halftone {
namespace {

using std::string_view;

constexpr string_view kExperts = ".experts.";
constexpr int64_t kBlock = 32, kBlockBytes = 16, kMostExperts = 1 << 16;
constexpr int64_t kBlocksPerTask = 1 << 10;

struct Suffix {
  string_view text;
  FusedKind kind;
  size_t dimensions;
};
constexpr std::array<Suffix, 4> kSuffixes = {{{"", FusedKind::kWeight, 3},
                                              {"_bias", FusedKind::kBias, 2},
                                              {"_blocks", FusedKind::kBlocks, 4},
                                              {"_scales", FusedKind::kScales, 3}}};

// Where the parts of a fused tensor take turns.
size_t dimension_of_parts(FusedKind kind) {
  return kind == FusedKind::kWeight ? 2 : 1;
}

void require_shape(const FusedName& name, const std::vector<int64_t>& shape) {
  const auto suffix = std::ranges::find(kSuffixes, name.kind, &Suffix::kind);
  const auto parts = static_cast<int64_t>(name.experts->parts.size());
  const bool fits = shape.size() == suffix->dimensions && std::ranges::min(shape) >= 1 &&
                    shape[0] <= kMostExperts && shape[dimension_of_parts(name.kind)] % parts == 0 &&
                    (name.kind != FusedKind::kBlocks || shape[3] == kBlockBytes);
  require(fits, "{}{}{}: no shape of {} linears of experts: [{}]", printable(name.prefix, 200),
          name.experts->stem, suffix->text, parts, fmt::join(shape, ", "));
}

// A number and a dot at the beginning, which are taken off.
std::optional<int64_t> take_index(string_view& text) {
  int64_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error != std::errc() || index < 0 || index > kMostExperts) return {};
  const auto digits = static_cast<size_t>(end - text.data());
  if (digits == text.size() || text[digits] != '.') return {};
  text.remove_prefix(digits + 1);
  return index;
}

}  // namespace

std::optional<FusedName> fused_name(const StoredLayout& layout, string_view stored) {
  const size_t at = stored.find(kExperts);
  if (layout.fused.empty() || at == string_view::npos) return {};
  const string_view prefix = stored.substr(0, at + kExperts.size());
  const string_view rest = stored.substr(prefix.size());
  for (const FusedExperts& experts : layout.fused) {
    if (!rest.starts_with(experts.stem)) continue;
    for (const Suffix& suffix : kSuffixes)
      if (rest.substr(experts.stem.size()) == suffix.text)
        return FusedName{prefix, &experts, suffix.kind};
  }
  return {};
}

std::vector<NamedExpertPart> expert_parts(const FusedName& name,
                                          const std::vector<int64_t>& shape) {
  require_shape(name, shape);
  if (name.kind == FusedKind::kScales) return {};
  const char* ending = name.kind == FusedKind::kBias ? "bias" : "weight";
  const auto parts = static_cast<int64_t>(name.experts->parts.size());
  std::vector<NamedExpertPart> all;
  for (int64_t expert = 0; expert < shape[0]; ++expert)
    for (int64_t part = 0; part < parts; ++part)
      all.push_back({fmt::format("{}{}.{}.{}", name.prefix, expert,
                                 name.experts->parts[static_cast<size_t>(part)], ending),
                     {name.kind, expert, part, parts}});
  return all;
}

std::vector<int64_t> shape_of_part(const ExpertPart& part, const std::vector<int64_t>& shape) {
  const int64_t out = shape[dimension_of_parts(part.kind)] / part.parts;
  if (part.kind == FusedKind::kBias) return {out};
  return {out, part.kind == FusedKind::kWeight ? shape[1] : shape[2] * kBlock};
}

at::Tensor taken_out(const at::Tensor& fused, const ExpertPart& part) {
  const at::Tensor own = fused.select(0, part.expert);
  const at::Tensor rows = part.kind == FusedKind::kWeight ? own.t() : own;
  return rows.slice(0, part.part, std::nullopt, part.parts).contiguous();
}

at::Tensor mxfp4_numbers(const at::Tensor& blocks, const at::Tensor& scales) {
  const at::Tensor codes = blocks.contiguous(), exponents = scales.contiguous();
  at::Tensor numbers = at::empty({scales.size(0), scales.size(1) * kBlock}, at::kFloat);
  const auto* code = codes.const_data_ptr<uint8_t>();
  const auto* exponent = exponents.const_data_ptr<uint8_t>();
  auto* to = numbers.mutable_data_ptr<float>();
  at::parallel_for(0, scales.numel(), kBlocksPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const float half = std::ldexp(0.5F, exponent[block] - 127);  // levels are stored doubled
      for (int64_t i = 0; i < kBlockBytes; ++i) {
        const uint8_t two = code[block * kBlockBytes + i];
        to[block * kBlock + 2 * i] = half * static_cast<float>(kE2m1Levels[two & 15]);
        to[block * kBlock + 2 * i + 1] = half * static_cast<float>(kE2m1Levels[two >> 4]);
      }
    }
  });
  return numbers.to(at::kBFloat16);
}

ExpertJoiner::ExpertJoiner(const StoredLayout& layout, const std::vector<std::string>& names)
    : layout_(layout) {
  for (const std::string& name : names)
    if (const auto place = place_of(name)) {
      int64_t& experts = experts_[place->fused];
      experts = std::max(experts, place->part.expert + 1);
    }
}

std::optional<ExpertJoiner::Place> ExpertJoiner::place_of(string_view name) const {
  const size_t at = name.find(kExperts);
  if (layout_.fused.empty() || at == string_view::npos) return {};
  const string_view prefix = name.substr(0, at + kExperts.size());
  string_view rest = name.substr(prefix.size());
  const std::optional<int64_t> expert = take_index(rest);
  const size_t dot = rest.find('.');
  if (!expert || dot == string_view::npos) return {};
  const string_view linear = rest.substr(0, dot), ending = rest.substr(dot);
  if (ending != ".weight" && ending != ".bias") return {};
  const bool bias = ending == ".bias";
  for (const FusedExperts& fused : layout_.fused) {
    const auto found = std::ranges::find(fused.parts, linear);
    if (found == fused.parts.end()) continue;
    return Place{fmt::format("{}{}{}", prefix, fused.stem, bias ? "_bias" : ""),
                 {bias ? FusedKind::kBias : FusedKind::kWeight, *expert,
                  found - fused.parts.begin(), std::ssize(fused.parts)}};
  }
  return {};
}

bool ExpertJoiner::takes(string_view name) const {
  return place_of(name).has_value();
}

std::optional<std::pair<std::string, at::Tensor>> ExpertJoiner::add(string_view name,
                                                                    const at::Tensor& tensor) {
  const Place place = *place_of(name);
  const ExpertPart& part = place.part;
  const auto known = experts_.find(place.fused);
  const int64_t experts = known == experts_.end() ? 0 : known->second;
  Waiting& waiting = waiting_[place.fused];
  if (!waiting.whole.defined()) {
    const bool bias = part.kind == FusedKind::kBias;
    const int64_t rows = tensor.size(0) * part.parts;
    const std::vector<int64_t> shape = bias ? std::vector<int64_t>{experts, rows}
                                            : std::vector<int64_t>{experts, tensor.size(1), rows};
    waiting = {at::empty(shape, tensor.options()), experts * part.parts};
  }
  require(waiting.whole.scalar_type() == tensor.scalar_type() && part.expert < experts,
          "{}: not of the type of other experts, or one too many", printable(name, 200));
  const at::Tensor own = waiting.whole.select(0, part.expert);
  const at::Tensor rows = part.kind == FusedKind::kWeight ? own.t() : own;
  rows.slice(0, part.part, std::nullopt, part.parts).copy_(tensor);
  if (--waiting.missing > 0) return {};
  auto node = waiting_.extract(place.fused);
  return std::pair{std::move(node.key()), std::move(node.mapped().whole)};
}

void ExpertJoiner::require_whole() const {
  for (const auto& [name, waiting] : waiting_)
    require(waiting.missing == 0, "{}: {} of its parts were not written", printable(name, 200),
            waiting.missing);
}

}  // namespace halftone
