#include "pipeline/bits.h"

#include <algorithm>

#include "base/error.h"

namespace halftone {

BitsPerWeight bits_of(const PackedModel& weights, const Model& model) {
  const double all_bits = static_cast<double>(weights.source().stored_bytes()) * 8;
  double stored = 0, quoted = 0, count = 0;
  const std::vector<std::string> packed = weights.linears();  // an embedding too, perhaps
  for (const LinearSlot& slot : model.linears()) {
    if (!std::ranges::binary_search(packed, slot.name)) continue;
    const auto weights_here = static_cast<double>(slot.out * slot.in);
    stored += static_cast<double>(weights.linear_bytes(slot.name)) * 8;
    quoted += bits_per_weight(weights.read_linear(slot.name)) * weights_here;
    count += weights_here;
  }
  if (count == 0) {  // nothing on a grid of ours: what the linears take
    for (const LinearSlot& slot : model.linears()) {
      stored += static_cast<double>(weights.linear_bytes(slot.name)) * 8;
      count += static_cast<double>(slot.out * slot.in);
    }
    quoted = stored;
  }
  return {.quantized = stored / count,
          .quoted = quoted / count,
          .model = all_bits / static_cast<double>(model.parameters())};
}

}  // namespace halftone
