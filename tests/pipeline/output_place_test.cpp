// Where outputs may go: nothing that is read, and nothing that is not an output, is ever replaced.
#include "pipeline/output_place.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <set>

#include "pipeline/convert_model.h"
#include "pipeline/demo_request.h"
#include "pipeline/output_place.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::entries;
using ::halftone::testing::example;
using ::halftone::testing::message_of;
using ::halftone::testing::request_for;
using ::halftone::testing::run;
using ::halftone::testing::TemporaryFolder;

constexpr auto kFolder = PendingOutput::Kind::kFolder;

// Any work is one step too many.
class NoProgress final : public Progress {
 public:
  void begin(std::string_view step, int64_t) override { ADD_FAILURE() << "work: " << step; }
  void update(int64_t, std::string_view) override { throw Interrupted(); }
  void end() override {}
};

class InterruptedAt final : public Progress {
 public:
  explicit InterruptedAt(int64_t last) : last_(last) {}
  void begin(std::string_view step, int64_t) override { quantizes_ = step == "quantize"; }
  void update(int64_t done, std::string_view) override {
    if (quantizes_ && done >= last_) throw Interrupted();
  }
  void end() override {}

 private:
  int64_t last_;
  bool quantizes_ = false;
};

void make_file(const fs::path& path, const std::string& content = "x") {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << content;
}

std::set<std::string> tree(const fs::path& folder) {
  std::set<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    paths.insert(fs::relative(entry.path(), folder).string());
  return paths;
}

// The demo model in a folder of its own, its weights behind a link as in a cache.
void make_model(const fs::path& model, const fs::path& weights) {
  fs::create_directories(model);
  for (const char* name : {"config.json", "tokenizer.json", "tokenizer_config.json"})
    fs::copy_file(example("stories260K") / name, model / name);
  fs::create_directories(weights.parent_path());
  fs::copy_file(example("stories260K") / "model.safetensors", weights);
  fs::create_symlink(weights, model / "model.safetensors");
}

std::string quantize_onto(QuantizeRequest request) {
  request.overwrite = true;
  NoProgress progress;
  return message_of([&] { quantize_model(request, progress); });
}

std::string convert_onto(const fs::path& model, const fs::path& out) {
  NoProgress progress;
  return message_of([&] {
    convert_model({.model = model, .out = out, .format = "dense", .overwrite = true}, progress);
  });
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(OutputPlace, IsNeverAnInputNorAroundNorInsideOne) {
  const TemporaryFolder folder;
  const fs::path model = folder / "models/llama";
  make_model(model, folder / "cache/weights/model.safetensors");
  make_file(folder / "models/other/precious.bin");
  make_file(folder / "texts/calibration.txt");
  make_file(folder / "recipes/mine.toml");
  // of all these folders an output of ours could have been the owner
  for (const char* owned : {"models/llama", "models", "cache/weights", "texts", "recipes"})
    make_file(folder / owned / "halftone.json", R"({"halftone_version": "0.1.0"})");
  fs::create_directory_symlink("models", folder / "link");
  QuantizeRequest request = request_for("", "rtn", 4);
  request.model = model;
  request.calibration = {{.file = folder / "texts/calibration.txt"}};
  request.recipe_file = folder / "recipes/mine.toml";
  const auto before = tree(folder.path());
  for (const char* out :
       {"models/llama", "models/llama/", "models/./llama", "link/llama", "link/../models/llama",
        "models/llama/w4", "link/llama/w4", "models", "models/", "link", "cache/weights", "cache",
        "texts", "texts/calibration.txt", "recipes", "recipes/mine.toml", "."}) {
    request.out = folder / out;
    EXPECT_TRUE(contains(quantize_onto(request), "which this command works with")) << out;
  }
  for (const char* out : {"models/llama", "link/llama/", "models", "models/llama/w4", "cache"})
    EXPECT_TRUE(contains(convert_onto(model, folder / out), "which this command works with"))
        << out;
  request.calibration = {{.file = folder / "w4.journal/calibration.txt"}};
  make_file(request.calibration.front().file);
  request.out = folder / "w4";
  EXPECT_TRUE(contains(quantize_onto(request), "w4.journal: holds")) << "the journal would go";
  fs::remove_all(folder / "w4.journal");
  EXPECT_EQ(tree(folder.path()), before);
}

TEST(OutputPlace, RelativeNamesOfAnInputAreSeenThrough) {
  const TemporaryFolder folder;
  make_model(folder / "models/llama", folder / "cache/model.safetensors");
  const fs::path before = fs::current_path();
  fs::current_path(folder / "models");
  for (const char* out : {"llama", "./llama/", "../models/llama", "llama/../llama", ".."})
    EXPECT_TRUE(contains(convert_onto(folder / "models/llama", out), "works with")) << out;
  EXPECT_TRUE(contains(convert_onto("llama", folder / "models"), "works with"));
  fs::current_path(before);
}

TEST(OutputPlace, ReplacesOutputsOfThisProgramAndNothingElse) {
  const TemporaryFolder folder;
  const fs::path out = folder / "out";
  const std::string own = R"({"halftone_version": "0.1.0"})";
  const std::vector<std::pair<const char*, std::function<void()>>> others = {
      {"found a folder without", [&] { make_file(out / "precious.bin"); }},
      {"found a file", [&] { make_file(out); }},
      {"found a folder without", [&] { make_file(out / "halftone.json", "no JSON"); }},
      {"found a folder without", [&] { make_file(out / "halftone.json", R"({"version": 1})"); }},
      {"found a folder without", [&] { make_file(out / "halftone.json/x", "x"); }},
      {"another model",
       [&] {
         make_file(out / "halftone.json", own);
         make_file(out / "llama/model.safetensors");
       }},
  };
  for (const auto& [expected, make] : others) {
    make();
    const auto before = tree(folder.path());
    const std::string message = quantize_onto(request_for(out, "rtn", 4));
    EXPECT_TRUE(contains(message, expected)) << message;
    EXPECT_EQ(tree(folder.path()), before);
    fs::remove_all(out);
  }
  make_file(out / "halftone.json", own);
  EXPECT_NO_THROW(require_output(out, kFolder, Existing::kReplace, {}));
  EXPECT_TRUE(contains(message_of([&] { require_output(out, kFolder, Existing::kRefuse, {}); }),
                       "already exists"));
  fs::remove(out / "halftone.json");  // an empty folder loses nothing
  EXPECT_NO_THROW(require_output(out, kFolder, Existing::kReplace, {}));
}

TEST(OutputPlace, WhatWasPutThereWhileTheRunWentOnIsKept) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "rtn", 4);
  request.overwrite = true;
  class PuttingProgress final : public Progress {
   public:
    explicit PuttingProgress(fs::path path) : path_(std::move(path)) {}
    void begin(std::string_view, int64_t) override {}
    void update(int64_t, std::string_view) override { make_file(path_); }
    void end() override {}

   private:
    fs::path path_;
  } progress(folder / "out/precious.bin");
  EXPECT_TRUE(
      contains(message_of([&] { quantize_model(request, progress); }), "found a folder without"));
  EXPECT_EQ(tree(folder.path()), (std::set<std::string>{"out", "out/precious.bin"}));
}

TEST(OutputPlace, ALinkedOutputIsWrittenToItsTargetWithAllThatGoesBesideIt) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "disk");
  fs::create_directory_symlink("disk/w3", folder / "link");  // of nothing yet
  const QuantizeRequest request = request_for(folder / "link/", "gptq", 3);
  InterruptedAt progress(17);
  EXPECT_THROW(quantize_model(request, progress), Interrupted);
  EXPECT_TRUE(fs::exists(folder / "disk/w3.journal"));
  QuantizeRequest resumed = request;
  resumed.resume = true;
  run(resumed);
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_TRUE(fs::exists(folder / "disk/w3/config.json"));
  QuantizeRequest again = request_for(folder / "link", "rtn", 4);
  again.overwrite = true;
  run(again);
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(entries(folder / "disk"), 1u);
  EXPECT_EQ(entries(folder.path()), 2u);
}

TEST(OutputPlace, NamesThatAreNoneAreRefusedBeforeAnyWork) {
  const TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::create_directories(folder / "here/below");
  fs::current_path(folder / "here/below");
  QuantizeRequest request = request_for("", "rtn", 4);
  request.model = folder / "no-such-model";  // nothing is opened
  for (const auto& [out, expected] : std::map<std::string, const char*>{
           {"", "--out: expected the name of a folder, found nothing"},
           {"/", "expected the name of a folder"},
           {".", "in which this command runs"},
           {"..", "in which this command runs"},
           {"../../here/", "in which this command runs"},
           {"none/out", "does not exist"},
           {"/proc/self/out", "nothing can be written into /proc/self"}}) {
    request.out = out;
    const std::string message = quantize_onto(request);
    EXPECT_TRUE(contains(message, expected)) << out << " -> " << message;
    EXPECT_TRUE(contains(convert_onto(request.model, out), expected)) << out;
  }
  fs::current_path(before);
  EXPECT_EQ(tree(folder.path()), (std::set<std::string>{"here", "here/below"}));
}

TEST(OutputPlace, ACompanionThatCannotBeReadIsFoundBeforeAnyWork) {
  const TemporaryFolder folder;
  make_model(folder / "model", folder / "cache/model.safetensors");
  make_file(folder / "model/LICENSE");
  fs::resize_file(folder / "model/LICENSE", (uintmax_t{1} << 30) + 1);  // takes no disk
  QuantizeRequest request = request_for(folder / "out", "gptq", 4);
  request.model = folder / "model";
  const std::string message = quantize_onto(request);
  EXPECT_TRUE(contains(message, "LICENSE: expected at most")) << message;
  EXPECT_EQ(entries(folder.path()), 2u);
}

}  // namespace
}  // namespace halftone
