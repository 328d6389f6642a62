// Examples that stand before an item (few-shot), drawn as lm-evaluation-harness draws them: one
// stream of random numbers a task, items in order.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "task/item_maker.h"
#include "task/python_random.h"

namespace halftone {

class Examples {
 public:
  // The task must outlive it. Errors: those of read_rows; fewer items than are drawn.
  Examples(const Task& task, const TaskFiles& files, size_t count);

  // Of the next item: each example's context and right choice, and a blank line. Errors: those of
  // ItemMaker.
  std::string before(const nlohmann::json& item);
  const std::string& sha256() const { return rows_.sha256; }

 private:
  static constexpr uint32_t kSeed = 1234;

  std::vector<size_t> draw(const nlohmann::json& item);

  TaskFiles files_;
  DataRows rows_;
  ItemMaker maker_;
  size_t count_;
  bool one_more_;
  PythonRandom random_{kSeed};
};

}  // namespace halftone
