// Aligned text tables: the first column to the left, the others to the right.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace halftone {

class TextTable {
 public:
  enum class Align { kLeft, kRight };

  // Columns behind the first are aligned as `others` says.
  explicit TextTable(Align others = Align::kRight) : others_(others) {}

  // Rows may be of different lengths. Control characters are shown escaped.
  void add_row(const std::vector<std::string>& cells);
  // A line of dashes below the rows so far.
  void add_rule() { rules_.push_back(rows_.size()); }

  // Every row on a line of its own, two spaces between columns, none at the end of a line.
  std::string text() const;

 private:
  Align others_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<size_t> rules_;  // row numbers above which a line of dashes goes
};

// Columns that a UTF-8 text takes: one a code point.
size_t text_width(std::string_view text);

}  // namespace halftone
