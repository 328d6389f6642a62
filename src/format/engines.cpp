#include "format/engines.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "format/unquantized.h"

namespace halftone {
namespace {

constexpr const char* kNotTriedWithExperts = "not tried with experts";

bool has_experts(const OutputPlan& plan) {
  return std::ranges::any_of(plan.linears, is_expert, &LinearPlan::name);
}

std::string reads_none(const Format& format) {
  return fmt::format("reads no {} outputs", format.name);
}

std::string caution_of(const Format& format, const OutputPlan& plan) {
  return format.caution == nullptr ? "" : format.caution(plan);
}

bool all_have_four_bits(const OutputPlan& plan) {
  return std::ranges::all_of(plan.on_grids(),
                             [](const LinearPlan& linear) { return linear.grid.bits == 4; });
}

bool all_are_symmetric(const OutputPlan& plan) {
  return std::ranges::all_of(plan.on_grids(),
                             [](const LinearPlan& linear) { return linear.grid.symmetric; });
}

std::string llama_cpp(const Format& format, const OutputPlan&) {
  return format.name == "gguf" ? "" : reads_none(format);
}

std::string transformers(const Format& format, const OutputPlan& plan) {
  if (format.name == "dense") return "";
  return format.name == "compressed-tensors" ? caution_of(format, plan) : reads_none(format);
}

std::string vllm(const Format& format, const OutputPlan& plan) {
  if (format.name == "dense") return "";
  if (format.name == "awq") return has_experts(plan) ? kNotTriedWithExperts : "";
  const bool gptq = format.name == "gptq";
  if (!gptq && format.name != "compressed-tensors") return reads_none(format);
  if (has_fused_experts(plan)) return "not tried with experts of this architecture";
  if (!all_have_four_bits(plan)) return "takes 4 bits alone: --bits 4";
  return gptq && !all_are_symmetric(plan)
             ? "takes symmetric gptq folders alone: --set grid.symmetric=true"
             : "";
}

std::string gptqmodel(const Format& format, const OutputPlan& plan) {
  if (format.name == "dense") return "";
  return format.name.starts_with("gptq") ? caution_of(format, plan) : reads_none(format);
}

std::string mlx_lm(const Format& format, const OutputPlan& plan) {
  if (format.name == "dense" || format.name == "mlx") return "";
  if (format.name != "awq") return reads_none(format);
  if (has_experts(plan)) return kNotTriedWithExperts;
  const int64_t size = plan.linears.empty() ? 64 : plan.linears.front().grid.group_size;
  return size == 32 || size == 64 || size == 128
             ? ""
             : "takes groups of 32, 64 or 128 alone: --group-size 64";
}

constexpr std::array kEngines = {
    Engine{"llama.cpp", "of llama-cpp-python 0.3.36", llama_cpp},
    Engine{"transformers", "5.24, compressed-tensors 0.20", transformers},
    Engine{"vLLM", "0.32", vllm},
    Engine{"GPTQModel", "7.7", gptqmodel},
    Engine{"mlx-lm", "0.32", mlx_lm},
};

}  // namespace

std::span<const Engine> engines() {
  return kEngines;
}

}  // namespace halftone
