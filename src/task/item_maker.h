// A row of a data file -> an item, by the layout of its task that the file has.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "task/data_rows.h"
#include "task/task.h"

namespace halftone {

struct TaskItem {
  int64_t line = 0;                                  // of the data file, from 1
  std::vector<std::string> contexts, continuations;  // a choice each, the delimiter in front; of
                                                     // generated texts the answer alone
  std::vector<int64_t> lengths;  // of the choices as the file has them, in code points
  size_t gold = 0;
  std::string answer = {};  // the right one as the file has it, where texts are generated
};

class ItemMaker {
 public:
  // The first row decides the layout. The task must outlive it.
  ItemMaker(const Task& task, const DataRows& rows);

  // Errors, with the line: a field that is missing or no text, an answer that is none of the
  // choices, fewer than two choices.
  TaskItem item(const DataRow& row) const;
  const std::string& note() const { return layout_.note; }

 private:
  const Task& task_;
  const ItemTemplate& layout_;
};

}  // namespace halftone
