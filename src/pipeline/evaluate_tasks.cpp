#include "pipeline/evaluate_tasks.h"

#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "evaluate/task_statistics.h"
#include "pipeline/task_run.h"

namespace halftone {
namespace {

using nlohmann::json;

// Whether each item is decided rightly; any log-likelihood that is no number makes all of it none.
struct Decisions {
  std::vector<uint8_t> plain, normalized;
  bool finite = true;
};

Decisions decisions_of(const std::vector<TaskItem>& items, const std::vector<ItemScores>& scores,
                       ChoiceScores ItemScores::*side) {
  Decisions all;
  for (size_t i = 0; i < items.size(); ++i) {
    const ChoiceScores& choices = scores[i].*side;
    const Decision decision = decide(choices, items[i].lengths, items[i].gold);
    all.plain.push_back(decision.correct);
    all.normalized.push_back(decision.correct_normalized);
    for (const LogLikelihood& choice : choices)
      all.finite = all.finite && std::isfinite(choice.value);
  }
  return all;
}

void add_estimate(json& to, const std::string& name, const std::string& error_name,
                  const std::vector<uint8_t>& correct, bool finite) {
  const Estimate estimate = accuracy(correct);
  to[name] = finite ? estimate.value : std::numeric_limits<double>::quiet_NaN();
  to[error_name] = estimate.standard_error ? json(*estimate.standard_error) : json();
}

json accuracies(const Task& task, const Decisions& decisions) {
  json result = json::object();
  add_estimate(result, "acc", "stderr", decisions.plain, decisions.finite);
  if (task.normalized)
    add_estimate(result, "acc_norm", "acc_norm_stderr", decisions.normalized, decisions.finite);
  return result;
}

json flips_json(const std::vector<uint8_t>& before, const std::vector<uint8_t>& after) {
  const Flips flips = count_flips(before, after);
  return {{"right_to_wrong", flips.right_to_wrong},
          {"wrong_to_right", flips.wrong_to_right},
          {"p", flips.p}};
}

json choices_json(const Task& task, const TaskItems& items, const std::vector<ItemScores>& scores,
                  bool referred) {
  const auto of = [&](ChoiceScores ItemScores::*side) {
    return decisions_of(items.items, scores, side);
  };
  const Decisions own = of(&ItemScores::model);
  json result = accuracies(task, own);
  result["metric"] = task.normalized ? "acc_norm" : "acc";
  if (!referred) return result;
  const Decisions other = of(&ItemScores::reference);
  result["reference"] = accuracies(task, other);
  result["flips"] = task.normalized ? flips_json(other.normalized, own.normalized)
                                    : flips_json(other.plain, own.plain);
  return result;
}

// Of one extraction of generated texts, by its place.
struct RightAnswers {
  std::vector<uint8_t> right;
  bool finite = true;
};

RightAnswers right_answers(const std::vector<ItemAnswers>& answers, ItemAnswer ItemAnswers::*side,
                           size_t extraction) {
  RightAnswers all;
  for (const ItemAnswers& item : answers) {
    all.right.push_back((item.*side).right[extraction]);
    all.finite = all.finite && (item.*side).finish != name_of(Finish::kNotFinite);
  }
  return all;
}

json answers_json(const Task& task, const std::vector<ItemAnswers>& answers, bool referred) {
  const auto shares = [&](ItemAnswer ItemAnswers::*side) {
    json result = json::object();
    for (size_t i = 0; i < task.answers->extractions.size(); ++i) {
      const std::string& name = task.answers->extractions[i].name;
      const RightAnswers all = right_answers(answers, side, i);
      add_estimate(result, name, name + "_stderr", all.right, all.finite);
    }
    return result;
  };
  json result = shares(&ItemAnswers::model);
  result["metric"] = task.answers->extractions.front().name;
  if (!referred) return result;
  result["reference"] = shares(&ItemAnswers::reference);
  result["flips"] = flips_json(right_answers(answers, &ItemAnswers::reference, 0).right,
                               right_answers(answers, &ItemAnswers::model, 0).right);
  return result;
}

// The plain mean of every task's metric.
json mean_of(const json& tasks, bool referred) {
  const auto mean = [&](auto&& value) {
    double sum = 0;
    for (const auto& [name, task] : tasks.items()) sum += value(task);
    return sum / static_cast<double>(tasks.size());
  };
  const auto metric = [](const json& of, const json& task) {
    return of.at(task.at("metric").get<std::string>()).get<double>();
  };
  json result = {{"value", mean([&](const json& task) { return metric(task, task); })}};
  if (referred)
    result["reference"] =
        mean([&](const json& task) { return metric(task.at("reference"), task); });
  return result;
}

}  // namespace

std::vector<LocatedTask> locate_tasks(const TasksRequest& request) {
  std::vector<LocatedTask> located;
  std::set<std::string> names;
  for (const std::string& name : request.names) {
    Task task = find_task(name);
    require(names.insert(task.name).second, "--tasks: expected each task once, found {} twice",
            task.name);
    located.push_back(locate_task(std::move(task), request.data, request.shots));
  }
  return located;
}

std::vector<std::filesystem::path> inputs_of(const TasksRequest& request) {
  std::vector<std::filesystem::path> inputs;
  for (const LocatedTask& located : locate_tasks(request)) {
    for (const TaskFiles& files : {located.files, located.train})
      for (const std::filesystem::path& file : {files.items, files.labels})
        if (!file.empty()) inputs.push_back(file);
  }
  for (const std::filesystem::path name : request.names)
    if (name.extension() == ".toml") inputs.push_back(name);
  return inputs;
}

TaskResults evaluate_tasks(const TasksRequest& request, const OpenedModel& model,
                           const OpenedModel* reference, const Execution& execution,
                           Progress& progress) {
  const std::vector<LocatedTask> located = locate_tasks(request);
  std::vector<TaskItems> items;  // of all tasks before the first is run
  for (const LocatedTask& each : located) items.push_back(read_items(each, request.limit));
  TaskRun run(request, model, reference, execution);
  TaskResults results{json::object(), {}, {}};
  for (size_t i = 0; i < located.size(); ++i) {
    const Task& task = located[i].task;
    const bool referred = reference != nullptr;
    int64_t cut = 0;
    json result =
        task.answers ? answers_json(task, run.answer(located[i], items[i], progress, cut), referred)
                     : choices_json(task, items[i], run.score(located[i], items[i], progress, cut),
                                    referred);
    result["items"] = items[i].items.size();
    result["shots"] = located[i].shots;
    result["data_sha256"] = items[i].sha256;
    results.tasks[task.name] = std::move(result);
    if (!items[i].note.empty())
      results.notes.push_back(fmt::format("{}: {}", task.name, items[i].note));
    if (cut > 0)
      results.notes.push_back(fmt::format(
          "{}: {} prompts were longer than the context and cut from the left", task.name, cut));
  }
  results.mean = mean_of(results.tasks, reference != nullptr);
  return results;
}

}  // namespace halftone
