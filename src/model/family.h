// A model family: its tensors as a table, and its block as a list of stages.
//
// A stage is one input and the linears that read it (q, k, v; o; gate, up; down). Running a block
// is: take the stage's input, advance the state through the stage's linears, next stage. Evaluation
// walks straight through; calibration stops between the two to measure the input and to replace the
// linears (METHODS 7.5).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "model/layers.h"
#include "model/orthogonal.h"

namespace halftone {

enum class Dim { kVocab, kHidden, kQuery, kKeyValue, kIntermediate };
enum class Presence { kAlways, kAttentionBias, kMlpBias, kUntied };

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

struct TensorSpec {
  const char* name;  // inside a block relative to it: "self_attn.q_proj.weight"
  std::vector<Dim> shape;
  Presence presence = Presence::kAlways;
  int stage = -1;  // of a quantized linear's weight: the stage that reads it
  Rotation rotation = Rotation::kNone;
  const char* norm = nullptr;  // of a reader, named like `name`
};

// One block's weights, in the dtype and on the device they are computed in.
struct Block {
  int64_t index = 0;
  const ModelConfig* config = nullptr;
  const RopeTable* rope = nullptr;
  std::map<std::string, at::Tensor, std::less<>> tensors;  // by relative name
  // Sees each linear's output, (batch, length, out), as it is computed: calibration differentiates
  // with respect to it. Empty: nobody asks.
  std::function<void(std::string_view linear, const at::Tensor& output)> tap = {};
  const KroneckerMatrix* online = nullptr;  // what product writers read is multiplied by it

  const at::Tensor& weight(std::string_view name) const { return tensors.find(name)->second; }
};

// What flows through a block.
struct BlockState {
  at::Tensor hidden;  // (batch, length, hidden), the residual stream
  at::Tensor
      carry;  // (batch, length, width), the next stage's input where `hidden` does not give it
};

struct Family {
  const char* name;
  std::vector<const char*> architectures;
  ModelConfig (*parse_config)(const nlohmann::json& config);
  const char* block_prefix;  // "model.layers."
  const char *embedding, *final_norm, *head;
  std::vector<TensorSpec> outer, block;
  std::vector<const char*> ignored;  // suffixes of tensors that old files hold and nobody needs
  int stages;
  // The input that the linears of `stage` read.  -> (batch, length, in)
  at::Tensor (*stage_input)(const Block& block, int stage, const BlockState& state);
  // Applies the stage's linears to `input` and moves the state on to the next stage.
  void (*advance)(const Block& block, int stage, const at::Tensor& input, BlockState& state);
  at::Tensor (*normalize)(const at::Tensor& hidden, const at::Tensor& weight,
                          const ModelConfig& config);
};

// Every family this program knows.
const std::vector<Family>& families();

// The family of an architecture name; an Error lists the known ones.
const Family& find_family(const std::string& architecture);

int64_t size_of(Dim dim, const ModelConfig& config);
std::vector<int64_t> shape_of(const TensorSpec& spec, const ModelConfig& config);
bool is_present(const TensorSpec& spec, const ModelConfig& config);

Family llama_family();

}  // namespace halftone
