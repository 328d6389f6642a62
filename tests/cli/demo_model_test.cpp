// The commands on a real small model (TinyStories 260K).

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/files.h"
#include "cli/run_program.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using halftone::testing::Arguments;
using halftone::testing::Outcome;
using halftone::testing::run_and_signal;
using halftone::testing::run_halftone;
using halftone::testing::run_shell;
using halftone::testing::shared_data;
using halftone::testing::TemporaryFolder;

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// The suite's model and texts, and a fresh folder for each test.
class GoldenDemoModel : public ::testing::Test {
 protected:
  void SetUp() override { HALFTONE_REQUIRE_SHARED("models/stories260K/hf"); }

  // The first bytes of the stories as a file of the test's folder.
  std::string text(const std::string& name, size_t bytes) {
    std::ifstream in(shared_data("text/tinystories-sample.txt"));
    std::string content(bytes, '\0');
    in.read(content.data(), static_cast<std::streamsize>(bytes));
    std::ofstream(folder_ / name) << content;
    return folder_ / name;
  }

  Outcome quantize(const std::string& name, const Arguments& more) {
    Arguments arguments = {"quantize", model_, "--out", folder_ / name};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_halftone(arguments);
  }

  // Files and folders of the test's folder, staging included.
  size_t entries() const {
    const std::filesystem::directory_iterator all(folder_.path());
    return static_cast<size_t>(std::distance(begin(all), end(all)));
  }

  const std::string model_ = shared_data("models/stories260K/hf");
  const TemporaryFolder folder_;
};

TEST_F(GoldenDemoModel, IsQuantizedReadBackAndReported) {
  const std::string calibration = text("calibration.txt", 200000);
  const Outcome run =
      quantize("w4", {"--recipe", "gptq", "--group-size", "32", "--calibration", calibration,
                      "--sequences", "8", "--length", "256", "--report", folder_ / "report.json"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(contains(run.out, "read back        ok")) << run.out;
  const auto report = nlohmann::json::parse(std::ifstream(folder_ / "report.json"));
  EXPECT_EQ(report.at("verified"), true);
  EXPECT_EQ(report.at("linears").size(), 35u);

  const Outcome evaluation = run_halftone(
      {"evaluate", folder_ / "w4", "--reference", model_, "--text", text("test.txt", 40000),
       "--length", "256", "--windows", "4", "--json", "-", "--gate", "kl.mean<0.5,top1.value>0.5"});
  ASSERT_EQ(evaluation.status, 0) << evaluation.err;
  const auto json = nlohmann::json::parse(evaluation.out);
  EXPECT_EQ(json.at("protocol").at("windows"), 4);
  EXPECT_GT(json.at("kl").at("mean"), 0);
  EXPECT_TRUE(contains(evaluation.err, "gate kl.mean < 0.5: ")) << evaluation.err;
}

TEST_F(GoldenDemoModel, AnOutputThatHasCollapsedStaysAndExitsWithThree) {
  const Arguments options = {"--recipe",      "gptq",
                             "--group-size",  "32",
                             "--sequences",   "8",
                             "--length",      "256",
                             "--calibration", text("calibration.txt", 200000)};
  Arguments strict = options, unchecked = options;
  strict.insert(strict.end(), {"--check-kl", "1e-6", "--report", folder_ / "report.json"});
  const Outcome collapsed = quantize("a", strict);
  EXPECT_EQ(collapsed.status, 3) << collapsed.err;
  EXPECT_TRUE(contains(collapsed.err, ": the output has collapsed: KL ")) << collapsed.err;
  EXPECT_TRUE(contains(collapsed.out, "COLLAPSED")) << collapsed.out;
  const auto report = nlohmann::json::parse(std::ifstream(folder_ / "report.json"));
  EXPECT_EQ(report.at("check").at("collapsed"), true);
  EXPECT_TRUE(report.at("check").at("blame").contains("part"));
  const Outcome verified = run_halftone({"verify", folder_ / "a", "--source", model_});
  EXPECT_EQ(verified.status, 0) << verified.out << verified.err;
  unchecked.push_back("--no-check");
  const Outcome plain = quantize("b", unchecked);
  EXPECT_EQ(plain.status, 0) << plain.err;
  EXPECT_FALSE(contains(plain.out, "self-check")) << plain.out;
}

TEST_F(GoldenDemoModel, ASizeThatWasAskedForIsARecipeThatGivesTheSameAgain) {
  const Arguments options = {"--recipe",
                             "gptq",
                             "--sequences",
                             "8",
                             "--length",
                             "256",
                             "--no-check",
                             "--format",
                             "native",
                             "--calibration",
                             text("calibration.txt", 200000)};
  Arguments chosen = options, again = options;
  chosen.insert(chosen.end(), {"--target-bits", "4", "--recipe-out", folder_ / "four.toml"});
  again.insert(again.end(), {"--recipe", folder_ / "four.toml"});
  again.erase(again.begin(), again.begin() + 2);
  const Outcome first = quantize("a", chosen);
  ASSERT_EQ(first.status, 0) << first.err;
  EXPECT_TRUE(contains(first.err, "chosen: 3.9") || contains(first.err, "chosen: 4.0000"))
      << first.err;
  EXPECT_TRUE(contains(first.err, "all alike: 3 bits at ")) << first.err;
  EXPECT_TRUE(contains(first.err, "four.toml --format native")) << first.err;
  ASSERT_EQ(quantize("b", again).status, 0);
  for (const char* file : {"model.safetensors", "halftone.json", "config.json"})
    EXPECT_EQ(read_file(folder_ / (std::string("a/") + file)),
              read_file(folder_ / (std::string("b/") + file)))
        << file;
  chosen.insert(chosen.end(), {"--target-bits", "12"});
  EXPECT_EQ(quantize("c", chosen).status, 2);  // given twice
}

TEST_F(GoldenDemoModel, APageIsMadeOfOutputsAndEvaluations) {
  ASSERT_EQ(quantize("rtn", {"--recipe", "rtn", "--group-size", "32"}).status, 0);
  const std::string compared = folder_ / "compared.json", page = folder_ / "page.html";
  ASSERT_EQ(run_halftone({"compare", model_, folder_ / "rtn", "--text", text("test.txt", 40000),
                          "--length", "128", "--windows", "3", "--json", compared})
                .status,
            0);
  const Arguments report = {"report", folder_ / "rtn", compared, "--out", page};
  for (int again = 0; again < 2; ++again) EXPECT_EQ(run_halftone(report).status, 0);
  EXPECT_TRUE(contains(read_file(page), "<circle"));
  const Outcome onto_itself = run_halftone({"report", page, "--out", page});
  EXPECT_EQ(onto_itself.status, 1) << onto_itself.err;
}

TEST_F(GoldenDemoModel, GatesThatDoNotHoldExitWithThree) {
  const Arguments evaluate = {"evaluate", model_, "--text",    text("test.txt", 20000),
                              "--length", "128",  "--windows", "2",
                              "--gate"};
  Arguments fails = evaluate, unknown = evaluate;
  fails.push_back("perplexity.value<1");
  const Outcome failed = run_halftone(fails);
  EXPECT_EQ(failed.status, 3) << failed.err;
  EXPECT_TRUE(contains(failed.out, "perplexity ")) << failed.out;
  EXPECT_TRUE(contains(failed.err, "does not hold")) << failed.err;
  unknown.push_back("perplexity.valu<1");
  const Outcome listed = run_halftone(unknown);
  EXPECT_EQ(listed.status, 1);
  EXPECT_TRUE(contains(listed.err, "no number perplexity.valu; it has ")) << listed.err;
  EXPECT_TRUE(contains(listed.err, "perplexity.value")) << listed.err;
}

// The demo model with one number changed to NaN.
std::string spoiled(const std::string& model, const TemporaryFolder& folder) {
  const std::filesystem::path copy = folder / "spoiled";
  std::filesystem::copy(model, copy, std::filesystem::copy_options::recursive);
  std::string bytes = read_file(copy / "model.safetensors");
  std::fill(bytes.end() - 4, bytes.end() - 1, '\xFF');  // the last number of the last tensor
  bytes.back() = '\x7F';
  std::filesystem::remove(copy / "model.safetensors");
  write_file_atomically(copy / "model.safetensors", bytes);
  return copy;
}

TEST_F(GoldenDemoModel, APerplexityThatIsNoNumberIsPrintedAndExitsWithOne) {
  const std::string bad = spoiled(model_, folder_), test = text("test.txt", 20000);
  const Arguments more = {"--text", test, "--length", "128", "--windows", "2"};
  for (Arguments words : {Arguments{"evaluate", bad},
                          {"evaluate", bad, "--gate", "top1.value>0", "--reference", model_},
                          {"compare", model_, bad},
                          {"compare", bad, model_}}) {
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run_halftone(words);
    EXPECT_EQ(outcome.status, 1) << outcome.err;
    EXPECT_TRUE(contains(outcome.out, "nan")) << outcome.out;
    EXPECT_TRUE(contains(outcome.err, "perplexity: expected a number, found nan; ")) << outcome.err;
    EXPECT_TRUE(contains(outcome.err, "weight: expected finite numbers, found nan at "))
        << outcome.err;
  }
}

TEST_F(GoldenDemoModel, ComparisonsPutTheReferenceFirst) {
  ASSERT_EQ(quantize("rtn", {"--recipe", "rtn", "--group-size", "32"}).status, 0);
  const Outcome run = run_halftone({"compare", model_, folder_ / "rtn", "--text",
                                    text("test.txt", 20000), "--length", "128", "--windows", "2"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(contains(run.out, "KL to the first")) << run.out;
  EXPECT_LT(run.out.find("\nhf "), run.out.find("\nrtn ")) << run.out;
}

TEST_F(GoldenDemoModel, AnExistingOutputIsReplacedOnlyWhenAsked) {
  const Arguments rtn = {"--recipe", "rtn", "--group-size", "32"};
  ASSERT_EQ(quantize("out", rtn).status, 0);
  std::ofstream(folder_ / "out" / "precious") << "x";
  const Outcome refused = quantize("out", rtn);
  EXPECT_EQ(refused.status, 1);
  EXPECT_TRUE(contains(refused.err, "--overwrite")) << refused.err;
  EXPECT_TRUE(std::filesystem::exists(folder_ / "out" / "precious"));
  Arguments overwrite = rtn;
  overwrite.push_back("--overwrite");
  EXPECT_EQ(quantize("out", overwrite).status, 0);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out" / "precious"));
  EXPECT_EQ(entries(), 1u);
}

TEST_F(GoldenDemoModel, AnInterruptedRunLeavesAtMostItsJournal) {
  const std::string calibration = text("calibration.txt", 2000000);
  for (const int signal : {SIGINT, SIGTERM}) {
    const Outcome run = run_and_signal(
        {"quantize", model_, "--out", folder_ / "out", "--recipe", "gptq", "--group-size", "32",
         "--calibration", calibration, "--sequences", "1024", "--length", "512", "--overwrite"},
        3000, signal);
    EXPECT_EQ(run.status, 130) << run.err;
    EXPECT_EQ(run.out, "");
    const bool kept = std::filesystem::exists(folder_ / "out.journal");
    EXPECT_EQ(contains(run.err, "--resume goes on"), kept) << run.err;
    EXPECT_EQ(contains(run.err, "nothing was written"), !kept) << run.err;
    EXPECT_EQ(entries(), kept ? 2u : 1u) << "the calibration text, and the journal";
  }
}

TEST_F(GoldenDemoModel, AKilledRunIsResumedToTheSameBytes) {
  const std::string calibration = text("calibration.txt", 400000);
  const auto arguments = [&](const std::string& out) {
    return Arguments{"quantize",      model_,      "--out",        folder_ / out,
                     "--recipe",      "gptq",      "--group-size", "32",
                     "--calibration", calibration, "--sequences",  "256",
                     "--length",      "256",       "--threads",    "2"};
  };
  ASSERT_EQ(run_halftone(arguments("whole")).status, 0);
  Arguments resumed = arguments("out");
  resumed.push_back("--resume");
  // wherever it stands when it is killed: before the first block, between two, or done
  for (const int milliseconds : {1500, 2500, 3500}) run_and_signal(resumed, milliseconds, SIGKILL);
  const Outcome last = run_halftone(resumed);
  ASSERT_EQ(last.status, 0) << last.err;
  for (const auto& file : std::filesystem::directory_iterator(folder_ / "whole"))
    EXPECT_EQ(read_file(folder_ / "out" / file.path().filename()), read_file(file.path()))
        << file.path();
  EXPECT_EQ(entries(), 3u) << "the calibration text and two outputs";
}

TEST_F(GoldenDemoModel, AWriteThatFailsHalfwayLeavesNothingBehind) {
  // no file may grow beyond 64 blocks of 512 bytes
  const Outcome run =
      run_shell("trap '' XFSZ; ulimit -f 64; exec $halftone quantize '" + model_ +
                "' --recipe rtn --group-size 32 --out '" + (folder_ / "out").string() + "'");
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(contains(run.err, ": File too large")) << run.err;
  EXPECT_EQ(run.err.find("halftone: "), run.err.rfind("halftone: ")) << run.err;
  EXPECT_EQ(entries(), 0u);
}

TEST_F(GoldenDemoModel, AFullDiskIsOneClearLineAndKeepsWhatWasThere) {
  const std::string disk = folder_ / "disk";
  std::filesystem::create_directory(disk);
  const std::string mount = "mount -t tmpfs -o size=160k none '" + disk + "'";
  if (run_shell("unshare --user --map-root-user --mount " + mount).status != 0)
    GTEST_SKIP() << "this system lets nobody mount a small disk";
  const Outcome run =
      run_shell("unshare --user --map-root-user --mount sh -c \"" + mount + " && mkdir '" + disk +
                "/out' && echo '{\\\"halftone_version\\\": 1}' > '" + disk +
                "/out/halftone.json' && $halftone quantize '" + model_ +
                "' --recipe rtn --group-size 32 --overwrite --out '" + disk +
                "/out'; status=\\$?; ls -A '" + disk + "' '" + disk + "/out'; exit \\$status\"");
  EXPECT_EQ(run.status, 1);
  EXPECT_TRUE(contains(run.err, "disk/out: the output takes about ")) << run.err;
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  EXPECT_EQ(run.out, disk + ":\nout\n\n" + disk + "/out:\nhalftone.json\n");
}

TEST_F(GoldenDemoModel, ASpillThatFillsTheDiskIsOneClearLineAndLeavesNothing) {
  const std::string disk = folder_ / "disk", calibration = text("calibration.txt", 200000);
  std::filesystem::create_directory(disk);
  const std::string mount = "mount -t tmpfs -o size=2m none '" + disk + "'";
  if (run_shell("unshare --user --map-root-user --mount " + mount).status != 0)
    GTEST_SKIP() << "this system lets nobody mount a small disk";
  // room for the output, but not for what gradients leave behind
  const Outcome run = run_shell(
      "unshare --user --map-root-user --mount sh -c \"" + mount + " && $halftone quantize '" +
      model_ + "' --recipe oac-gptq --group-size 32 " + "--calibration '" + calibration +
      "' --sequences 32 --length 256 " + "--memory-limit 0 --out '" + disk +
      "/out'; status=\\$?; ls -A '" + disk + "'; exit \\$status\"");
  EXPECT_EQ(run.status, 1) << run.err;
  EXPECT_TRUE(contains(run.err, "data cannot be put aside after ")) << run.err;
  EXPECT_TRUE(contains(run.err, "No space left on device")) << run.err;
  EXPECT_EQ(run.err.find("halftone: "), run.err.rfind("halftone: ")) << run.err;
  EXPECT_EQ(run.out, "");
}

TEST_F(GoldenDemoModel, LinesOfJsonlAreTokenizedOneByOne) {
  const std::string path = folder_ / "texts.jsonl";
  std::ofstream(path) << "{\"text\": \"Once upon a time\"}\n{\"text\": \"\", \"more\": 1}\n";
  const Outcome run = run_halftone({"tokenize", model_, "--text", path});
  ASSERT_EQ(run.status, 0) << run.err;
  std::istringstream lines(run.out);
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(line.rfind("{\"ids\":[", 0), 0u) << line;
  const auto first = nlohmann::json::parse(line);
  EXPECT_EQ(first.at("decoded"), "Once upon a time");
  EXPECT_EQ(first.at("ids_special").size(), first.at("ids").size() + 1);
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(nlohmann::json::parse(line).at("ids").size(), 0u);
  EXPECT_FALSE(std::getline(lines, line));

  std::ofstream(path) << "{\"text\": \"a\"}\nno json\n";
  const Outcome broken = run_halftone({"tokenize", model_, "--text", path});
  EXPECT_EQ(broken.status, 1);
  EXPECT_TRUE(contains(broken.err, "line 2: not valid JSON")) << broken.err;
}

TEST_F(GoldenDemoModel, TextsAreTokenizedWithTheirPieces) {
  const std::string path = folder_ / "text.txt";
  std::ofstream(path) << "Once upon a time";
  const Outcome lines = run_halftone({"tokenize", model_, "--text", path});
  ASSERT_EQ(lines.status, 0) << lines.err;
  EXPECT_TRUE(contains(lines.out, " tokens with specials, ")) << lines.out;
  const Outcome run = run_halftone({"tokenize", model_, "--text", path, "--json", "-"});
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json.at("pieces").size(), json.at("ids").size());
  EXPECT_EQ(json.at("round_trip"), true);
}

TEST_F(GoldenDemoModel, IsInspected) {
  const Outcome text = run_halftone({"inspect", model_, "--tensors"});
  ASSERT_EQ(text.status, 0) << text.err;
  EXPECT_TRUE(contains(text.out, "model.embed_tokens.weight")) << text.out;
  const Outcome json = run_halftone({"inspect", model_, "--json"});
  EXPECT_EQ(nlohmann::json::parse(json.out).at("kind"), "model folder");
}

}  // namespace
}  // namespace halftone
