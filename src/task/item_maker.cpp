#include "task/item_maker.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "task/fields.h"

namespace halftone {
namespace {

using nlohmann::json;

// The layout that misses the fewest of an item's fields.
const ItemTemplate& layout_of(const Task& task, const json& item) {
  const auto missing = [&](const ItemTemplate& layout) {
    const std::vector<std::string> fields = layout.fields();
    return std::count_if(fields.begin(), fields.end(),
                         [&](const std::string& path) { return !has_field(item, path); });
  };
  return *std::ranges::min_element(task.items, {}, missing);
}

// One of several stands for all of `count`.
void spread(std::vector<std::string>& texts, size_t count) {
  if (texts.size() == 1) texts.resize(count, std::string(texts.front()));
}

int64_t code_points(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

size_t gold_of(const ItemTemplate& layout, const json& row, size_t choices) {
  std::vector<std::string> among;
  if (layout.gold_among)
    among = layout.gold_among->fill(row);
  else
    for (size_t i = 0; i < choices; ++i) among.push_back(std::to_string(i));
  require(among.size() == choices, "expected an answer for each of {} choices, found {}", choices,
          among.size());
  const std::string gold = layout.gold.fill(row);
  const auto at = std::find(among.begin(), among.end(), gold);
  require(at != among.end(), "answer \"{}\": expected one of {}", printable(gold),
          printable(fmt::format("{}", fmt::join(among, ", "))));
  return static_cast<size_t>(at - among.begin());
}

TaskItem make_item(const Task& task, const ItemTemplate& layout, const json& row) {
  TaskItem item;
  item.contexts = layout.contexts.fill(row);
  item.continuations = layout.continuations.fill(row);
  if (layout.context_filter)
    for (std::string& context : item.contexts) context = (*layout.context_filter)(context);
  for (const std::string& choice : task.by_context ? item.contexts : item.continuations)
    item.lengths.push_back(code_points(choice));
  if (task.answers) {
    item.answer = layout.gold.fill(row);
    item.continuations.front().insert(0, task.delimiter);
    return item;
  }
  const size_t choices = item.lengths.size();
  require(choices >= 2 || task.by_greed, "expected two choices or more, found {}", choices);
  spread(item.contexts, choices);
  spread(item.continuations, choices);
  for (std::string& continuation : item.continuations) continuation.insert(0, task.delimiter);
  item.gold = gold_of(layout, row, choices);
  return item;
}

}  // namespace

ItemMaker::ItemMaker(const Task& task, const DataRows& rows)
    : task_(task), layout_(layout_of(task, rows.rows.front().fields)) {}

TaskItem ItemMaker::item(const DataRow& row) const {
  return with_context(fmt::format("line {}", row.line), [&] {
    TaskItem item = make_item(task_, layout_, row.fields);
    item.line = row.line;
    return item;
  });
}

}  // namespace halftone
