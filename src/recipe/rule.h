// What the rules of recipes (rules.h) are made of.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "recipe/linear_recipe.h"
#include "recipe/model_recipe.h"

namespace halftone {

// What the rules look at.
struct Asked {
  const ObjectiveOptions& objective;
  const TargetOptions& target;
  const GridOptions& grid;
  const OutlierOptions& outliers;
  const OrderOptions& order;
  const ModelRecipe& model;
  int64_t rows, columns, sequences;  // 0: not known

  bool is_binary() const { return grid.kind == GridKind::kBinary; }
};

// What must hold, and what to say where it does not.
struct Rule {
  using Message = std::string (*)(const Asked& asked);

  Rule(bool (*that)(const Asked&), const char* text) : holds(that), fixed(text) {}
  Rule(bool (*that)(const Asked&), Message text) : holds(that), message(text) {}

  bool (*holds)(const Asked& asked);
  const char* fixed = nullptr;
  Message message = nullptr;  // where it names numbers
};

// Error: the first one that does not hold.
void check(std::span<const Rule> rules, const Asked& asked);

// The rules of all kinds of grids (grid_rules.cpp).
void check_grid(const Asked& asked);

}  // namespace halftone
