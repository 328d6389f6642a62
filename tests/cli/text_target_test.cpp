#include "cli/text_target.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/files.h"
#include "cli/run_program.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using halftone::testing::Arguments;
using halftone::testing::message_of;
using halftone::testing::Outcome;
using halftone::testing::run_forked;
using halftone::testing::run_halftone;
using halftone::testing::TemporaryFolder;

constexpr const char* kEvaluation =
    R"({"model": "m", "text": "t", "protocol": {}, "perplexity": {"value": 5}})";
const fs::path kExamples = fs::path(HALFTONE_SOURCE_DIR) / "examples";

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string refusal(const fs::path& target, const std::vector<fs::path>& apart_from = {}) {
  return message_of([&] { TextTarget(target, apart_from); });
}

TEST(TextTarget, ReplacesReportsEmptyFilesAndNothingElse) {
  const TemporaryFolder folder;
  const fs::path path = folder / "x.json";
  for (const char* own : {"", kEvaluation}) {
    std::ofstream(path) << own;
    TextTarget(path, {}).write("new");
    EXPECT_EQ(read_file(path), "new");
  }
  for (const char* other : {"new", "{}", R"({"model_type": "llama"})"}) {
    std::ofstream(path) << other;
    EXPECT_TRUE(contains(refusal(path), "expected a report of this program")) << other;
    EXPECT_EQ(read_file(path), other);
  }
}

TEST(TextTarget, IsLookedAtOnceMoreWhenItIsWritten) {
  const TemporaryFolder folder;
  const TextTarget target(folder / "x.json", {});
  std::ofstream(folder / "x.json") << "precious";
  EXPECT_TRUE(contains(message_of([&] { target.write("new"); }), "is not replaced"));
  EXPECT_EQ(read_file(folder / "x.json"), "precious");
}

TEST(TextTarget, LinksLeadToWhatIsReplaced) {
  const TemporaryFolder folder;
  std::ofstream(folder / "real.json") << kEvaluation;
  fs::create_symlink("real.json", folder / "link.json");
  fs::create_symlink("later.json", folder / "dangling.json");
  for (const char* link : {"link.json", "dangling.json"}) {
    TextTarget(folder / link, {}).write("new");
    EXPECT_TRUE(fs::is_symlink(folder / link)) << link;
  }
  EXPECT_EQ(read_file(folder / "real.json"), "new");
  EXPECT_EQ(read_file(folder / "later.json"), "new");
}

TEST(TextTarget, DevicesAndPipesAreWrittenThrough) {
  const TemporaryFolder folder;
  const fs::path pipe = folder / "pipe.json";
  ::mkfifo(pipe.c_str(), 0600);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  TextTarget(pipe, {}).write("text");
  char got[8] = {};
  EXPECT_EQ(::read(reader, got, sizeof got), 4);
  ::close(reader);
  EXPECT_TRUE(fs::is_fifo(pipe));
  fs::create_symlink("/dev/null", folder / "null.json");
  TextTarget(folder / "null.json", {}).write("text");
  EXPECT_TRUE(fs::is_symlink(folder / "null.json"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_TRUE(contains(message_of([] { TextTarget("/dev/full", {}).write("text"); }), "No space"));
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST(TextTarget, IsApartFromWhatTheCommandWorksWith) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "model");
  std::ofstream(folder / "text.json") << kEvaluation;
  fs::create_symlink("text.json", folder / "link.json");
  const std::vector<fs::path> inputs = {folder / "model", folder / "text.json"};
  for (const char* target : {"model/new.json", "text.json", "link.json", "model/../text.json"})
    EXPECT_TRUE(contains(refusal(folder / target, inputs), "works with")) << target;
  EXPECT_NO_THROW(TextTarget(folder / "model.json", inputs));
}

TEST(TextTarget, PlacesThatCannotBeWrittenAreFoundAtTheStart) {
  EXPECT_TRUE(contains(refusal("/proc/self/x.json"), "nothing can be written into /proc/self"));
  EXPECT_TRUE(contains(refusal("/proc/self"), "found a folder"));
  EXPECT_TRUE(contains(refusal("none/x.json"), "does not exist"));
}

TEST(TextTarget, NamingNothingIsAWrongCommandLine) {
  const std::vector<Arguments> wrong = {
      {"evaluate", "m", "--text", "t", "--json", ""},
      {"compare", "m", "n", "--text", "t", "--json", ""},
      {"tokenize", "m", "--text", "t", "--json", ""},
      {"quantize", "m", "--out", "o", "--recipe", "rtn", "--report", ""},
  };
  for (const Arguments& arguments : wrong) {
    const Outcome outcome = run_forked(arguments);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_TRUE(contains(outcome.err, "expected a file, found nothing")) << outcome.err;
  }
}

TEST(TextTarget, NoCommandWritesOverWhatItReads) {
  const TemporaryFolder folder;
  fs::copy(kExamples / "stories260K", folder / "model");
  const std::string config = read_file(folder / "model/config.json");
  const std::string model = folder / "model", text = folder / "text.txt";
  std::ofstream(text) << "Once upon a time";
  const std::string target = folder / "model/config.json";
  const auto quantize = [&](const std::string& out, const std::string& report) {
    return Arguments{"quantize", model, "--out",    folder / out,
                     "--recipe", "rtn", "--report", report};
  };
  const std::vector<Arguments> refused = {
      {"evaluate", model, "--text", text, "--json", target},
      {"compare", model, model, "--text", text, "--json", target},
      {"tokenize", model, "--text", text, "--json", target},
      {"tokenize", model, "--text", text, "--json", text},
      quantize("out", target),
      quantize("out.json", folder / "out.json"),
      quantize("out", folder / "out/x.json"),
      quantize("out", folder / "out.journal/x.json"),
  };
  for (const Arguments& arguments : refused) {
    const Outcome outcome = run_forked(arguments);
    EXPECT_EQ(outcome.status, 1) << outcome.err;
    EXPECT_TRUE(contains(outcome.err, "which this command works with")) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_EQ(read_file(target), config);
  EXPECT_EQ(read_file(text), "Once upon a time");
}

TEST(TextTarget, ResultsArePrintedBeforeTheyAreWritten) {
  const Outcome outcome = run_halftone({"evaluate", kExamples / "stories260K", "--text",
                                        kExamples / "tinystories-evaluation.txt", "--length", "64",
                                        "--windows", "2", "--json", "/dev/full"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(contains(outcome.out, "perplexity")) << outcome.out;
  EXPECT_TRUE(contains(outcome.err, "/dev/full: cannot be written: No space left")) << outcome.err;
}

}  // namespace
}  // namespace halftone
