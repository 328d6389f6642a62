// Everything that is decided before a model is opened: help, exit statuses, messages.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/run_program.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using halftone::testing::Arguments;
using halftone::testing::Outcome;
using halftone::testing::run_forked;
using halftone::testing::run_halftone;
using halftone::testing::run_halftone_in_shell;
using halftone::testing::TemporaryFolder;

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// The run fails with `status`, prints nothing on stdout and one line with `part` on stderr.
void expect_failure(const Arguments& arguments, int status, std::string_view part) {
  const Outcome outcome = run_forked(arguments);
  EXPECT_EQ(outcome.status, status) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(contains(outcome.err, part)) << outcome.err << "expected: " << part;
  EXPECT_EQ(outcome.err.rfind("halftone: ", 0), 0u) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
}

Arguments operator+(Arguments left, const Arguments& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

const Arguments kQuantize = {"quantize", "no-such-model", "--out", "no-such-out"};
const Arguments kRtn = kQuantize + Arguments{"--recipe", "rtn"};
const Arguments kEvaluate = {"evaluate", "no-such-model", "--text", "no-such-text.txt"};

TEST(CommandLine, HelpGoesToStdoutAndShowsExamples) {
  const Outcome help = run_halftone({"--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_TRUE(contains(help.out, "Examples:"));
  for (const char* command :
       {"quantize", "plan", "evaluate", "compare", "inspect", "tokenize", "recipes", "version"}) {
    EXPECT_TRUE(contains(help.out, command)) << command;
    const Outcome own = run_forked({command, "--help"});
    EXPECT_EQ(own.status, 0) << command;
    EXPECT_EQ(own.err, "") << command;
    EXPECT_FALSE(own.out.empty()) << command;
  }
  EXPECT_TRUE(contains(run_forked({"quantize", "--help"}).out, "Examples:"));
}

TEST(CommandLine, VersionNamesItsParts) {
  const Outcome version = run_halftone({"version"});
  EXPECT_EQ(version.status, 0);
  for (const char* part :
       {"halftone 0.", "libtorch 2.", "devices cpu", "instructions ", "products ", "compute "})
    EXPECT_TRUE(contains(version.out, part)) << version.out;
  EXPECT_EQ(run_forked({"--version"}).status, 0);
}

TEST(CommandLine, WrongCommandLinesExitWithTwo) {
  EXPECT_EQ(run_halftone({"quantise"}).status, 2);
  expect_failure({}, 2, "expected a command: quantize, plan, evaluate, ");
  expect_failure({"quantise"}, 2, "unknown command quantise (did you mean quantize?); commands: ");
  expect_failure({"quantize"}, 2, "required");
  expect_failure({"quantize", "m"}, 2, "--out is required");
  expect_failure({"evaluate", "m"}, 2, "--text is required");
  expect_failure(kEvaluate + Arguments{"--lenght", "3"}, 2, "--lenght");
  expect_failure(kEvaluate + Arguments{"--length"}, 2, "--length");
  expect_failure(kEvaluate + Arguments{"one-more"}, 2, "one-more");
  expect_failure(kEvaluate + Arguments{"--length", "8", "--length", "9"}, 2, "--length");
  expect_failure({"compare", "m", "--text", "t"}, 2, "two models or more");
}

TEST(CommandLine, NumbersOutOfRangeExitWithTwo) {
  for (const char* value : {"-1", "-5", "0", "1", "99999999999", "99999999999999999999999", "nan",
                            "inf", "1e3", "12.5", "x", "", " 8", "8 ", "0x10", "+8"})
    expect_failure(kEvaluate + Arguments{"--length", value}, 2,
                   "--length: expected a whole number from 2 to 16777216, found ");
  for (const char* value : {"0", "-1", "many"}) {
    expect_failure(kEvaluate + Arguments{"--windows", value}, 2, "--windows: expected a whole");
    expect_failure(kRtn + Arguments{"--sequences", value}, 2, "--sequences: expected a whole");
  }
  for (const char* value : {"-1", "1025", "two"})
    expect_failure(kEvaluate + Arguments{"--threads", value}, 2, "--threads: expected a whole");
  for (const char* value : {"-1", "18446744073709551616", "1.0", "zero"})
    expect_failure(kRtn + Arguments{"--seed", value}, 2, "--seed: expected a whole number from 0");
}

TEST(CommandLine, TasksAreNamesOrFilesOfData) {
  const auto tasks = [](const std::string& list, const Arguments& more) {
    return Arguments{"evaluate", "no-such-model", "--tasks", list} + more;
  };
  expect_failure(tasks("piqa", {}), 1, "task piqa: expected --task-data DIR, a folder with ");
  expect_failure(tasks("piqa,pica", {"--task-data", "none"}), 1, "none: expected a folder");
  expect_failure(tasks("pica", {}), 1, "task pica: unknown (did you mean piqa?); known are arc_");
  expect_failure(tasks("none.toml", {}), 1, "none.toml: cannot be opened");
  for (const char* list : {"", ",", "piqa,", ",piqa", "piqa, ,arc_easy"})
    expect_failure(tasks(list, {}), 2, "--tasks: expected names or .toml files");
  for (const char* option : {"--task-data", "--shots", "--limit", "--items"})
    expect_failure(kEvaluate + Arguments{option, "1"}, 2,
                   std::string(option) + ": only with --tasks");
  expect_failure(kEvaluate + Arguments{"--truncate"}, 2, "--truncate: only with --tasks");
  expect_failure(tasks("piqa", {"--resume"}), 2, "--resume: only with --items");
  expect_failure(tasks("piqa", {"--limit", "0"}), 2, "--limit: expected a whole number from 1");
}

TEST(CommandLine, TextsOfACalibrationHavePositiveWeights) {
  const TemporaryFolder folder;
  const std::string file = (folder / "a.txt").string();
  std::ofstream(file) << "text";
  for (const char* weight : {"0", "-1", "nan", "x", ""})
    for (const char* command : {"quantize", "plan", "imatrix"})
      expect_failure({command, "no-such-model", "--out", "no-such-out.gguf", "--calibration",
                      "b.txt:2", "--calibration", file + ":" + weight},
                     2, "expected a positive number behind the colon, found ");
  expect_failure(kQuantize + Arguments{"--calibration", ""}, 2,
                 "--calibration: expected FILE or FILE:WEIGHT, found nothing");
  expect_failure(kQuantize + Arguments{"--calibration", "a.txt:3", "--calibration", "b.txt"}, 1,
                 "no-such-model");
  expect_failure(kQuantize + Arguments{"--calibration", "a.txt", "b.txt"}, 2, "b.txt");
  expect_failure(kQuantize + Arguments{"--imatrix", "i.gguf", "--calibration", "a.txt:2"}, 2,
                 "--imatrix with --calibration");
}

TEST(CommandLine, ASizeToMeetIsOneNumberAndSaysWhatElseWouldSayIt) {
  const Arguments text = kQuantize + Arguments{"--calibration", "none.txt"};
  for (const char* value : {"0", "-1", "nan", "inf", "33", "", "3.5x", "three"})
    expect_failure(text + Arguments{"--target-bits", value}, 2,
                   "--target-bits: expected a number from 0.1 to 32, found ");
  for (const char* value : {"0", "-1M", "nan", "nanG", "", "M", "3 M", "3K", "1e99", "3m"})
    expect_failure(text + Arguments{"--target-size", value}, 2,
                   "--target-size: expected a size such as 300MiB or 4G, found ");
  for (const char* value : {"0", "-1", "nan", "101", "", "0.05x"})
    expect_failure(text + Arguments{"--target-kl", value}, 2,
                   "--target-kl: expected a number from 1e-06 to 100, found ");
  const Arguments target = text + Arguments{"--target-bits", "3"};
  for (const Arguments& other : {Arguments{"--target-size", "3G"}, {"--target-kl", "0.1"}})
    expect_failure(target + other, 2,
                   "--target-bits, --target-size or --target-kl: expected one of them");
  for (const Arguments& asked : {target, text + Arguments{"--target-kl", "0.1"}})
    for (const Arguments& more : {Arguments{"--bits", "3"}, {"--set", "grid.bits=3"}})
      expect_failure(asked + more, 2, " with --target-bits, --target-size or --target-kl: these ");
  expect_failure(target + Arguments{"--type", "Q4_K"}, 2, "--type with --target-bits");
  expect_failure(target + Arguments{"--mix", "Q4_K_M"}, 2, "--mix with --target-bits");
  expect_failure(kQuantize + Arguments{"--imatrix", "i.gguf", "--target-bits", "3"}, 2,
                 "--imatrix with --target-bits, --target-size or --target-kl: these measure on a ");
  for (const char* option : {"--candidates", "--recipe-out", "--sensitivities"}) {
    expect_failure(text + Arguments{option, "x"}, 2,
                   std::string(option) + ": only with --target-bits, --target-size or ");
    expect_failure(target + Arguments{option, ""}, 2, std::string(option) + ": expected ");
  }
}

TEST(CommandLine, TheSelfChecksLimitIsANumberAndExcludesSkippingIt) {
  for (const char* value : {"0", "-1", "much", "", "nan", "inf"})
    expect_failure(kRtn + Arguments{"--check-kl", value}, 2, "--check-kl: expected a number from ");
  expect_failure(kRtn + Arguments{"--check-kl", "2", "--no-check"}, 2,
                 "--check-kl with --no-check: expected one of them");
}

TEST(CommandLine, SeveralTextsAreNamedOneByOne) {
  const Arguments two = kEvaluate + Arguments{"--text", "b"};
  expect_failure(two, 1, "no-such-model");
  expect_failure(kEvaluate + Arguments{"--text", ""}, 2, "--text: expected a file, found nothing");
  expect_failure(two + Arguments{"--protocol", "llama", "--save-base", "x"}, 2,
                 "--save-base: only with one --text");
  expect_failure(kEvaluate + Arguments{"--reference", "r", "--gate", "groups.gap<1"}, 2,
                 "--gate: groups.gap is measured only with several --text");
}

TEST(CommandLine, VerificationsAndPagesNeedTheirFiles) {
  expect_failure({"verify", "no-such-output"}, 1, "no-such-output: does not exist");
  expect_failure({"verify"}, 2, "PATH is required");
  expect_failure({"report", "no-such-run", "--out", "page.html"}, 1, "no-such-run: does not exist");
  expect_failure({"report", "no-such-run", "--out", "page.pdf"}, 2, "--out: expected FILE.html");
  expect_failure({"report", "--out", "page.html"}, 2, "RUN is required");
}

TEST(CommandLine, NumbersOfGenerationAreChecked) {
  const Arguments generate = {"generate", "no-such-model", "--prompt", "a"};
  for (const char* value : {"-1", "1001", "hot", "", "nan"})
    expect_failure(generate + Arguments{"--temperature", value}, 2,
                   "--temperature: expected a number from 0 to 1000, found ");
  expect_failure(generate + Arguments{"--top-p", "1.5"}, 2, "--top-p: expected a number from 0 to");
  expect_failure(generate + Arguments{"--max-tokens", "0"}, 2, "--max-tokens: expected a whole");
  expect_failure(generate + Arguments{"--stop", ""}, 2, "--stop: expected a text, found nothing");
  expect_failure({"generate", "m"}, 2, "--prompt is required");
  expect_failure(kEvaluate + Arguments{"--generate", "0"}, 2, "--generate: expected a whole");
  expect_failure({"evaluate", "m", "--tasks", "piqa", "--generate", "4"}, 2,
                 "--generate: only with --text");
}

TEST(CommandLine, GeneratedTextIsAllThatStandardOutputHolds) {
  const Arguments generate = {
      "generate",     std::string(HALFTONE_SOURCE_DIR) + "/examples/stories260K",
      "--prompt",     "Once upon a time,",
      "--max-tokens", "8"};
  const Outcome told = run_halftone(generate);
  EXPECT_EQ(told.status, 0) << told.err;
  EXPECT_TRUE(told.out.starts_with(" there was a ")) << told.out;
  EXPECT_TRUE(told.out.ends_with("\n"));
  EXPECT_NE(told.err.find("8 tokens, length; "), std::string::npos) << told.err;
  const Outcome json = run_halftone(generate + Arguments{"--json", "-"});
  EXPECT_EQ(nlohmann::json::parse(json.out).at("text").get<std::string>() + "\n", told.out);
}

TEST(CommandLine, GatesNeedWhatMeasuresThem) {
  expect_failure(kEvaluate + Arguments{"--gate", "generation.loops.value<0.2"}, 2,
                 "only with --generate");
  expect_failure(kEvaluate + Arguments{"--gate", "tasks.piqa.acc>0.5"}, 2, "only with --tasks");
  const Arguments tasks = {"evaluate", "m", "--tasks", "piqa", "--gate"};
  expect_failure(tasks + Arguments{"perplexity.value<9"}, 2, "only with --text");
  for (const char* metric : {"tasks.piqa.flips.p", "tasks_mean.reference", "kl.mean"})
    expect_failure(tasks + Arguments{std::string(metric) + "<1"}, 2, "only with --reference");
}

TEST(CommandLine, ImagesGoWithNothingOfTexts) {
  const Arguments images = {"evaluate", "m", "--images", "i"};
  for (const Arguments& more : {Arguments{"--text", "t"},
                                {"--tasks", "piqa"},
                                {"--windows", "2"},
                                {"--length", "64"},
                                {"--generate", "2"},
                                {"--protocol", "llama"}})
    expect_failure(images + more, 2, "--images with " + more.front() + ": expected one of them");
  expect_failure(images + Arguments{"--gate", "perplexity.value<9"}, 2, "only with --text");
  expect_failure(kEvaluate + Arguments{"--gate", "accuracy.value>0.5"}, 2, "only with --images");
  expect_failure(images + Arguments{"--gate", "reference_accuracy.value>0.5"}, 2,
                 "only with --reference");
}

TEST(CommandLine, WordsOutsideTheirListExitWithTwo) {
  expect_failure({"quantize", "m", "--out", "o", "--products", "fast"}, 2,
                 "auto, float32, bfloat16, two-part");
  expect_failure(kEvaluate + Arguments{"--compute", "float64"}, 2, "auto, float32 or bfloat16");
  for (const char* device : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:99999", "CPU", ""})
    expect_failure(kEvaluate + Arguments{"--device", device}, 2, "--device: expected cpu, cuda");
}

TEST(CommandLine, QuantizeWithoutARecipeTakesHalftone) {
  expect_failure(kQuantize, 1, "no-such-model");
  EXPECT_TRUE(contains(run_forked({"quantize", "--help"}).out, "(default: halftone)"));
}

TEST(CommandLine, AnUnknownRecipeListsTheRecipes) {
  expect_failure(kQuantize + Arguments{"--recipe", "halfton"}, 1,
                 "recipe halfton: unknown (did you mean halftone?); known are ");
  expect_failure(kQuantize + Arguments{"--recipe", "none.toml"}, 1, "none.toml: cannot be opened");
  expect_failure({"recipes", "halfton"}, 1, "did you mean halftone?");
}

TEST(CommandLine, ATypeIsAWholeGridThatNoOtherOptionChanges) {
  const auto typed = [](const Arguments& more) {
    return kRtn + Arguments{"--type", "Q4_K"} + more;
  };
  expect_failure(typed({"--bits", "3"}), 2, "--bits with --type Q4_K");
  expect_failure(typed({"--group-size", "64"}), 2, "--group-size with --type Q4_K");
  expect_failure(typed({"--set", "grid.symmetric=true"}), 2,
                 "--set grid.symmetric with --type Q4_K");
  expect_failure(kRtn + Arguments{"--type", "Q4_X"}, 2, "--type: expected one of Q2_0, Q4_0");
  expect_failure(kRtn + Arguments{"--type", "Q4_K_M"}, 2,
                 "--type: Q4_K_M is a mix of types: --mix Q4_K_M");
  expect_failure(typed({"--mix", "Q4_K_M"}), 2, "--type Q4_K with --mix Q4_K_M");
  expect_failure(kRtn + Arguments{"--mix", "Q4_K"}, 2, "--mix: expected one of IQ2_M");
  expect_failure(kRtn + Arguments{"--mix", "Q4_K_M", "--bits", "3"}, 2, "--bits with --mix Q4_K_M");
}

TEST(CommandLine, WrongRecipeSettingsExitWithTwo) {
  expect_failure(kRtn + Arguments{"--set", "grid.bitz=3"}, 2,
                 "--set: unknown key grid.bitz (did you mean grid.bits?); known keys: ");
  expect_failure(kRtn + Arguments{"--set", "grid.kind=lattice"}, 2, "expected \"uniform\"");
  expect_failure(kRtn + Arguments{"--set", "grid.bits"}, 2, "--set: expected KEY=VALUE");
  for (const char* bits : {"9", "-4", "0", "4.0", "nan", "99999999999999999999", ""})
    expect_failure(kRtn + Arguments{"--bits=" + std::string(bits)}, 2, "--bits");
  for (const char* size : {"-1", "8", "2048", "all"})
    expect_failure(kRtn + Arguments{"--group-size", size}, 2,
                   "--group-size: grid.group_size: expected 0 or an integer in 16 .. 1024");
}

TEST(CommandLine, SetTakesOneSettingAndLeavesTheModelAlone) {
  expect_failure({"quantize", "--set", "grid.bits=3", "--set", "grid.symmetric=true",
                  "no-such-model", "--out", "o", "--recipe", "rtn"},
                 1, "no-such-model");
}

TEST(CommandLine, NoRecipeAsksForACalibrationText) {
  expect_failure(kQuantize + Arguments{"--recipe", "gptq"}, 1, "no-such-model");
  expect_failure(kQuantize + Arguments{"--calibration", "builtin"}, 1, "no-such-model");
  expect_failure(kRtn, 1, "no-such-model");
}

TEST(CommandLine, TheMemoryLimitIsAWholeNumberOfGibibytes) {
  for (const char* limit : {"-1", "0.5", "8G", "", "99999999999"})
    expect_failure(kRtn + Arguments{"--memory-limit=" + std::string(limit)}, 2, "--memory-limit");
}

TEST(CommandLine, FilesThatAreNotThereAreNamed) {
  expect_failure({"inspect", "m.gguf"}, 1, "m.gguf: does not exist");
}

TEST(CommandLine, GatesAreReadBeforeTheWork) {
  for (const char* gate :
       {"kl.mean", "perplexity.value<x", "perplexity.value<nan", "a<1,", " ", ""})
    expect_failure(kEvaluate + Arguments{"--gate", gate}, 2, "--gate: gate ");
  expect_failure(kEvaluate + Arguments{"--gate", "kl.mean<0.05"}, 2,
                 "kl.mean is measured only with --reference");
}

TEST(CommandLine, TargetsAreCheckedBeforeTheWork) {
  const TemporaryFolder folder;
  expect_failure(kEvaluate + Arguments{"--json", folder / "none" / "x.json"}, 1, "does not exist");
  expect_failure(kEvaluate + Arguments{"--json", folder.path()}, 1, "found a folder");
  expect_failure(kRtn + Arguments{"--report", "report.pdf"}, 2, "FILE.json or FILE.html");
  expect_failure(kRtn + Arguments{"--report", folder / "none" / "x.html"}, 1, "does not exist");
}

TEST(CommandLine, MessagesStayOnOneLineWhateverTheyQuote) {
  expect_failure(kRtn + Arguments{"--set", "grid.bits=3\n4"}, 2, "3\\x0a4");
  expect_failure({"inspect", "a\nb\x1b[31m"}, 1, "a\\x0ab\\x1b[31m");
  expect_failure({"quan\ntize"}, 2, "quan\\x0atize");
}

TEST(Recipes, AreListedAndShownInFull) {
  const Outcome list = run_halftone({"recipes"});
  EXPECT_EQ(list.status, 0);
  EXPECT_EQ(list.err, "");
  EXPECT_TRUE(contains(list.out, "gptq  ")) << list.out;
  const Outcome gptq = run_halftone({"recipes", "gptq"});
  EXPECT_EQ(gptq.status, 0);
  EXPECT_TRUE(contains(gptq.out, "arXiv 2210.17323")) << gptq.out;
  EXPECT_TRUE(contains(gptq.out, "damping = 0.01 ")) << gptq.out;
}

TEST(Recipes, AShownRecipeIsARecipeFile) {
  const TemporaryFolder folder;
  const std::string path = folder / "mine.toml";
  std::ofstream(path) << run_halftone({"recipes", "gptq"}).out;
  const Outcome inspection = run_halftone({"inspect", path});
  EXPECT_EQ(inspection.status, 0) << inspection.err;
  EXPECT_TRUE(contains(inspection.out, "name     mine")) << inspection.out;
  std::ofstream(path) << "[grid]\nbits = 12\n";
  expect_failure({"recipes", path}, 1, "recipe mine: line 2: grid.bits: expected an integer");
}

TEST(Stdout, AClosedPipeIsNoErrorAndAFullDiskIs) {
  const Outcome closed = run_halftone_in_shell("recipes gptq", "| true");
  EXPECT_EQ(closed.status, 0);
  EXPECT_EQ(closed.err, "");
  const Outcome full = run_halftone_in_shell("recipes gptq", "> /dev/full");
  EXPECT_EQ(full.status, 1);
  EXPECT_TRUE(contains(full.err, "stdout: cannot be written: No space left")) << full.err;
}

}  // namespace
}  // namespace halftone
