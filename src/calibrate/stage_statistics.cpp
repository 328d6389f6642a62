#include "calibrate/stage_statistics.h"

namespace halftone {

const LinearStatistics& StageStatistics::of(const LinearSlot& linear) const {
  static const LinearStatistics nothing;
  if (const auto own = linears.find(linear.name); own != linears.end()) return own->second;
  return linear.input < inputs.size() ? inputs[linear.input] : nothing;
}

}  // namespace halftone
