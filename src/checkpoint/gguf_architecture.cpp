#include "checkpoint/gguf_architecture.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace halftone {
namespace {

constexpr std::array<GgufNames, 3> kOuter{
    {{"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}}};

constexpr std::array<GgufNames, 9> kLlamaBlock{{{"attn_norm", "input_layernorm"},
                                                {"attn_q", "self_attn.q_proj"},
                                                {"attn_k", "self_attn.k_proj"},
                                                {"attn_v", "self_attn.v_proj"},
                                                {"attn_output", "self_attn.o_proj"},
                                                {"ffn_norm", "post_attention_layernorm"},
                                                {"ffn_gate", "mlp.gate_proj"},
                                                {"ffn_up", "mlp.up_proj"},
                                                {"ffn_down", "mlp.down_proj"}}};

// The names of `block` and more.
template <size_t kCount, size_t kMore>
constexpr std::array<GgufNames, kCount + kMore> with(const std::array<GgufNames, kCount>& block,
                                                     const std::array<GgufNames, kMore>& more) {
  std::array<GgufNames, kCount + kMore> all{};
  std::copy(more.begin(), more.end(), std::copy(block.begin(), block.end(), all.begin()));
  return all;
}

constexpr std::array<GgufNames, 2> kHeadNorms{
    {{"attn_q_norm", "self_attn.q_norm"}, {"attn_k_norm", "self_attn.k_norm"}}};
constexpr auto kQwen3Block = with(kLlamaBlock, kHeadNorms);

constexpr std::array<GgufNames, 11> kOlmo2Block{
    {{"attn_q", "self_attn.q_proj"},
     {"attn_k", "self_attn.k_proj"},
     {"attn_v", "self_attn.v_proj"},
     {"attn_output", "self_attn.o_proj"},
     {"attn_q_norm", "self_attn.q_norm"},
     {"attn_k_norm", "self_attn.k_norm"},
     {"post_attention_norm", "post_attention_layernorm"},
     {"ffn_gate", "mlp.gate_proj"},
     {"ffn_up", "mlp.up_proj"},
     {"ffn_down", "mlp.down_proj"},
     {"post_ffw_norm", "post_feedforward_layernorm"}}};

constexpr std::array<GgufArchitecture, 6> kArchitectures{{
    {.name = "llama",
     .model_class = "LlamaForCausalLM",
     .model_type = "llama",
     .also_class = "MistralForCausalLM",
     .interleaved_rope = true,
     .says_biases = true,
     .outer = kOuter,
     .block = kLlamaBlock},
    {.name = "qwen2",
     .model_class = "Qwen2ForCausalLM",
     .model_type = "qwen2",
     .also_class = "",
     .interleaved_rope = false,
     .says_biases = false,
     .outer = kOuter,
     .block = kLlamaBlock},
    {.name = "qwen3",
     .model_class = "Qwen3ForCausalLM",
     .model_type = "qwen3",
     .also_class = "",
     .interleaved_rope = false,
     .says_biases = false,
     .outer = kOuter,
     .block = kQwen3Block},
    {.name = "granite",
     .model_class = "GraniteForCausalLM",
     .model_type = "granite",
     .also_class = "",
     .interleaved_rope = true,
     .says_biases = true,
     .says_multipliers = true,
     .outer = kOuter,
     .block = kLlamaBlock},
    {.name = "olmo2",
     .model_class = "Olmo2ForCausalLM",
     .model_type = "olmo2",
     .also_class = "",
     .interleaved_rope = false,
     .says_biases = false,
     .outer = kOuter,
     .block = kOlmo2Block},
    {.name = "smollm3",
     .model_class = "SmolLM3ForCausalLM",
     .model_type = "smollm3",
     .also_class = "",
     .interleaved_rope = true,
     .says_biases = true,
     .unturned_every = 4,
     .outer = kOuter,
     .block = kLlamaBlock},
}};

// A name in parts: "blk.3." or "", "attn_q", ".weight".
struct Parts {
  std::string_view block, stem, kind;
};

// prefix: of a block, "blk."
Parts parts_of(std::string_view name, std::string_view prefix) {
  Parts parts;
  if (name.starts_with(prefix)) {
    const size_t end = name.find('.', prefix.size());
    if (end != std::string_view::npos)
      parts.block = name.substr(prefix.size(), end - prefix.size());
    if (!parts.block.empty()) name.remove_prefix(end + 1);
  }
  for (const std::string_view kind : {".weight", ".bias"})
    if (name.ends_with(kind)) parts.kind = kind;
  parts.stem = name.substr(0, name.size() - parts.kind.size());
  return parts;
}

// Digits, as many as needed.
bool is_index(std::string_view text) {
  const bool digits =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits && !text.empty() && text.size() < 7 && (text[0] != '0' || text.size() == 1);
}

using Side = std::string_view GgufNames::*;

std::optional<std::string> renamed(const GgufArchitecture& architecture, std::string_view name,
                                   Side from, Side to) {
  const bool from_gguf = from == &GgufNames::gguf;
  const std::string_view gguf = "blk.", hugging_face = "model.layers.";
  const Parts parts = parts_of(name, from_gguf ? gguf : hugging_face);
  const bool in_block = !parts.block.empty();
  if (parts.kind.empty() || (in_block && !is_index(parts.block))) return {};
  for (const GgufNames& names : in_block ? architecture.block : architecture.outer) {
    if (names.*from != parts.stem) continue;
    const std::string block =
        in_block ? fmt::format("{}{}.", from_gguf ? hugging_face : gguf, parts.block) : "";
    return fmt::format("{}{}{}", block, names.*to, parts.kind);
  }
  return {};
}

}  // namespace

const GgufArchitecture& find_gguf_architecture(std::string_view name) {
  std::string known;
  for (const GgufArchitecture& architecture : kArchitectures) {
    if (architecture.name == name) return architecture;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", architecture.name);
  }
  fail("general.architecture: expected one of {}, found {}", known, printable(name));
}

const GgufArchitecture& gguf_architecture_for(std::string_view model_class) {
  std::string known;
  for (const GgufArchitecture& architecture : kArchitectures) {
    for (const std::string_view each : {architecture.model_class, architecture.also_class}) {
      if (each.empty()) continue;
      if (each == model_class) return architecture;
      known += fmt::format("{}{}", known.empty() ? "" : ", ", each);
    }
  }
  fail("GGUF files are written of {}; found {}", known, printable(model_class));
}

bool has_paired_rows(const GgufArchitecture& architecture, std::string_view hugging_face) {
  const auto holds = [&](std::string_view part) {
    return hugging_face.find(part) != std::string_view::npos;
  };
  return architecture.interleaved_rope && (holds(".q_proj.") || holds(".k_proj."));
}

std::optional<std::string> hugging_face_name(const GgufArchitecture& architecture,
                                             std::string_view gguf) {
  return renamed(architecture, gguf, &GgufNames::gguf, &GgufNames::hugging_face);
}

std::optional<std::string> gguf_name(const GgufArchitecture& architecture,
                                     std::string_view hugging_face) {
  return renamed(architecture, hugging_face, &GgufNames::hugging_face, &GgufNames::gguf);
}

}  // namespace halftone
