// Points in a plane with an interval each, as SVG inside a page.
#pragma once

#include <string>
#include <vector>

namespace halftone {

struct ScatterPoint {
  std::string label;
  double x = 0, y = 0;       // y > 0
  double low = 0, high = 0;  // of y; 0: none
};

struct ScatterAxes {
  std::string x, y;  // what they are, with units
};

// x from zero, y by its logarithm; each point has its label beside it. "" for none that can be
// drawn.
std::string scatter(const std::vector<ScatterPoint>& points, const ScatterAxes& axes);

}  // namespace halftone
