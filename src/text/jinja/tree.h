// A template as it was parsed. One struct for all expressions and one for all statements: they are
// few, and only parser.cpp makes and run.cpp reads them.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace halftone::jinja {

using Value = nlohmann::ordered_json;  // discarded: undefined

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

struct Arguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
};

struct Expression {
  enum class Kind {
    kConstant,
    kName,
    kItem,       // parts[0] [ parts[1] ], or .name as a string constant
    kSlice,      // parts[0] [ parts[1] : parts[2] : parts[3] ], null where left out
    kCall,       // name(arguments)
    kMethod,     // parts[0].name(arguments)
    kFilter,     // parts[0] | name(arguments)
    kTest,       // parts[0] is name(arguments)
    kNot,        // parts[0]
    kMinus,      // parts[0]
    kBinary,     // parts[0] name parts[1]
    kCondition,  // parts[0] if parts[1] else parts[2], null where left out
    kList,       // parts
    kDict        // parts: key, value, key, value
  };
  Kind kind = Kind::kConstant;
  int line = 1;
  Value constant = nullptr;
  std::string name;
  std::vector<ExpressionPtr> parts;
  Arguments arguments;
};

struct Statement {
  enum class Kind { kText, kOutput, kSet, kIf, kFor, kBreak, kContinue, kMacro };
  Kind kind = Kind::kText;
  int line = 1;
  std::string text;                  // as it stands; a macro's name
  ExpressionPtr value;               // what is written or set, the condition, what is gone through
  std::vector<std::string> targets;  // set: a name, or a name and an attribute; for, macro: names
  std::vector<ExpressionPtr> defaults;  // a macro's, null where there is none
  ExpressionPtr filter;                 // for x in y if filter
  std::vector<Statement> body, otherwise;
};

}  // namespace halftone::jinja
