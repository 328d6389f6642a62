// The scores of a task's items by a model and its reference, or the texts that both make of them,
// round by round, with what an items file holds already.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "evaluate/generate.h"
#include "evaluate/score_requests.h"
#include "pipeline/evaluate_tasks.h"

namespace halftone {

using ChoiceScores = std::vector<LogLikelihood>;

struct ItemScores {
  ChoiceScores model, reference;  // the latter empty without one
};

// What a model answers to an item.
struct ItemAnswer {
  std::string output, finish;          // finish: name_of(Finish)
  std::vector<std::string> extracted;  // one an extraction of the task
  std::vector<uint8_t> right;          // the same
};

struct ItemAnswers {
  ItemAnswer model, reference;  // the latter empty without one
};

class TaskRun {
 public:
  // All must outlive it.
  TaskRun(const TasksRequest& request, const OpenedModel& model, const OpenedModel* reference,
          const Execution& execution);

  // cut: grows by the prompts that were longer than the context.
  std::vector<ItemScores> score(const LocatedTask& located, const TaskItems& items,
                                Progress& progress, int64_t& cut);
  // The same of a task of generated texts.
  std::vector<ItemAnswers> answer(const LocatedTask& located, const TaskItems& items,
                                  Progress& progress, int64_t& cut);

 private:
  // A model that is asked.
  struct Side {
    Side(const OpenedModel& opened, const Execution& execution);

    const RequestScorer& scorer();  // made when first asked for
    HeldModel& held();              // the same

    const OpenedModel& opened;
    Execution execution;
    std::unique_ptr<const Tokenizer> tokenizer;
    RequestEncoder encoder;

   private:
    std::optional<RequestScorer> scorer_;
    std::unique_ptr<HeldModel> held_;
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
  using Prompts = std::vector<std::vector<TokenId>>;
  // Of the items that are answered, `cut` as above.
  Prompts prompts_of(const Side& side, const LocatedTask& located, const TaskItems& items,
                     const std::vector<size_t>& indices, int64_t& cut) const;
  // Answers prompts; `finish` takes each text, not judged yet, as soon as it is there.
  void answer_by(Side& side, const Task& task, std::span<const std::vector<TokenId>> prompts,
                 const std::function<void(size_t, ItemAnswer)>& finish,
                 const std::function<void()>& step);
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
