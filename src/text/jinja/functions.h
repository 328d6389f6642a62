// The filters, tests and methods that templates may use. Errors name what is not among them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "text/jinja/tree.h"

namespace halftone::jinja {

// Arguments once they are worked out.
struct Given {
  std::vector<Value> positional;
  std::map<std::string, Value> named;

  // The argument at this place or of this name; undefined: none.
  Value get(size_t place, const std::string& name) const;
};

Value filtered(const std::string& filter, const Value& value, const Given& given);
bool tested(const std::string& test, const Value& value, const Given& given);
// Of texts and dicts, as in Python: they change nothing.
Value method_of(const Value& value, const std::string& method, const Given& given);

}  // namespace halftone::jinja
