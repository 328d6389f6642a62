// --target-bits, --target-size, --target-kl and what goes with them: bits chosen by measurement.
#pragma once

#include <optional>

#include "cli/quantize_options.h"
#include "pipeline/bit_target.h"

namespace CLI {
class App;
}

namespace halftone {

struct BitTargetOptions {
  BitTarget target;
  bool is_asked() const { return target.bits || target.bytes || target.kl; }
};

void add_bit_target_options(CLI::App& command, BitTargetOptions& options);

// UsageError: two targets; what goes with one without one; a width or a type of all linears beside
// one; no text to measure on.
void require_bit_target(const BitTargetOptions& options, const QuantizeOptions& beside);

// The request by the chosen recipe, which is written, with a word of it on stderr.
QuantizeRequest with_chosen_bits(const QuantizeRequest& request, const BitTargetOptions& options);

}  // namespace halftone
