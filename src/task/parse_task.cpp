// TOML -> Task.

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/toml_keys.h"
#include "task/task.h"

namespace halftone {
namespace {

// Makes templates of one file's texts.
struct TemplateReader {
  std::string file;  // "piqa.toml"

  Template one(const toml::node& node, const char* key) const {
    const std::string text = require_string(node, key);
    return with_context(fmt::format("{}: {}", line_of(node), key),
                        [&] { return Template(text, fmt::format("{} {}", file, line_of(node))); });
  }
  TemplateList list(const toml::node& node, const char* key) const {
    std::vector<Template> each;
    for (const toml::node* element : require_list(node, key)) each.push_back(one(*element, key));
    return TemplateList(std::move(each));
  }
  // A list of templates, or one template of a list.
  TemplateList choices(const toml::node& node, const char* key) const {
    return node.is_string() ? TemplateList::of_list_field(one(node, key)) : list(node, key);
  }
  TemplateList single(const toml::node& node, const char* key) const {
    return TemplateList({one(node, key)});
  }
};

std::optional<Filter> filter_of(const toml::table& table) {
  const toml::node* node = table.get("context_filter");
  if (node == nullptr) return std::nullopt;
  return with_context(line_of(*node),
                      [&] { return make_filter(require_string(*node, "context_filter")); });
}

ItemTemplate parse_item(const toml::table& table, bool by_context, const TemplateReader& reader) {
  const char* contexts = by_context ? "contexts" : "context";
  const char* continuations = by_context ? "continuation" : "choices";
  require_known_keys(table,
                     {contexts, continuations, "context_filter", "gold", "gold_among", "note"});
  const toml::node &left = require_key(table, contexts), &right = require_key(table, continuations);
  ItemTemplate item{
      .contexts = by_context ? reader.choices(left, contexts) : reader.single(left, contexts),
      .continuations =
          by_context ? reader.single(right, continuations) : reader.choices(right, continuations),
      .context_filter = filter_of(table),
      .gold = reader.one(require_key(table, "gold"), "gold"),
      .gold_among = {},
      .note = find_string(table, "note").value_or("")};
  if (const toml::node* node = table.get("gold_among"))
    item.gold_among = reader.choices(*node, "gold_among");
  return item;
}

ItemTemplate parse_continued_item(const toml::table& table, const TemplateReader& reader) {
  require_known_keys(table, {"context", "context_filter", "continuation", "note"});
  return {.contexts = reader.single(require_key(table, "context"), "context"),
          .continuations = reader.single(require_key(table, "continuation"), "continuation"),
          .context_filter = filter_of(table),
          .gold = Template("0", reader.file),
          .gold_among = {},
          .note = find_string(table, "note").value_or("")};
}

ItemTemplate parse_answered_item(const toml::table& table, const TemplateReader& reader) {
  require_known_keys(table, {"context", "context_filter", "answer", "note"});
  const toml::node &context = require_key(table, "context"), &answer = require_key(table, "answer");
  return {.contexts = reader.single(context, "context"),
          .continuations = reader.single(answer, "answer"),
          .context_filter = filter_of(table),
          .gold = reader.one(answer, "answer"),
          .gold_among = {},
          .note = find_string(table, "note").value_or("")};
}

DataFiles parse_data(const toml::table& table) {
  require_known_keys(table, {"file", "labels"});
  return {require_string(require_key(table, "file"), "file"),
          find_string(table, "labels").value_or("")};
}

std::string kind_of_task(const toml::table& table) {
  const toml::node& kind = require_key(table, "kind");
  const std::string word = require_string(kind, "kind");
  constexpr std::string_view kKinds[] = {"multiple_choice", "partial", "continuation",
                                         "generation"};
  require(std::ranges::find(kKinds, word) != std::end(kKinds),
          "{}: kind: expected one of {}, found \"{}\"", line_of(kind), fmt::join(kKinds, ", "),
          printable(word));
  return word;
}

// A whole number in [least, kMost], where the key is there.
std::optional<int64_t> find_count(const toml::table& table, const char* key, int64_t least) {
  constexpr int64_t kMost = 1000000;
  const toml::node* node = table.get(key);
  if (node == nullptr) return std::nullopt;
  const std::optional<int64_t> found = node->is_integer() ? node->value<int64_t>() : std::nullopt;
  require(found && *found >= least && *found <= kMost,
          "{}: {}: expected a whole number from {} to {}", line_of(*node), key, least, kMost);
  return found;
}

std::shared_ptr<const Pattern> pattern_of(const toml::node& node, const char* key) {
  return with_context(fmt::format("{}: {}", line_of(node), key),
                      [&] { return regex_pattern(require_string(node, key)); });
}

// Keys of a task's results.
constexpr std::string_view kTaken[] = {"items", "metric", "reference", "flips", "shots"};

AnswerExtraction parse_extraction(const toml::table& table) {
  require_known_keys(table, {"name", "find", "take"});
  const toml::node& name = require_key(table, "name");
  AnswerExtraction extraction;
  extraction.name = require_string(name, "name");
  require(!extraction.name.empty() &&
              extraction.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") ==
                  std::string::npos &&
              std::ranges::find(kTaken, extraction.name) == std::end(kTaken),
          "{}: name: expected small letters, digits and _, and none of {}, found \"{}\"",
          line_of(name), fmt::join(kTaken, ", "), printable(extraction.name));
  extraction.pattern = pattern_of(require_key(table, "find"), "find");
  if (const toml::node* node = table.get("take")) {
    const std::string word = require_string(*node, "take");
    require(word == "first" || word == "last",
            "{}: take: expected \"first\" or \"last\", found \"{}\"", line_of(*node),
            printable(word));
    extraction.takes_last = word == "last";
  }
  return extraction;
}

AnswerRules parse_answers(const toml::table& table) {
  AnswerRules rules;
  rules.max_tokens = find_count(table, "max_tokens", 1).value_or(rules.max_tokens);
  if (const toml::node* stops = table.get("stops"))
    for (const toml::node* each : require_list(*stops, "stops")) {
      rules.stops.push_back(require_string(*each, "stops"));
      require(!rules.stops.back().empty(), "{}: stops: expected texts, found an empty one",
              line_of(*each));
    }
  for (const toml::table* each : require_tables(table, "extract")) {
    rules.extractions.push_back(parse_extraction(*each));
    const std::string& name = rules.extractions.back().name;
    require(std::ranges::count(rules.extractions, name, &AnswerExtraction::name) == 1,
            "{}: name: expected each once, found {} twice", line_of(*each), name);
  }
  if (const toml::node* ignored = table.get("ignore"))
    for (const toml::node* each : require_list(*ignored, "ignore"))
      rules.ignored.push_back(pattern_of(*each, "ignore"));
  return rules;
}

bool has_normalized(const toml::table& table) {
  bool normalized = false;
  for (const toml::node* metric : require_list(require_key(table, "metrics"), "metrics")) {
    const std::string word = require_string(*metric, "metrics");
    require(word == "acc" || word == "acc_norm",
            "{}: metrics: expected \"acc\" and \"acc_norm\", found \"{}\"", line_of(*metric),
            printable(word));
    normalized = normalized || word == "acc_norm";
  }
  return normalized;
}

Task read_task(const toml::table& table, const std::string& name) {
  const std::string kind = kind_of_task(table);
  const bool generated = kind == "generation";
  if (generated)
    require_known_keys(
        table, {"summary", "paper", "kind", "stops", "max_tokens", "extract", "ignore", "delimiter",
                "shots", "data", "train", "draw_one_more", "item"});
  else
    require_known_keys(table, {"summary", "paper", "kind", "metrics", "delimiter", "shots", "data",
                               "train", "draw_one_more", "item"});
  Task task;
  task.name = name;
  task.summary = find_string(table, "summary").value_or("");
  task.paper = find_string(table, "paper").value_or("");
  task.by_context = kind == "partial";
  task.by_greed = kind == "continuation";
  if (generated)
    task.answers = parse_answers(table);
  else
    task.normalized = has_normalized(table);
  if (task.by_greed && task.normalized)
    fail("{}: metrics: acc_norm compares choices, a continuation is one",
         line_of(require_key(table, "metrics")));
  task.shots = find_count(table, "shots", 0).value_or(0);
  task.delimiter = find_string(table, "delimiter").value_or(" ");
  for (const toml::table* data : require_tables(table, "data"))
    task.data.push_back(parse_data(*data));
  if (table.get("train"))
    for (const toml::table* data : require_tables(table, "train"))
      task.train.push_back(parse_data(*data));
  if (const toml::node* node = table.get("draw_one_more")) {
    require(node->is_boolean(), "{}: draw_one_more: expected true or false", line_of(*node));
    task.draws_one_more = node->as_boolean()->get();
  }
  const TemplateReader reader{printable(name) + ".toml"};
  for (const toml::table* item : require_tables(table, "item"))
    task.items.push_back(generated       ? parse_answered_item(*item, reader)
                         : task.by_greed ? parse_continued_item(*item, reader)
                                         : parse_item(*item, task.by_context, reader));
  return task;
}

}  // namespace

std::vector<std::string> ItemTemplate::fields() const {
  std::vector<std::string> paths = gold.fields();
  const auto add = [&](const TemplateList& list) {
    for (const Template& one : list.templates())
      for (const std::string& path : one.fields()) paths.push_back(path);
  };
  add(contexts);
  add(continuations);
  if (gold_among) add(*gold_among);
  return paths;
}

Task parse_task(std::string_view toml, std::string name) {
  Task task = read_task(parse_toml(toml), name);
  task.toml = toml;
  return task;
}

}  // namespace halftone
