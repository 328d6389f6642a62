#include "kernels/gguf_blocks.h"

#include <algorithm>
#include <array>

#include "kernels/gguf/few_level_blocks.h"
#include "kernels/gguf/numbers.h"
#include "kernels/gguf/single_blocks.h"
#include "kernels/gguf/super_blocks.h"
#include "kernels/gguf/vector_blocks.h"

namespace halftone {
namespace {

template <class Block>
void decode_blocks(int64_t blocks, const uint8_t* from, float* to) {
  for (int64_t i = 0; i < blocks; ++i)
    Block::decode(from + i * Block::kBytes, to + i * Block::kWeights);
}

template <class Block>
void encode_blocks(int64_t blocks, const float* from, uint8_t* to) {
  for (int64_t i = 0; i < blocks; ++i)
    Block::encode(from + i * Block::kWeights, to + i * Block::kBytes);
}

template <class Block>
constexpr GgufType row(uint32_t id, std::string_view name) {
  GgufType type{id, name, Block::kWeights, Block::kBytes, decode_blocks<Block>, nullptr, nullptr};
  if constexpr (requires { &Block::encode; }) type.encode = encode_blocks<Block>;
  if constexpr (requires { &Block::pack; }) type.pack = Block::pack;
  return type;
}

using namespace gguf;

// Q8_1 and Q8_K are what engines multiply with; no file holds them. Other numbers were given up.
constexpr std::array kTypes{
    row<F32>(0, "F32"),
    row<F16>(1, "F16"),
    row<Q4_0>(2, "Q4_0"),
    row<Q4_1>(3, "Q4_1"),
    row<Q5_0>(6, "Q5_0"),
    row<Q5_1>(7, "Q5_1"),
    row<Q8_0>(8, "Q8_0"),
    row<Q2_K>(10, "Q2_K"),
    row<Q3_K>(11, "Q3_K"),
    row<Q4_K>(12, "Q4_K"),
    row<Q5_K>(13, "Q5_K"),
    row<Q6_K>(14, "Q6_K"),
    row<Iq2Xxs>(16, "IQ2_XXS"),
    row<Iq2Xs>(17, "IQ2_XS"),
    row<Iq3Xxs>(18, "IQ3_XXS"),
    row<Iq1S>(19, "IQ1_S"),
    row<Iq4Nl>(20, "IQ4_NL"),
    row<Iq3S>(21, "IQ3_S"),
    row<Iq2S>(22, "IQ2_S"),
    row<Iq4Xs>(23, "IQ4_XS"),
    row<Plain<int8_t>>(24, "I8"),
    row<Plain<int16_t>>(25, "I16"),
    row<Plain<int32_t>>(26, "I32"),
    row<Plain<int64_t>>(27, "I64"),
    row<Plain<double>>(28, "F64"),
    row<Iq1M>(29, "IQ1_M"),
    row<Bf16>(30, "BF16"),
    row<Tq1_0>(34, "TQ1_0"),
    row<Tq2_0>(35, "TQ2_0"),
    row<Mxfp4>(39, "MXFP4"),
    row<Nvfp4>(40, "NVFP4"),
    row<Q1_0>(41, "Q1_0"),
    row<Q2_0>(42, "Q2_0"),
};

template <class Matches>
const GgufType* find_if(Matches matches) {
  const auto found = std::find_if(kTypes.begin(), kTypes.end(), matches);
  return found == kTypes.end() ? nullptr : &*found;
}

}  // namespace

std::span<const GgufType> gguf_types() {
  return kTypes;
}

const GgufType* find_gguf_type(uint32_t id) {
  return find_if([&](const GgufType& type) { return type.id == id; });
}

const GgufType* find_gguf_type(std::string_view name) {
  return find_if([&](const GgufType& type) { return type.name == name; });
}

}  // namespace halftone
