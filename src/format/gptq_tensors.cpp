#include "format/gptq_tensors.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "format/packed_rows.h"
#include "format/stored_numbers.h"

namespace halftone {
namespace {

constexpr int kSymmetricZero3 = 4;

// True if every row of `words` repeats this triple.  words: (groups, 3 k) int32
bool repeats(const at::Tensor& words, std::array<uint32_t, 3> triple) {
  const at::Tensor expected =
      at::tensor({static_cast<int32_t>(triple[0]), static_cast<int32_t>(triple[1]),
                  static_cast<int32_t>(triple[2])},
                 at::kInt);
  return words.size(1) % 3 == 0 && words.reshape({-1, 3}).eq(expected).all().item<bool>();
}

// GPTQModel's 3-bit v2 -> v1 conversion swaps the constants of words 0 and 2 of each triple, so its
// symmetric file (true zero 4) holds 0, 0xB6DB6DB7, 0x49249249; a right one holds 3 in every lane.
// Nothing else can be told apart.
at::Tensor zeros_of_v1_3bit(const at::Tensor& stored, int64_t out, bool symmetric, bool& repaired) {
  const bool broken = repeats(stored, {0x00000000, 0xB6DB6DB7, 0x49249249});
  const bool right = repeats(stored, {0xDB6DB6DB, 0xB6DB6DB6, 0x6DB6DB6D});
  require(symmetric && (broken || right),
          "'.qzeros': 3-bit GPTQ v1 zeros can be read two ways and these are not the symmetric "
          "ones; a gptq_v2 file is needed");
  repaired = repaired || broken;
  return at::full({stored.size(0), out}, kSymmetricZero3, at::kByte);
}

}  // namespace

GptqTensors to_gptq(const QuantizedLinear& linear, bool v2) {
  at::Tensor zeros = linear.zeros.t();  // (groups, out)
  if (!v2) {
    require(zeros.ge(1).all().item<bool>(),
            "zeros: one is 0, which GPTQ v1 cannot hold (it stores zero - 1)");
    zeros = zeros - 1;
  }
  GptqTensors tensors;
  tensors.qweight = pack_rows(linear.codes, linear.bits).t().contiguous();
  tensors.qzeros = pack_rows(zeros.contiguous(), linear.bits);
  tensors.scales = exact_scales(linear.scales.t().contiguous(), at::kHalf);
  tensors.g_idx = column_groups(linear);
  return tensors;
}

at::Tensor zeros_of_v1(const at::Tensor& stored, int64_t out, int bits, bool symmetric,
                       bool& repaired) {
  if (bits == 3) return zeros_of_v1_3bit(stored, out, symmetric, repaired);
  const at::Tensor lanes = unpack_rows(stored, out, bits);
  require(lanes.lt((1 << bits) - 1).all().item<bool>(),
          "'.qzeros': a lane of a GPTQ v1 file holds {}: zero 0 or {}, readers differ",
          (1 << bits) - 1, 1 << bits);
  return lanes + 1;
}

}  // namespace halftone
