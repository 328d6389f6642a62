// TOML -> Task.

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
      .context_filter = {},
      .gold = reader.one(require_key(table, "gold"), "gold"),
      .gold_among = {},
      .note = find_string(table, "note").value_or("")};
  if (const toml::node* node = table.get("context_filter"))
    item.context_filter = with_context(
        line_of(*node), [&] { return make_filter(require_string(*node, "context_filter")); });
  if (const toml::node* node = table.get("gold_among"))
    item.gold_among = reader.choices(*node, "gold_among");
  return item;
}

DataFiles parse_data(const toml::table& table) {
  require_known_keys(table, {"file", "labels"});
  return {require_string(require_key(table, "file"), "file"),
          find_string(table, "labels").value_or("")};
}

bool is_by_context(const toml::table& table) {
  const toml::node& kind = require_key(table, "kind");
  const std::string word = require_string(kind, "kind");
  require(word == "multiple_choice" || word == "partial",
          "{}: kind: expected \"multiple_choice\" or \"partial\", found \"{}\"", line_of(kind),
          printable(word));
  return word == "partial";
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
  require_known_keys(table, {"summary", "paper", "kind", "metrics", "delimiter", "data", "train",
                             "draw_one_more", "item"});
  Task task;
  task.name = name;
  task.summary = find_string(table, "summary").value_or("");
  task.paper = find_string(table, "paper").value_or("");
  task.by_context = is_by_context(table);
  task.normalized = has_normalized(table);
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
    task.items.push_back(parse_item(*item, task.by_context, reader));
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
