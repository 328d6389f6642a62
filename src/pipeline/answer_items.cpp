// TaskRun, of tasks whose items are answered by generated texts.

#include <algorithm>
#include <span>

#include "base/error.h"
#include "base/place.h"
#include "pipeline/end_tokens.h"
#include "pipeline/task_run.h"
#include "task/answers.h"
#include "text/json_fields.h"

namespace halftone {
namespace {

constexpr size_t kItemsPerRound = 128;  // of each model, before its reference has its turn

ItemAnswer judged(const AnswerRules& rules, const TaskItem& item, std::string output,
                  std::string finish) {
  ItemAnswer answer{std::move(output), std::move(finish), {}, {}};
  for (const AnswerExtraction& extraction : rules.extractions) {
    answer.extracted.push_back(extracted(extraction, answer.output));
    answer.right.push_back(same_answer(rules, answer.extracted.back(), item.answer));
  }
  return answer;
}

// Of one item and one model, as an items file has it.
template <class Object>
void add_answer(Object& to, const AnswerRules& rules, const ItemAnswer& answer) {
  to["output"] = answer.output;
  to["finish"] = answer.finish;
  for (size_t i = 0; i < rules.extractions.size(); ++i) {
    to["extracted"][rules.extractions[i].name] = answer.extracted[i];
    to["exact_match"][rules.extractions[i].name] = int{answer.right[i]};
  }
}

ItemAnswer read_answer(const Json& from, const AnswerRules& rules, const TaskItem& item) {
  return judged(rules, item, string_field(from, "output"), string_field(from, "finish"));
}

nlohmann::ordered_json line_of(const Task& task, size_t index, const ItemAnswers& answers,
                               bool referred, const std::string& run) {
  nlohmann::ordered_json line = {{"task", task.name}, {"index", index}};
  add_answer(line, *task.answers, answers.model);
  if (referred) add_answer(line["reference"], *task.answers, answers.reference);
  line["run"] = run;
  return line;
}

// Takes the answers that a file's lines hold; returns the items, by their index, that it has none
// of.
std::vector<size_t> take_known(const std::map<int64_t, Json>& lines, const AnswerRules& rules,
                               const TaskItems& items, bool referred,
                               std::vector<ItemAnswers>& answers) {
  std::vector<size_t> pending;
  for (size_t i = 0; i < answers.size(); ++i) {
    const auto line = lines.find(static_cast<int64_t>(i));
    if (line == lines.end()) {
      pending.push_back(i);
      continue;
    }
    const TaskItem& item = items.items[i];
    answers[i].model = read_answer(line->second, rules, item);
    if (referred)
      answers[i].reference = read_answer(require_field(line->second, "reference"), rules, item);
  }
  return pending;
}

// As lm-evaluation-harness cuts: whatever stands at the begin, special tokens too.
bool cut_to(std::vector<TokenId>& prompt, int64_t length) {
  const auto excess = static_cast<int64_t>(prompt.size()) - length;
  if (excess > 0) prompt.erase(prompt.begin(), prompt.begin() + excess);
  return excess > 0;
}

}  // namespace

HeldModel& TaskRun::Side::held() {
  if (!held_) held_ = std::make_unique<HeldModel>(opened.model, execution);
  return *held_;
}

TaskRun::Prompts TaskRun::prompts_of(const Side& side, const LocatedTask& located,
                                     const TaskItems& items, const std::vector<size_t>& indices,
                                     int64_t& cut) const {
  const int64_t most = located.task.answers->max_tokens,
                context = side.opened.model.config().context, room = context - most;
  require(room >= 1, "task {}: {} tokens an answer, expected fewer than the model's context of {}",
          located.task.name, most, context);
  Prompts prompts;
  with_path(located.files.items, [&] {
    for (const size_t index : indices) {
      const TaskItem& item = items.items[index];
      with_context(fmt::format("line {}", item.line), [&] {
        std::vector<TokenId> ids = side.encoder.encode_prompt(item.contexts.front());
        require(request_.truncate || static_cast<int64_t>(ids.size()) <= room,
                "its prompt has {} tokens, expected at most {}, the model's context less {} for "
                "the answer: --truncate cuts such prompts from the left, as "
                "lm-evaluation-harness does",
                ids.size(), room, most);
        cut += cut_to(ids, room);
        prompts.push_back(std::move(ids));
      });
    }
  });
  return prompts;
}

void TaskRun::answer_by(Side& side, const Task& task, std::span<const std::vector<TokenId>> prompts,
                        const std::function<void(size_t, ItemAnswer)>& finish,
                        const std::function<void()>& step) {
  const GenerationOptions options{.max_tokens = task.answers->max_tokens,
                                  .stops = task.answers->stops,
                                  .ends = end_tokens(side.opened),
                                  .goes_on = false};
  generate(side.held(), *side.tokenizer, options, prompts,
           {.grown = {},
            .finished =
                [&](size_t at, GeneratedText text) {
                  finish(at, {std::move(text.text), name_of(text.finish), {}, {}});
                },
            .step = step});
}

std::vector<ItemAnswers> TaskRun::answer(const LocatedTask& located, const TaskItems& items,
                                         Progress& progress, int64_t& cut) {
  const Task& task = located.task;
  const AnswerRules& rules = *task.answers;
  const std::string run = identity(located, items);
  std::vector<ItemAnswers> result(items.items.size());
  const std::vector<size_t> pending =
      take_known(file_.lines_of(task.name, run), rules, items, reference_.has_value(), result);
  int64_t cut_for_reference = 0, done = 0;
  const Prompts prompts = prompts_of(model_, located, items, pending, cut);
  Prompts for_reference;
  if (reference_)
    for_reference = prompts_of(*reference_, located, items, pending, cut_for_reference);
  if (pending.empty()) return result;
  progress.begin(fmt::format("evaluate {}", task.name),
                 static_cast<int64_t>(pending.size()) * (reference_ ? 2 : 1));
  for (size_t begin = 0; begin < pending.size(); begin += kItemsPerRound) {
    const size_t count = std::min(kItemsPerRound, pending.size() - begin);
    const auto ask = [&](Side& side, const Prompts& all, ItemAnswer ItemAnswers::*answer,
                         bool is_last) {
      const auto finish = [&](size_t at, ItemAnswer found) {
        const size_t index = pending[begin + at];
        result[index].*answer =
            judged(rules, items.items[index], std::move(found.output), std::move(found.finish));
        ++done;
        if (is_last)
          file_.append({line_of(task, index, result[index], reference_.has_value(), run)});
      };
      answer_by(side, task, std::span(all).subspan(begin, count), finish,
                [&] { progress.update(done, fmt::format("from item {} on", pending[begin])); });
    };
    ask(model_, prompts, &ItemAnswers::model, !reference_);
    if (reference_) ask(*reference_, for_reference, &ItemAnswers::reference, true);
  }
  progress.end();
  return result;
}

}  // namespace halftone
