// Tasks: how the items of a data file become contexts and continuations whose log-likelihoods
// decide, or contexts and an answer that a generated text is searched for. A task is data
// (tasks/NAME.toml); what its keys mean: interface.md 6.1. Scoring is lm-evaluation-harness's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "task/template.h"
#include "text/pattern.h"

namespace halftone {

// Files that belong together; names are looked for in one folder.
struct DataFiles {
  std::string items;   // JSON lines
  std::string labels;  // a line an item, which becomes its field "label"; empty: none
};

// How an item is laid out.
struct ItemTemplate {
  TemplateList contexts, continuations;    // one of either stands for all choices
  std::optional<Filter> context_filter;    // of the whole context
  Template gold;                           // the right choice, one of gold_among; or the answer
  std::optional<TemplateList> gold_among;  // a text a choice; none: 0, 1, 2, ...
  std::string note;                        // what a user of such items should know

  std::vector<std::string> fields() const;  // paths of all that it reads
};

// How an answer is found in a generated text.
struct AnswerExtraction {
  std::string name;  // a key of reports: "strict_match"
  std::shared_ptr<const Pattern> pattern;
  bool takes_last = false;  // of its matches, not the first
};

// Of tasks whose items are answered by a text that the model makes.
struct AnswerRules {
  int64_t max_tokens = 256;
  std::vector<std::string> stops;             // a text ends before the first that comes up
  std::vector<AnswerExtraction> extractions;  // one at least; the first is the metric
  std::vector<std::shared_ptr<const Pattern>> ignored;  // deleted before answers are compared
};

struct Task {
  std::string name, summary, paper, toml;  // toml: the whole file
  std::filesystem::path folder;            // of the file; empty for one that is built in
  bool normalized = false;                 // acc_norm is defined
  bool by_context = false;                 // choices differ in what stands before the continuation
  bool by_greed = false;                   // one continuation: right where it is the likeliest text
  std::optional<AnswerRules> answers;      // of generated texts; none: choices are scored
  int64_t shots = 0;                       // examples before each item, where nothing else is asked
  std::string delimiter = " ";             // between context and continuation, or answer
  std::vector<DataFiles> data;             // the first whose files are there is read
  std::vector<DataFiles> train;            // the same of the items that are examples
  bool draws_one_more = false;             // of examples, and leaves out the item itself
  std::vector<ItemTemplate> items;         // the first whose fields the file has is used
};

// Errors, with the line: not TOML, a key or word that is unknown or missing, a template that is
// none.
Task parse_task(std::string_view toml, std::string name);

// The tasks that come with the program (tasks/*.toml, embedded at build time): name and TOML text,
// sorted.
const std::vector<std::pair<std::string, std::string>>& builtin_tasks();

std::string task_names();  // "arc_challenge, arc_easy, ..."

// One of them, or a .toml file. Errors: unknown (it lists the known ones), those of parse_task.
Task find_task(const std::string& name_or_file);

}  // namespace halftone
