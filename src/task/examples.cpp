#include "task/examples.h"

#include <numeric>

#include "base/error.h"
#include "base/place.h"

namespace halftone {

Examples::Examples(const Task& task, const TaskFiles& files, size_t count)
    : files_(files),
      rows_(read_rows(files, 0)),
      maker_(task, rows_),
      count_(count),
      one_more_(task.draws_one_more) {
  require(rows_.rows.size() >= count_ + one_more_,
          "{}: expected more items than the {} examples of --shots, found {}", shown(files.items),
          count_, rows_.rows.size());
}

std::string Examples::before(const nlohmann::json& item) {
  std::string text;
  for (const size_t index : draw(item)) {
    const TaskItem example =
        with_path(files_.items, [&] { return maker_.item(rows_.rows[index]); });
    text += example.contexts[example.gold] + example.continuations[example.gold] + "\n\n";
  }
  return text;
}

std::vector<size_t> Examples::draw(const nlohmann::json& item) {
  std::vector<size_t> drawn = random_.sample(rows_.rows.size(), count_ + one_more_);
  if (!one_more_) return drawn;
  const auto is_item = [&](size_t index) { return rows_.rows[index].fields == item; };
  std::erase_if(drawn, is_item);
  if (drawn.size() < count_) {  // the item is there more than once: of all others
    std::vector<size_t> others(rows_.rows.size());
    std::iota(others.begin(), others.end(), size_t{0});
    std::erase_if(others, is_item);
    require(others.size() >= count_, "expected {} other items for --shots, found {}", count_,
            others.size());
    drawn.clear();
    for (const size_t at : random_.sample(others.size(), count_)) drawn.push_back(others[at]);
  }
  drawn.resize(count_);
  return drawn;
}

}  // namespace halftone
