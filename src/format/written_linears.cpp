#include "format/written_linears.h"

namespace halftone {

WrittenLinears::WrittenLinears(const std::vector<LinearPlan>& planned) {
  for (const LinearPlan& linear : planned)
    require(planned_.emplace(linear.name, linear).second, "{}: planned twice", linear.name);
}

const LinearPlan& WrittenLinears::next(const std::string& name) const {
  const auto planned = planned_.find(name);
  require(planned != planned_.end(), "{}: not one of the planned linears", printable(name));
  require(!fingerprints_.contains(name), "{}: written twice", name);
  return planned->second;
}

void WrittenLinears::require_all() const {
  for (const auto& [name, unused] : planned_)
    require(fingerprints_.contains(name), "{}: planned, but never written", name);
}

}  // namespace halftone
