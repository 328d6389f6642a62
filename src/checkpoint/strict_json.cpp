#include "checkpoint/strict_json.h"

#include <set>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/checkpoint.h"

namespace halftone {
namespace {

constexpr size_t kMaxJsonFile = 100'000'000;  // bytes

// Passes the parser's events on after the checks that hold for every reader.
class Checker final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Checker(JsonEvents& events) : events_(events) {}

  bool null() override { return pass({}); }
  bool boolean(bool value) override { return pass(value); }
  bool number_integer(number_integer_t value) override { return pass(value); }
  bool number_unsigned(number_unsigned_t value) override { return pass(value); }
  bool number_float(number_float_t value, const string_t&) override { return pass(value); }
  bool string(string_t& value) override { return pass(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // not in JSON texts
  bool start_object(size_t) override { return open(true); }
  bool start_array(size_t) override { return open(false); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    if (!levels_.back().insert(name).second)
      fail("key \"{}\" appears twice in one object", printable(name));
    events_.key(std::move(name));
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::json::exception& error) override {
    std::string_view reason = error.what();  // "[json.exception.parse_error.101] parse error ..."
    reason.remove_prefix(std::min(reason.size(), reason.find("] ") + 2));
    fail("not valid JSON at byte {}: {}", position, printable(reason, 200));
  }

 private:
  bool open(bool is_object) {
    require(levels_.size() < kMaxJsonDepth, "JSON nested deeper than {} levels", kMaxJsonDepth);
    levels_.emplace_back();
    events_.open(is_object);
    return true;
  }

  bool close() {
    levels_.pop_back();
    events_.close();
    return true;
  }

  bool pass(nlohmann::json&& value) {
    events_.scalar(std::move(value));
    return true;
  }

  JsonEvents& events_;
  std::vector<std::set<std::string>> levels_;  // the keys so far of each open object
};

// Puts the pieces together again.
class TreeBuilder final : public JsonEvents {
 public:
  void open(bool is_object) override {
    open_.push_back(&add(is_object ? nlohmann::json::object() : nlohmann::json::array()));
  }
  void close() override { open_.pop_back(); }
  void key(std::string&& name) override { key_ = std::move(name); }
  void scalar(nlohmann::json&& value) override { add(std::move(value)); }
  nlohmann::json take() { return std::move(root_); }

 private:
  nlohmann::json& add(nlohmann::json&& value) {
    if (open_.empty()) return root_ = std::move(value);
    nlohmann::json& parent = *open_.back();
    if (parent.is_object()) return parent[key_] = std::move(value);
    parent.push_back(std::move(value));
    return parent.back();
  }

  nlohmann::json root_;
  std::vector<nlohmann::json*> open_;
  std::string key_;
};

}  // namespace

void read_strict_json(std::string_view text, JsonEvents& events) {
  // the parser takes a NUL for the end and skips a byte order mark
  const size_t nul = text.find('\0');
  require(nul == text.npos, "not valid JSON at byte {}: a NUL", nul);
  require(!text.starts_with("\xef\xbb\xbf"), "not valid JSON at byte 0: a byte order mark");
  Checker checker(events);
  nlohmann::json::sax_parse(text.begin(), text.end(), &checker);
}

nlohmann::json parse_strict_json(std::string_view text) {
  TreeBuilder builder;
  read_strict_json(text, builder);
  return builder.take();
}

nlohmann::json read_json(const std::filesystem::path& path) {
  const std::string text = read_file(path, kMaxJsonFile);
  return with_context(printable(path.string(), 400), [&] { return parse_strict_json(text); });
}

}  // namespace halftone
