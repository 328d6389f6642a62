// A model family: its tensors as tables, and its block as a list of stages.
//
// A stage is a few inputs and the linears that read them (q, k, v; o; gate, up; down). Running a
// block is: take the stage's inputs, apply its linears, let the family move the state on, next
// stage. Evaluation walks straight through; calibration stops between the two to measure the inputs
// and to replace the linears (methods.md 7.5), and differentiates at the linears' outputs.
//
// A family is one file (llama.cpp) and one line in families().
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/attention.h"
#include "model/config.h"
#include "model/layers.h"
#include "model/linear.h"

namespace halftone {

enum class Dim {
  kVocab,
  kHidden,
  kHeads,
  kQuery,
  kKeyValue,
  kQueryKeyValue,  // queries, keys, values in one
  kHeadDim,
  kIntermediate,
  kGateUp,  // both in one
  kExperts,
  kExpertIntermediate,
  kChosenIntermediate,  // of all experts that a token goes to
  kSharedIntermediate,
  kOne,
  kEmbeddingWidth,  // ModelConfig::embedding_width
  kPositions,       // ModelConfig::learned_positions
  kChannels,        // ModelConfig::image
  kPatchHeight,
  kPatchWidth
};

// What decides whether a tensor is there: see is_present and stored_tensors.h.
enum class Presence {
  kAlways,
  kNever,
  kAttentionBias,
  kMlpBias,
  kUntied,
  kFinalNorm,
  kProjected  // embedding and head are of another width than the blocks
};

// What a rotation of the residual stream does to a tensor (transform/rotated_weights.h).
enum class Rotation {
  kNone,
  kEmbedding,      // makes the residual stream
  kNorm,           // its scale moves into the readers
  kReader,         // reads the stream behind `norm`
  kWriter,         // adds to the stream
  kValue,          // a reader whose output is mixed by attention, head by head, and nothing else
  kHeadMixer,      // the writer that reads those heads
  kProductWriter,  // a writer behind an element-wise product: its input can be rotated only as the
                   // model runs
};

// A tensor that belongs to no linear of a block.
struct TensorSpec {
  std::string name;  // inside a block relative to it: "input_layernorm.weight"
  std::vector<Dim> shape;
  Rotation rotation = Rotation::kNone;
  Presence presence = Presence::kAlways;
  std::string norm = {};  // of a reader, named like `name`
};

// A linear of a block: NAME.weight (out, in), and NAME.bias (out) where `bias` says so.
struct LinearSpec {
  std::string name;  // "self_attn.q_proj"
  Dim out, in;
  int stage;  // that applies it; linears are listed stage by stage
  Rotation rotation = Rotation::kNone;
  std::string norm = {};  // of a reader: "input_layernorm.weight"
  Presence bias = Presence::kNever;
  int input = 0;    // which of the stage's inputs it reads
  int expert = -1;  // of a mixture, whose linear it is; -1: every token reaches it
};

struct BlockTable {
  std::vector<TensorSpec> tensors;
  std::vector<LinearSpec> linears;
};

// What a family works out once for a length of sequence.
struct Positions {
  RopeTable rope;
  RopeTable local_rope = {};  // of layers with a window, where theirs is another one

  // The rows of these tables that belong to `positions`, (length) int64, on their device.
  Positions at(const at::Tensor& positions) const;
};

// The norms a block may have, by where they stand: of each, its place in Block::tensors; -1: none.
struct NormPlaces {
  int attention_in = -1, attention_out = -1, mlp_in = -1, mlp_out = -1;
  int query = -1, key = -1;  // of each head, or of all: as wide as their weights
};

enum class RopeKind { kNone, kOwn, kLocal };

// How queries, keys and values are stored: as three linears, or as one whose outputs lie as
// split_whole or split_groups takes them.
enum class QueryKeyValueLayout { kSeparate, kWhole, kGroups };

// How tokens find their experts.
struct Routing {
  int64_t experts = 0, per_token = 0;  // 0: the block has none
  bool renormalized = false, shared = false;
  // Places in Block::tensors: of the router (experts, hidden), of its bias (experts) if it has one
  // and, where an expert is shared, of the gate of its output (1, hidden).
  int router = -1, router_bias = -1, shared_gate = -1;
};

// What may differ from one block to the next.
struct LayerConfig {
  AttentionOptions attention;
  double norm_epsilon = 1e-5, norm_offset = 0;
  double residual_scale = 1;
  Activation activation = Activation::kSilu;
  GateClamp gate_clamp = {};
  RopeKind rope = RopeKind::kOwn;
  NormPlaces norms = {};
  int sinks = -1;  // place in Block::tensors of attention's sinks (heads); -1: none
  Residual residual = Residual::kSequential;
  QueryKeyValueLayout layout = QueryKeyValueLayout::kSeparate;
  Routing routing = {};
};

// One block's weights, in the dtype and on the device they are computed in.
struct Block {
  int64_t index = 0;
  LayerConfig layer = {};
  const Positions* positions = nullptr;
  std::vector<at::Tensor> tensors = {};  // as BlockTable lists them; undefined: absent
  std::vector<Linear> linears = {};      // as BlockTable lists them

  // What runs next are trees, or goes on from what ran before: `at` are the positions of the row's
  // tokens. Both outlive the run.
  void lay_out(const Positions& at, const TokenTrees& trees) {
    positions = &at;
    layer.attention.trees = &trees;
  }
  void go_on(const Positions& at, const CachedSequences& cached) {
    positions = &at;
    layer.attention.cached = &cached;
  }
};

// What stands behind the last block.
struct Head {
  // the outer table's but those that make the embeddings, and the head; undefined: absent
  std::vector<at::Tensor> tensors;
  Linear linear;  // (vocab, hidden)
};

// What flows through a block.
struct BlockState {
  at::Tensor hidden;  // (batch, length, hidden), the residual stream
  // What else is on its way to a later stage, (batch, length, width) each, as Family::parts lists
  // them; undefined or left out: nothing is.
  std::vector<at::Tensor> parts = {};
  // (batch, length, per token) int32: the experts that each token goes to, from their router on to
  // the end of their block; undefined or left out elsewhere. Whoever writes another choice into it
  // is followed: so two streams go by one (calibrate/stream.h).
  at::Tensor experts = {};
};

// One thing that a stage's linears read.
struct StageInput {
  // prepared as the linears take it: of all tokens (batch, length, in), of an expert (tokens, in)
  at::Tensor x;
  // (tokens) int64, ascending: an expert's tokens, by their place among all of the batch, sequence
  // after sequence; undefined: all
  at::Tensor rows = {};
};

// A part of BlockState: what it is, and the widths that it may have.
struct StatePart {
  const char* name;
  std::vector<Dim> widths;
};

// Rows of an outer matrix, in the dtype that is computed in.   ids: any shape, integers -> (...,
// width)
using RowLookup = std::function<at::Tensor(const std::string& name, const at::Tensor& ids)>;

struct Family {
  const char* name;
  std::vector<const char*> architectures;
  ModelConfig (*parse_config)(const nlohmann::json& config);
  LayerConfig (*layer)(const ModelConfig& config, int64_t index);
  const char* block_prefix;  // "model.layers."
  const char *embedding, *head;
  std::vector<TensorSpec> outer;
  std::vector<const char*> embeds = {};  // of `outer`, what `embed` reads beside the embedding
  BlockTable (*block)(const ModelConfig& config, int64_t index);
  std::vector<const char*> ignored;  // suffixes of tensors that old files hold and nobody needs
  int stages;
  std::vector<StatePart> parts;
  Positions (*positions)(const ModelConfig& config, int64_t length, at::Device device,
                         at::ScalarType dtype);
  // items: token ids (batch, length), or of images what a position is made of (batch, length,
  // patch numbers), as model/patches.h lays them out; positions: (length) int64, undefined: from
  // the first on -> (batch, length, hidden)
  at::Tensor (*embed)(const ModelConfig& config, const RowLookup& rows, const at::Tensor& items,
                      const at::Tensor& positions);
  // What the linears of `stage` read.
  std::vector<StageInput> (*inputs)(const Block& block, int stage, const BlockState& state);
  // From what the stage's linears gave, shaped as their inputs, to the state before the next.
  void (*advance)(const Block& block, int stage, std::span<const at::Tensor> outputs,
                  BlockState& state);
  // What the head's linear reads.   hidden: (..., hidden), the last block's output -> (..., its
  // width); of the head its tensors alone
  at::Tensor (*head_input)(const ModelConfig& config, const Head& head, const at::Tensor& hidden);
  // hidden: as there, of a classifier (..., class tokens, hidden) -> (..., vocab)
  at::Tensor (*logits)(const ModelConfig& config, const Head& head, const at::Tensor& hidden);
  const char* unrotatable = nullptr;  // why the residual stream cannot be rotated; null: it can
};

// Every family this program knows.
const std::vector<Family>& families();
// The family of an architecture name; an Error lists the known ones.
const Family& find_family(const std::string& architecture);

int64_t size_of(Dim dim, const ModelConfig& config);
bool is_present(Presence presence, const ModelConfig& config);

// Every tensor that models of this family and these sizes may have, by its full name: those outside
// blocks, then block by block.
struct NamedTensor {
  std::string name;
  std::vector<int64_t> shape;
  Presence presence = Presence::kAlways;
  Rotation rotation = Rotation::kNone;
  std::string norm = {};   // of a reader, its full name
  bool of_linear = false;  // the weight of a linear of a block
};
std::vector<NamedTensor> tensors_of(const Family& family, const ModelConfig& config);

Family llama_family();
Family qwen2_family();
Family qwen3_family();
Family granite_family();
Family olmo2_family();
Family phi3_family();
Family smollm3_family();
Family gemma2_family();
Family gemma3_family();
Family starcoder2_family();
Family gpt_neox_family();
Family opt_family();
Family gpt2_family();
Family phi_family();
Family falcon_family();
Family mixtral_family();
Family qwen2_moe_family();
Family qwen3_moe_family();
Family gpt_oss_family();
Family vit_family();
Family deit_family();
Family deit_with_teacher_family();

}  // namespace halftone
