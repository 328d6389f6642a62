#include "pipeline/task_run.h"

#include <limits>
#include <span>

#include "base/error.h"
#include "base/place.h"
#include "base/sha256.h"
#include "evaluate/task_statistics.h"
#include "pipeline/model_tokenizer.h"
#include "pipeline/output_place.h"
#include "text/json_fields.h"

namespace halftone {
namespace {

constexpr size_t kRunDigits = 16;

std::string short_hash(const std::string& text) {
  return sha256_hex(std::as_bytes(std::span(text))).substr(0, kRunDigits);
}

// Of one item and one model, as an items file has it.
template <class Object>
void add_scores(Object& to, const TaskItem& item, const ChoiceScores& scores, bool normalized) {
  for (const LogLikelihood& choice : scores) {
    to["loglikelihoods"].push_back(choice.value);
    to["is_greedy"].push_back(choice.is_greedy);
  }
  const Decision decision = decide(scores, item.lengths, item.gold);
  to["acc"] = int{decision.correct};
  if (normalized) to["acc_norm"] = int{decision.correct_normalized};
}

ChoiceScores read_scores(const Json& from, size_t choices) {
  const Json &values = array_field(from, "loglikelihoods"),
             &greedy = array_field(from, "is_greedy");
  require(values.size() == choices && greedy.size() == choices,
          "expected {} log-likelihoods, found {}", choices, values.size());
  ChoiceScores scores;
  for (size_t i = 0; i < choices; ++i) {
    require((values[i].is_number() || values[i].is_null()) && greedy[i].is_boolean(),
            "expected numbers and whether they are greedy, found something else");
    scores.push_back(
        {values[i].is_null() ? std::numeric_limits<double>::quiet_NaN() : values[i].get<double>(),
         greedy[i].get<bool>()});
  }
  return scores;
}

// What an items file has of an item.
nlohmann::ordered_json line_of(const Task& task, const TaskItem& item, size_t index,
                               const ItemScores& scores, const std::string& run) {
  nlohmann::ordered_json line = {{"task", task.name}, {"index", index}, {"gold", item.gold}};
  add_scores(line, item, scores.model, task.normalized);
  if (!scores.reference.empty())
    add_scores(line["reference"], item, scores.reference, task.normalized);
  line["run"] = run;
  return line;
}

ItemScores read_item(const Json& line, const TaskItem& item, bool referred) {
  const size_t choices = item.lengths.size();
  ItemScores scores{read_scores(line, choices), {}};
  if (referred) scores.reference = read_scores(require_field(line, "reference"), choices);
  return scores;
}

}  // namespace

TaskRun::Side::Side(const OpenedModel& model, const Execution& on)
    : opened(model),
      execution(on),
      tokenizer(open_model_tokenizer(model.path)),
      encoder(*tokenizer, model.model.config().vocab) {}

const RequestScorer& TaskRun::Side::scorer() {
  if (!scorer_) scorer_.emplace(opened.model, execution);
  return *scorer_;
}

TaskRun::TaskRun(const TasksRequest& request, const OpenedModel& model,
                 const OpenedModel* reference, const Execution& execution)
    : request_(request), model_(model, execution) {
  if (reference != nullptr) reference_.emplace(*reference, execution);
  if (request.items.empty()) return;
  std::vector<std::filesystem::path> inputs = inputs_of(request);
  for (const OpenedModel* each : {&model, reference})
    if (each != nullptr)
      for (const std::filesystem::path& file : files_of_model(each->path)) inputs.push_back(file);
  file_ = ItemsFile(request.items, request.resume, inputs);
  fingerprint_ = fmt::format("{}\n{}\n{}\n{}", model.fingerprint(),
                             reference ? reference->fingerprint() : "none",
                             dtype_name(execution.dtype), request.truncate);
}

std::string TaskRun::identity(const LocatedTask& located, const TaskItems& items) const {
  return short_hash(fmt::format("{}\n{}\n{}", fingerprint_, items.sha256, located.task.toml));
}

std::vector<RequestGroup> TaskRun::encode(const Side& side, const LocatedTask& located,
                                          const TaskItems& items, int64_t& cut) const {
  const int64_t context = side.opened.model.config().context;
  const auto encode_choice = [&](const TaskItem& item, size_t choice) {
    TokenRequest request = side.encoder.encode(item.contexts[choice], item.continuations[choice]);
    const int64_t length = longest_input({request});
    require(request_.truncate || length <= context,
            "its prompt with choice {} has {} tokens, expected at most {}, the model's context: "
            "--truncate cuts such prompts from the left, as lm-evaluation-harness does",
            choice, length, context);
    cut += cut_to(request, context);
    return request;
  };
  std::vector<RequestGroup> groups(items.items.size());
  with_path(located.files.items, [&] {
    for (size_t i = 0; i < groups.size(); ++i)
      with_context(fmt::format("line {}", items.items[i].line), [&] {
        for (size_t choice = 0; choice < items.items[i].contexts.size(); ++choice)
          groups[i].push_back(encode_choice(items.items[i], choice));
      });
  });
  return groups;
}

std::vector<ItemScores> TaskRun::score(const LocatedTask& located, const TaskItems& items,
                                       Progress& progress, int64_t& cut) {
  const size_t count = items.items.size();
  std::vector<ItemScores> result(count);
  const std::string run = identity(located, items);
  const auto known = file_.lines_of(located.task.name, run);
  int64_t cut_for_reference = 0;
  auto groups = encode(model_, located, items, cut);
  auto for_reference = reference_ ? encode(*reference_, located, items, cut_for_reference)
                                  : std::vector<RequestGroup>();
  Pending pending;
  for (size_t i = 0; i < count; ++i) {
    if (const auto line = known.find(static_cast<int64_t>(i)); line != known.end()) {
      result[i] = read_item(line->second, items.items[i], reference_.has_value());
      continue;
    }
    pending.indices.push_back(i);
    pending.groups.push_back(std::move(groups[i]));
    if (reference_) pending.for_reference.push_back(std::move(for_reference[i]));
  }
  score_pending(pending, located.task, progress, [&](size_t index, ItemScores scores) {
    result[index] = std::move(scores);
    return line_of(located.task, items.items[index], index, result[index], run);
  });
  return result;
}

void TaskRun::score_pending(const Pending& pending, const Task& task, Progress& progress,
                            const std::function<Line(size_t, ItemScores)>& finish) {
  const std::span<const RequestGroup> groups = pending.groups;
  if (groups.empty()) return;
  std::vector<size_t> rounds;  // items in each
  for (size_t begin = 0; begin < groups.size(); begin += rounds.back())
    rounds.push_back(model_.scorer().groups_in_round(groups.subspan(begin)));
  int64_t layers = model_.opened.model.config().layers, done = 0;
  if (reference_) layers += reference_->opened.model.config().layers;
  progress.begin(fmt::format("evaluate {}", task.name),
                 static_cast<int64_t>(rounds.size()) * layers);
  size_t begin = 0;
  for (const size_t count : rounds) {
    const auto score = [&](Side& side, std::span<const RequestGroup> all) {
      return side.scorer().score(all.subspan(begin, count), [&](int64_t block) {
        progress.update(++done, fmt::format("item {}, block {}", pending.indices[begin], block));
      });
    };
    std::vector<ChoiceScores> own = score(model_, groups), other(count);
    if (reference_) other = score(*reference_, pending.for_reference);
    std::vector<Line> lines;
    for (size_t i = 0; i < count; ++i)
      lines.push_back(finish(pending.indices[begin + i], {std::move(own[i]), std::move(other[i])}));
    file_.append(lines);
    begin += count;
  }
  progress.end();
}

}  // namespace halftone
