// Text made of an item's fields: "Question: {goal}\nAnswer:". A field is a path (task/fields.h) and
// filters (task/filters.h), "{ctx_b | capitalize}"; {{ and }} are braces.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "task/filters.h"

namespace halftone {

class Template {
 public:
  // where: of the text, for messages ("piqa.toml line 9"). Errors: braces that do not close, a
  // field without a name, those of make_filter.
  Template(std::string_view text, std::string where);

  // The paths of its fields, in order.
  std::vector<std::string> fields() const;
  const std::string& where() const { return where_; }

  // Errors: those of find_value and of the filters, behind `where`; a list where one text belongs.
  std::string fill(const nlohmann::json& item) const;
  // One text for each element of the one field that is a list. Errors besides: none is, or two.
  std::vector<std::string> fill_each(const nlohmann::json& item) const;

 private:
  struct Part {  // a text, and the field behind it, if any
    std::string text, path;
    std::vector<Filter> filters;
  };
  void add_field(std::string_view inside);
  std::vector<std::string> filled(const nlohmann::json& item, bool each) const;

  std::string where_;
  std::vector<Part> parts_;
};

// Several texts: a template each, or one template of a field that is a list.
class TemplateList {
 public:
  explicit TemplateList(std::vector<Template> each) : templates_(std::move(each)) {}
  static TemplateList of_list_field(Template one) {
    TemplateList list({std::move(one)});
    list.of_list_ = true;
    return list;
  }

  const std::vector<Template>& templates() const { return templates_; }
  std::vector<std::string> fill(const nlohmann::json& item) const;

 private:
  std::vector<Template> templates_;
  bool of_list_ = false;
};

}  // namespace halftone
