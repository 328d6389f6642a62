#include "task/template.h"

#include <algorithm>

#include "base/error.h"
#include "task/fields.h"
#include "text/white_space.h"

namespace halftone {

Template::Template(std::string_view text, std::string where) : where_(std::move(where)), parts_(1) {
  while (!text.empty()) {
    const char c = text.front();
    const bool brace = c == '{' || c == '}';
    if (!brace || text.substr(0, 2) == std::string(2, c)) {  // {{ stands for {
      parts_.back().text += c;
      text.remove_prefix(brace ? 2 : 1);
      continue;
    }
    const size_t end = text.find('}');
    require(c == '{' && end != text.npos,
            "template: expected braces around each field, as in {{goal}} (a brace of its own is "
            "written twice), found \"{}\"",
            printable(text));
    add_field(text.substr(1, end - 1));
    text.remove_prefix(end + 1);
  }
}

void Template::add_field(std::string_view inside) {
  Part& part = parts_.back();
  for (size_t begin = 0; begin <= inside.size();) {
    const bool is_name = begin == 0;
    const size_t end = std::min(inside.find('|', begin), inside.size());
    const std::string_view step = stripped(inside.substr(begin, end - begin));
    begin = end + 1;
    if (!is_name) {
      part.filters.push_back(make_filter(step));
      continue;
    }
    require(!step.empty() && step.find_first_of(" \t\n{\"") == step.npos,
            "template: expected the name of a field in braces, found \"{}\"", printable(step));
    part.path = step;
  }
  parts_.emplace_back();
}

std::vector<std::string> Template::fields() const {
  std::vector<std::string> paths;
  for (const Part& part : parts_)
    if (!part.path.empty()) paths.push_back(part.path);
  return paths;
}

std::vector<std::string> Template::filled(const nlohmann::json& item, bool each) const {
  std::vector<std::string> texts(1);
  bool listed = false;
  for (const Part& part : parts_) {
    for (std::string& text : texts) text += part.text;
    if (part.path.empty()) continue;
    FieldValue value = find_value(item, part.path);
    require(!value.is_list || (each && !listed), "\"{}\": expected one text, found a list",
            part.path);
    if (value.is_list) texts.resize(value.texts.size(), texts.front());
    listed = listed || value.is_list;
    for (std::string& text : value.texts)
      for (const Filter& filter : part.filters) text = filter(text);
    for (size_t i = 0; i < texts.size(); ++i) texts[i] += value.texts[value.is_list ? i : 0];
  }
  require(listed || !each, "expected a field that is a list of choices, found none");
  return texts;
}

std::string Template::fill(const nlohmann::json& item) const {
  return with_context(where_, [&] { return filled(item, false).front(); });
}

std::vector<std::string> Template::fill_each(const nlohmann::json& item) const {
  return with_context(where_, [&] { return filled(item, true); });
}

std::vector<std::string> TemplateList::fill(const nlohmann::json& item) const {
  if (of_list_) return templates_.front().fill_each(item);
  std::vector<std::string> texts;
  for (const Template& each : templates_) texts.push_back(each.fill(item));
  return texts;
}

}  // namespace halftone
