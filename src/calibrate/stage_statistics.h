// What calibration knows of the linears of one stage.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "calibrate/linear_statistics.h"
#include "model/model.h"

namespace halftone {

struct StageStatistics {
  // Of each of the stage's inputs, as LinearSlot::input counts them: what the linears share that
  // have nothing of their own. None where nothing was measured.
  std::vector<LinearStatistics> inputs = {};
  // What is a linear's own, by its name; empty for one that asks for no statistics.
  std::map<std::string, LinearStatistics> linears = {};

  // Without a Hessian where there is no objective.
  const LinearStatistics& of(const LinearSlot& linear) const;
};

}  // namespace halftone
