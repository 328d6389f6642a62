// Linears that need one grid, and what they may choose from together.
#pragma once

#include <string>
#include <vector>

#include "pipeline/bit_candidates.h"
#include "pipeline/sensitivities.h"
#include "recipe/knapsack.h"

namespace halftone {

// What engines run as one.
struct TiedLinears {
  std::vector<const LinearSlot*> linears;  // of the menu's job
  std::vector<size_t> candidates;          // of the menu's those that all of them can have
  Choices choices = {};                    // of these: bits, nats
};

// In the order of their first ones. Of formats whose engines fuse linears: those that read one
// input in one module (q, k, v; gate, up), and all experts of a block. Of others each by itself.
// measured: null: choices are sizes alone, and none where only solving tells the size. Candidates
// whose numbers refused are left out. Errors: linears that have no candidate in common.
std::vector<TiedLinears> tied_linears(const BitMenu& menu, const Sensitivities* measured);

}  // namespace halftone
