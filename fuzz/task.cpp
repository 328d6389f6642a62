// A task's file, and one item through it.
#include "task/task.h"

#include "fuzz_entry.h"
#include "task/item_maker.h"

namespace {

const halftone::DataRows& rows() {
  static const halftone::DataRows rows{
      .rows = {{1, nlohmann::json::parse(R"({"goal": "a", "sol1": "b", "sol2": "c", "label": 1,
        "question": "q", "answer": "a #### 4", "answerKey": "B", "ctx_a": "x", "ctx_b": "y",
        "choices": {"text": ["u", "v"], "label": ["A", "B"]}, "endings": ["e", "f"],
        "activity_label": "z", "sentence": "s _ t", "option1": "o", "option2": "p"})")}},
      .sha256 = {}};
  return rows;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  return fuzz::check([&] {
    const Task task = parse_task(fuzz::text_of(data, size), "fuzz");
    const ItemMaker maker(task, rows());
    (void)maker.item(rows().rows.front());
  });
}
