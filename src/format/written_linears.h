// What every writer of a model keeps of its linears: each as planned and once, all of them in the
// end, and what the files must give back.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "format/format.h"
#include "format/linear_check.h"

namespace halftone {

class WrittenLinears {
 public:
  // Error: a name twice.
  explicit WrittenLinears(const std::vector<LinearPlan>& planned);

  // write(plan of the linear) stores it and returns the fingerprint of the weights that the files
  // then hold. Errors, behind the name: not planned, written before, not what was planned.
  template <class Write>
  void add(const FinishedLinear& linear, Write&& write) {
    const LinearPlan& planned = next(linear.name);
    with_context(linear.name, [&] {
      check_planned(linear.quantized, planned);
      fingerprints_[linear.name] = std::forward<Write>(write)(planned);
    });
  }
  // A matrix that is no linear of the plan and is read back as well.   name: without ".weight"
  void add_plain(const std::string& name, std::string fingerprint) {
    fingerprints_[name] = std::move(fingerprint);
  }
  // Error: one that was planned and never written.
  void require_all() const;
  const std::map<std::string, std::string>& fingerprints() const { return fingerprints_; }

 private:
  const LinearPlan& next(const std::string& name) const;

  std::map<std::string, LinearPlan> planned_;
  std::map<std::string, std::string> fingerprints_;
};

}  // namespace halftone
