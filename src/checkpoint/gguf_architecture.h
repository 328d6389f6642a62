// Architectures as GGUF files name them, in terms of the Hugging Face classes they stand for
// (formats.md 12.3). One row of a table each; a new one is a row.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace halftone {

// A tensor of what divides each frequency of rope: no weight of the model.
inline constexpr const char* kRopeFactorsName = "rope_freqs.weight";

// A tensor by its name without ".weight" or ".bias", in a GGUF file and in a Hugging Face folder.
struct GgufNames {
  std::string_view gguf, hugging_face;
};

struct GgufArchitecture {
  std::string_view name;         // general.architecture
  std::string_view model_class;  // "LlamaForCausalLM"
  std::string_view model_type;   // config.json's
  std::string_view also_class;   // another class that computes the same; empty: none
  // Its engine rotates neighbours, not halves: rows of queries and keys lie in another order.
  bool interleaved_rope;
  bool says_biases;               // config.json has attention_bias and mlp_bias
  bool says_multipliers = false;  // of embedding, residual stream, scores and logits (Granite)
  int64_t unturned_every = 0;     // layers of which its engine turns no queries and keys; 0: none
  std::span<const GgufNames> outer;  // "token_embd", "model.embed_tokens"
  std::span<const GgufNames> block;  // behind "blk.N." and "model.layers.N."
};

// Error listing the known ones if there is none such.
const GgufArchitecture& find_gguf_architecture(std::string_view name);

// The architecture whose engine computes what this class does. Error listing the known classes if
// there is none such.
const GgufArchitecture& gguf_architecture_for(std::string_view model_class);

// Whether the rows of a tensor, by its name in a folder, are heads whose neighbours rotate
// together, which a folder keeps in halves.
bool has_paired_rows(const GgufArchitecture& architecture, std::string_view hugging_face);

// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight"; none: a tensor that this
// architecture does not know.
std::optional<std::string> hugging_face_name(const GgufArchitecture& architecture,
                                             std::string_view gguf);
// The other way round.
std::optional<std::string> gguf_name(const GgufArchitecture& architecture,
                                     std::string_view hugging_face);

}  // namespace halftone
