// How many bits the linears may take for a target, or what they may lose.
#pragma once

#include "pipeline/bit_target.h"
#include "pipeline/tied_linears.h"

namespace halftone {

// Weights of all linears.
double weight_count(const BitMenu& menu);

// What all tensors but the weights of the linears take in the menu's format.
double bytes_of_others(const BitMenu& menu);

// In bits of all linears, or nats a token. Errors: a target that no choice meets; more bits than
// the largest choices have.
Budget bit_budget(const BitTarget& target, const BitMenu& menu,
                  const std::vector<Choices>& choices);

// Of each, its choices; empty where some has none yet.
std::vector<Choices> choices_of(const std::vector<TiedLinears>& all);

}  // namespace halftone
