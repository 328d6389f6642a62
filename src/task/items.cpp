#include "task/items.h"

#include <optional>
#include <span>

#include "base/error.h"
#include "base/place.h"
#include "base/sha256.h"
#include "task/examples.h"

namespace halftone {

LocatedTask locate_task(Task task, const std::filesystem::path& folder,
                        std::optional<int64_t> shots) {
  const std::filesystem::path place = folder.empty() ? task.folder : folder;
  require(!place.empty(), "task {}: expected --task-data DIR, a folder with {}", task.name,
          names_of(task.data));
  LocatedTask located{std::move(task), {}, {}, 0};
  located.shots = shots.value_or(located.task.shots);
  located.files = find_files(located.task, located.task.data, place);
  if (located.shots == 0) return located;
  require(!located.task.train.empty(), "--shots {}: task {} names no [[train]] files",
          located.shots, located.task.name);
  located.train = find_files(located.task, located.task.train, place);
  return located;
}

TaskItems read_items(const LocatedTask& located, int64_t limit) {
  const DataRows rows = read_rows(located.files, limit);
  std::optional<Examples> examples;
  if (located.shots > 0)
    examples.emplace(located.task, located.train, static_cast<size_t>(located.shots));
  const ItemMaker maker(located.task, rows);
  TaskItems all{{}, rows.sha256, maker.note()};
  if (examples) {
    const std::string all_hashes =
        fmt::format("{}{}{}", all.sha256, examples->sha256(), located.shots);
    all.sha256 = sha256_hex(std::as_bytes(std::span(all_hashes)));
  }
  with_path(located.files.items, [&] {
    for (const DataRow& row : rows.rows) {
      TaskItem& item = all.items.emplace_back(maker.item(row));
      if (!examples) continue;
      const std::string before = examples->before(row.fields);
      for (std::string& context : item.contexts) context.insert(0, before);
    }
  });
  return all;
}

}  // namespace halftone
