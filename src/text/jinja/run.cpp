#include "text/jinja/run.h"

#include <ctime>
#include <map>

#include "base/error.h"
#include "text/jinja/functions.h"
#include "text/jinja/values.h"

namespace halftone::jinja {
namespace {

using Kind = Expression::Kind;

constexpr int64_t kMostSteps = 1'000'000;         // statements and expressions
constexpr size_t kMostCharged = size_t{1} << 29;  // of all values that are made or looked up
constexpr int kMostDepth = 20;                    // of macros in macros

class Run {
 public:
  explicit Run(const Value& variables) : scopes_(1) {
    for (const auto& [name, value] : variables.items()) scopes_[0][name] = value;
  }

  std::string run(const std::vector<Statement>& statements) {
    run_all(statements);
    return std::move(out_);
  }

 private:
  enum class Flow { kOn, kBreak, kContinue };

  template <class Work>
  static decltype(auto) at_line(int line, Work&& work) {
    return with_context(fmt::format("line {}", line), std::forward<Work>(work));
  }

  // --- statements
  Flow run_all(const std::vector<Statement>& statements) {
    for (const Statement& one : statements)
      if (const Flow flow = run_one(one); flow != Flow::kOn) return flow;
    return Flow::kOn;
  }

  Flow run_one(const Statement& one) {
    count_step(one.line);
    switch (one.kind) {
      case Statement::Kind::kText:
        write(one.text);
        return Flow::kOn;
      case Statement::Kind::kOutput: {
        const Value value = value_of(one.value);
        at_line(one.line, [&] { write(text_of(value)); });
        return Flow::kOn;
      }
      case Statement::Kind::kSet:
        set(one);
        return Flow::kOn;
      case Statement::Kind::kIf:
        return run_all(is_true(value_of(one.value)) ? one.body : one.otherwise);
      case Statement::Kind::kFor:
        return loop(one);
      case Statement::Kind::kMacro:
        macros_[one.text] = &one;
        return Flow::kOn;
      case Statement::Kind::kBreak:
        return Flow::kBreak;
      case Statement::Kind::kContinue:
        return Flow::kContinue;
    }
    return Flow::kOn;
  }

  void write(std::string_view text) {
    out_ += text;
    require(out_.size() <= kMostBytes, "the text grew beyond {} bytes", kMostBytes);
  }

  // Every value that is made or looked up goes through here, so that none is nested deeper than
  // what copies it can go, and all of them together cost no more than a chat is worth.
  void charge(const Value& value) {
    const size_t bytes = weight_of(value);
    require(bytes <= kMostBytes, "a value grew beyond {} bytes", kMostBytes);
    charged_ += bytes;
    require(charged_ <= kMostCharged, "more than {} bytes of values", kMostCharged);
  }
  Value charged(Value value) {
    charge(value);
    return value;
  }

  void count_step(int line) {
    if (++steps_ > kMostSteps) at_line(line, [] { fail("more than {} steps", kMostSteps); });
  }

  // A name in the innermost scope; an attribute of a namespace wherever that is.
  void set(const Statement& one) {
    Value value = value_of(one.value);
    if (one.targets.size() == 1) {
      scopes_.back()[one.targets[0]] = std::move(value);
      return;
    }
    Value* space = find(one.targets[0]);
    at_line(one.line, [&] {
      require(space != nullptr && space->is_object(), "set {}.{}: expected a namespace",
              one.targets[0], one.targets[1]);
      (*space)[one.targets[1]] = std::move(value);
      charge(*space);
    });
  }

  Value* find(const std::string& name) {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope)
      if (const auto found = scope->find(name); found != scope->end()) return &found->second;
    return nullptr;
  }

  // Binds the targets to one element, a pair to two of them.
  void bind(const Statement& one, const Value& element) {
    if (one.targets.size() == 1) {
      scopes_.back()[one.targets[0]] = element;
      return;
    }
    require(element.is_array() && element.size() == one.targets.size(),
            "expected lists of {} to go through", one.targets.size());
    for (size_t i = 0; i < one.targets.size(); ++i) scopes_.back()[one.targets[i]] = element[i];
  }

  std::vector<Value> elements(const Statement& one) {
    const Value all = value_of(one.value);
    std::vector<Value> parts = at_line(
        one.line, [&] { return is_undefined(all) ? std::vector<Value>() : elements_of(all); });
    if (one.filter == nullptr) return parts;
    std::vector<Value> kept;
    scopes_.emplace_back();
    for (Value& part : parts) {
      at_line(one.line, [&] { bind(one, part); });
      if (is_true(value_of(one.filter))) kept.push_back(std::move(part));
    }
    scopes_.pop_back();
    return kept;
  }

  Flow loop(const Statement& one) {
    const std::vector<Value> parts = elements(one);
    if (parts.empty()) return run_all(one.otherwise);
    for (size_t i = 0; i < parts.size(); ++i) {
      count_step(one.line);
      scopes_.emplace_back();
      at_line(one.line, [&] { bind(one, parts[i]); });
      scopes_.back()["loop"] = {{"index", i + 1},
                                {"index0", i},
                                {"revindex", parts.size() - i},
                                {"revindex0", parts.size() - i - 1},
                                {"first", i == 0},
                                {"last", i + 1 == parts.size()},
                                {"length", parts.size()}};
      if (i > 0) scopes_.back()["loop"]["previtem"] = parts[i - 1];
      if (i + 1 < parts.size()) scopes_.back()["loop"]["nextitem"] = parts[i + 1];
      const Flow flow = run_all(one.body);
      scopes_.pop_back();
      if (flow == Flow::kBreak) break;
    }
    return Flow::kOn;
  }

  // --- expressions
  Value value_of(const ExpressionPtr& expression) {
    if (expression == nullptr) return nullptr;
    const Expression& one = *expression;
    count_step(one.line);
    switch (one.kind) {
      case Kind::kConstant:
        return one.constant;
      case Kind::kName: {
        const Value* found = find(one.name);
        return found == nullptr ? undefined() : at_line(one.line, [&] { return charged(*found); });
      }
      case Kind::kNot:
        return !is_true(value_of(one.parts[0]));
      case Kind::kCondition:
        if (is_true(value_of(one.parts[1]))) return value_of(one.parts[0]);
        return one.parts[2] == nullptr ? undefined() : value_of(one.parts[2]);
      case Kind::kBinary:
        return binary(one);
      case Kind::kList:
      case Kind::kDict: {
        Value made = collection(one);
        at_line(one.line, [&] { charge(made); });
        return made;
      }
      default:
        return applied(one);
    }
  }

  Value binary(const Expression& one) {
    Value left = value_of(one.parts[0]);
    if (one.name == "and") return is_true(left) ? value_of(one.parts[1]) : left;
    if (one.name == "or") return is_true(left) ? left : value_of(one.parts[1]);
    const Value right = value_of(one.parts[1]);
    return at_line(one.line, [&] { return charged(combined(one.name, left, right)); });
  }

  Value collection(const Expression& one) {
    if (one.kind == Kind::kList) {
      Value all = Value::array();
      for (const ExpressionPtr& part : one.parts) all.push_back(value_of(part));
      return all;
    }
    Value all = Value::object();
    for (size_t i = 0; i < one.parts.size(); i += 2) {
      const Value key = value_of(one.parts[i]);
      at_line(one.line, [&] {
        require(key.is_string(), "a dict's key: expected a text, found {}", kind_of(key));
      });
      all[key.get<std::string>()] = value_of(one.parts[i + 1]);
    }
    return all;
  }

  // What is done with a value, or a call.
  Value applied(const Expression& one) {
    std::vector<Value> parts;
    for (const ExpressionPtr& part : one.parts) parts.push_back(value_of(part));
    Given given;
    for (const ExpressionPtr& argument : one.arguments.positional)
      given.positional.push_back(value_of(argument));
    for (const auto& [name, argument] : one.arguments.named) given.named[name] = value_of(argument);
    return at_line(one.line, [&] { return charged(result_of(one, parts, given)); });
  }

  Value result_of(const Expression& one, const std::vector<Value>& parts, const Given& given) {
    switch (one.kind) {
      case Kind::kItem:
        return item_of(parts[0], parts[1]);
      case Kind::kSlice:
        return slice_of(parts[0], parts[1], parts[2], parts[3]);
      case Kind::kMinus:
        return combined("-", 0, parts[0]);
      case Kind::kFilter:
        return filtered(one.name, parts[0], given);
      case Kind::kTest:
        return tested(one.name, parts[0], given);
      case Kind::kMethod:
        return method_of(parts[0], one.name, given);
      default:
        return call(one.name, given);
    }
  }

  // What a macro writes. It sees what stands outside all loops and its own arguments.
  Value written_by(const Statement& macro, const Given& given) {
    require(++depth_ <= kMostDepth, "{}: calls itself too often", macro.text);
    std::map<std::string, Value> own;
    for (size_t i = 0; i < macro.targets.size(); ++i) {
      Value value = given.get(i, macro.targets[i]);
      own[macro.targets[i]] =
          is_undefined(value) && macro.defaults[i] ? value_of(macro.defaults[i]) : std::move(value);
    }
    std::vector<std::map<std::string, Value>> outside(1, scopes_.front());
    outside.push_back(std::move(own));
    std::swap(outside, scopes_);
    std::string before;
    std::swap(before, out_);
    run_all(macro.body);
    std::swap(before, out_);
    outside.front() = std::move(scopes_.front());
    scopes_ = std::move(outside);
    --depth_;
    return before;
  }

  Value call(const std::string& name, const Given& given) {
    if (const auto macro = macros_.find(name); macro != macros_.end())
      return written_by(*macro->second, given);
    if (name == "raise_exception")
      fail("the template says: {}", printable(text_of(given.get(0, "message")), 200));
    if (name == "namespace" || name == "dict") {
      Value space = Value::object();
      for (const auto& [key, value] : given.named) space[key] = value;
      return space;
    }
    if (name == "range") return range(given);
    if (name == "strftime_now") return today(text_of(given.get(0, "format")));
    fail("{}() is not known here", printable(name));
  }

  static Value today(const std::string& format) {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    char text[256];
    const size_t size =
        ::localtime_r(&now, &local) ? std::strftime(text, sizeof text, format.c_str(), &local) : 0;
    require(size > 0 || format.empty(), "strftime_now: expected the format of a date, found {}",
            printable(format));
    return std::string(text, size);
  }

  static Value range(const Given& given) {
    constexpr int64_t kMost = 100'000;
    std::vector<int64_t> bounds;
    for (const Value& bound : given.positional) {
      require(bound.is_number_integer(), "range: expected whole numbers, found {}", kind_of(bound));
      bounds.push_back(bound.get<int64_t>());
    }
    require(!bounds.empty() && bounds.size() <= 3, "range: expected one to three numbers, found {}",
            bounds.size());
    const int64_t begin = bounds.size() > 1 ? bounds[0] : 0,
                  end = bounds.size() > 1 ? bounds[1] : bounds[0];
    const int64_t step = bounds.size() > 2 ? bounds[2] : 1;
    for (const int64_t bound : {begin, end, step})
      require(-kMost <= bound && bound <= kMost, "range: expected numbers up to {}, found {}",
              kMost, bound);
    require(step != 0, "range: expected another step than 0");
    Value all = Value::array();
    for (int64_t at = begin; step > 0 ? at < end : at > end; at += step) all.push_back(at);
    return all;
  }

  std::vector<std::map<std::string, Value>> scopes_;
  std::map<std::string, const Statement*> macros_;
  std::string out_;
  int64_t steps_ = 0;
  size_t charged_ = 0;
  int depth_ = 0;  // of macros
};

}  // namespace

std::string run_template(const std::vector<Statement>& statements, const Value& variables) {
  return Run(variables).run(statements);
}

}  // namespace halftone::jinja
