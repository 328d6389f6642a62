// The scores of a task's items by a model and its reference, round by round, with what an items
// file holds already.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "evaluate/score_requests.h"
#include "pipeline/evaluate_tasks.h"

namespace halftone {

using ChoiceScores = std::vector<LogLikelihood>;

struct ItemScores {
  ChoiceScores model, reference;  // the latter empty without one
};

struct TaskScores {
  std::vector<ItemScores> items;
  int64_t cut = 0;  // prompts that were longer than the context
};

class TaskRun {
 public:
  // All must outlive it.
  TaskRun(const TasksRequest& request, const OpenedModel& model, const OpenedModel* reference,
          const Execution& execution);

  TaskScores score(const LocatedTask& located, const TaskItems& items, Progress& progress);

 private:
  // A model that is asked.
  struct Side {
    Side(const OpenedModel& opened, const Execution& execution);

    const OpenedModel& opened;
    std::unique_ptr<const Tokenizer> tokenizer;
    RequestEncoder encoder;
    RequestScorer scorer;
  };
  using Line = nlohmann::ordered_json;
  // Items that no items file holds.
  struct Pending {
    std::vector<size_t> indices;
    std::vector<RequestGroup> groups, for_reference;
  };

  // The requests of every item. cut: grows by those that were longer than the context.
  std::vector<RequestGroup> encode(const Side& side, const LocatedTask& located,
                                   const TaskItems& items, int64_t& cut) const;
  std::string identity(const LocatedTask& located, const TaskItems& items) const;
  // `finish` takes the scores of an item, by its index, and gives its line.
  void score_pending(const Pending& pending, const Task& task, Progress& progress,
                     const std::function<Line(size_t, ItemScores)>& finish);

  const TasksRequest& request_;
  std::string fingerprint_;  // of the models and how they are run; empty without an items file
  Side model_;
  std::optional<Side> reference_;
  ItemsFile file_;
};

}  // namespace halftone
