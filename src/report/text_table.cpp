#include "report/text_table.h"

#include <algorithm>

#include "base/error.h"

namespace halftone {
namespace {

constexpr size_t kWidestCell = 400;
constexpr size_t kColumnGap = 2;

std::vector<size_t> column_widths(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], text_width(row[i]));
  }
  return widths;
}

std::string without_trailing_spaces(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + '\n';
}

}  // namespace

size_t text_width(std::string_view text) {
  const auto starts_character = [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  };
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

void TextTable::add_row(const std::vector<std::string>& cells) {
  auto& row = rows_.emplace_back();
  for (const std::string& cell : cells) row.push_back(printable(cell, kWidestCell));
}

std::string TextTable::text() const {
  const std::vector<size_t> widths = column_widths(rows_);
  size_t total = 0;
  for (const size_t width : widths) total += width + (total > 0 ? kColumnGap : 0);
  std::string out;
  for (size_t r = 0; r < rows_.size(); ++r) {
    if (std::count(rules_.begin(), rules_.end(), r) > 0) out += std::string(total, '-') + '\n';
    std::string line;
    for (size_t i = 0; i < rows_[r].size(); ++i) {
      const std::string padding(widths[i] - text_width(rows_[r][i]), ' ');
      const bool left = i == 0 || others_ == Align::kLeft;
      if (i > 0) line.append(kColumnGap, ' ');
      line += left ? rows_[r][i] + padding : padding + rows_[r][i];
    }
    out += without_trailing_spaces(std::move(line));
  }
  return out;
}

}  // namespace halftone
