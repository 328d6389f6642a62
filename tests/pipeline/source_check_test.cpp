// What a model's own tensors and files mean for an output, on changed copies of the demo model.
#include "pipeline/source_check.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <limits>

#include "checkpoint/shard_index.h"
#include "pipeline/convert_model.h"
#include "pipeline/demo_request.h"
#include "pipeline/evaluate_model.h"
#include "pipeline/inspect.h"
#include "report/evaluation_report.h"
#include "report/quantize_report.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::example;
using ::halftone::testing::message_of;
using ::halftone::testing::request_for;
using ::halftone::testing::run;
using ::halftone::testing::TemporaryFolder;
using nlohmann::json;

using Tensors = std::map<std::string, at::Tensor>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

Tensors tensors_of(const fs::path& folder) {
  const Checkpoint checkpoint(folder);
  Tensors tensors;
  for (const std::string& name : checkpoint.names()) tensors[name] = checkpoint.load(name).clone();
  return tensors;
}

// A copy of a folder with other tensors and another config.
fs::path changed(const fs::path& from, const fs::path& to,
                 const std::function<void(Tensors&, json&)>& change) {
  fs::copy(from, to, fs::copy_options::recursive);
  const auto metadata = Checkpoint(from).metadata();
  Tensors tensors = tensors_of(from);
  json config = json::parse(read_file(from / "config.json"));
  change(tensors, config);
  for (const char* file : {"model.safetensors", "config.json"}) fs::remove(to / file);
  write_safetensors(to / "model.safetensors", tensors, metadata);
  write_file_atomically(to / "config.json", config.dump());
  return to;
}

// The demo model with a head of its own.
void untie(Tensors& tensors, json& config) {
  tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone();
  config["tie_word_embeddings"] = false;
}

// Work would call it.
class NoWork final : public Progress {
 public:
  void begin(std::string_view step, int64_t) override { ADD_FAILURE() << step << " has begun"; }
  void update(int64_t, std::string_view) override {}
  void end() override {}
};

json evaluate(const fs::path& model, const std::optional<fs::path>& reference = {}) {
  EvaluateRequest request;
  request.model = model;
  request.reference = reference;
  request.texts = {example("tinystories-evaluation.txt")};
  request.length = 64;
  request.windows = 2;
  request.threads = 2;
  SilentProgress progress;
  return evaluate_model(request, progress);
}

bool any_contains(const json& report, const std::string& part) {
  const json notes = report.value("notes", json::array());
  return std::any_of(notes.begin(), notes.end(), [&](const json& note) {
    return note.get<std::string>().find(part) != std::string::npos;
  });
}

TEST(SourceCheck, NumbersThatAreNoneAreNamedBeforeAnyWork) {
  for (const char* name :
       {"model.embed_tokens.weight", "lm_head.weight", "model.norm.weight",
        "model.layers.4.post_attention_layernorm.weight", "model.layers.4.mlp.down_proj.weight"}) {
    for (const float value : {kNan, kInfinity, -kInfinity}) {
      const TemporaryFolder folder;
      QuantizeRequest request = request_for(folder / "out", "gptq", 4);
      request.model =
          changed(example("stories260K"), folder / "model", [&](Tensors& tensors, json& config) {
            untie(tensors, config);
            tensors[name].view(-1)[17].fill_(value);
          });
      NoWork progress;
      const std::string message = message_of([&] { quantize_model(request, progress); });
      EXPECT_NE(message.find(
                    fmt::format("{}: expected finite numbers, found {} at 17 (1 of ", name, value)),
                std::string::npos)
          << message;
      EXPECT_FALSE(fs::exists(folder / "out"));
    }
  }
}

TEST(SourceCheck, ABiasThatIsNoNumberIsNamedToo) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "rtn", 4);
  request.model =
      changed(example("stories260K"), folder / "model", [&](Tensors& tensors, json& config) {
        config["mlp_bias"] = true;
        for (int block = 0; block < 5; ++block)
          for (const auto& [linear, rows] :
               {std::pair{"gate_proj", 172}, {"up_proj", 172}, {"down_proj", 64}})
            tensors[fmt::format("model.layers.{}.mlp.{}.bias", block, linear)] = at::zeros({rows});
        tensors["model.layers.2.mlp.up_proj.bias"][3].fill_(kNan);
      });
  EXPECT_NE(message_of([&] { run(request); }).find("model.layers.2.mlp.up_proj.bias: expected"),
            std::string::npos);
}

TEST(SourceCheck, HugeNumbersWhoseSumOverflowsAreNumbers) {
  const TemporaryFolder folder;
  const fs::path model =
      changed(example("stories260K"), folder / "model",
              [&](Tensors& tensors, json&) { tensors["model.norm.weight"].fill_(3e38); });
  EXPECT_EQ(first_not_finite(OpenedModel(model)), "");
}

TEST(SourceCheck, ConvertNamesNumbersThatAreNone) {
  const TemporaryFolder folder;
  run(request_for(folder / "packed", "rtn", 4));
  const fs::path model =
      changed(folder / "packed", folder / "spoiled",
              [&](Tensors& tensors, json&) { tensors["model.norm.weight"][0].fill_(kNan); });
  NoWork progress;
  const std::string message = message_of([&] {
    convert_model({.model = model, .out = folder / "out", .format = "dense", .overwrite = false},
                  progress);
  });
  EXPECT_NE(message.find("model.norm.weight: expected finite numbers, found nan at 0 (1 of 64"),
            std::string::npos)
      << message;
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(SourceCheck, AnEvaluationThatIsNoNumberFailsAndNamesTheWeight) {
  const TemporaryFolder folder;
  const fs::path good = example("stories260K");
  const fs::path bad = changed(good, folder / "bad", [&](Tensors& tensors, json&) {
    tensors["model.layers.3.input_layernorm.weight"][9].fill_(kNan);
  });
  const std::string weight = "model.layers.3.input_layernorm.weight: expected finite numbers";
  for (const auto& [model, reference, name] :
       {std::tuple{bad, std::optional<fs::path>(), "perplexity: expected a number, found nan; "},
        {bad, good, "perplexity: expected a number, found nan; "},
        {good, bad, "reference_perplexity: expected a number, found nan; reference: "}}) {
    const json result = evaluate(model, reference);
    EXPECT_EQ(result.value("failure", "").rfind(name + weight, 0), 0u) << result["failure"];
    EXPECT_NE(message_of([&] { require_numbers(result); }).find(name), std::string::npos);
    EXPECT_FALSE(evaluation_text(result).empty());
  }
  const json sound = evaluate(good);
  EXPECT_FALSE(sound.contains("failure"));
  EXPECT_NO_THROW(require_numbers(sound));
}

TEST(SourceCheck, AnOverflowAsTheModelRunsIsToldFromADamagedFile) {
  const TemporaryFolder folder;
  const fs::path model =
      changed(example("stories260K"), folder / "model",
              [&](Tensors& tensors, json&) { tensors["model.norm.weight"].fill_(3e38); });
  EXPECT_NE(evaluate(model).value("failure", "").find("every weight is finite"), std::string::npos);
}

// All of the model, or one norm, or the linears alone.
class Float64 : public ::testing::TestWithParam<const char*> {};

TEST_P(Float64, IsWrittenAsFloat32AndSaid) {
  const TemporaryFolder folder;
  const fs::path wide =
      changed(example("stories260K"), folder / "wide", [&](Tensors& tensors, json& config) {
        for (auto& [name, tensor] : tensors)
          if (name.find(GetParam()) != std::string::npos) tensor = tensor.to(at::kDouble);
        config["torch_dtype"] = config["dtype"] = "float64";
      });
  for (const char* recipe : {"rtn", "halftone"}) {
    QuantizeRequest request = request_for(folder / recipe, recipe, 4);
    const json plain = run(request);
    EXPECT_FALSE(plain.contains("notes"));
    request.model = wide;
    request.out = folder / (recipe + std::string("64"));
    const json report = run(request);
    EXPECT_TRUE(any_contains(report, "tensors are float64")) << report.value("notes", json());
    EXPECT_NE(quantize_text(parse_run_report(report, "report")).find("tensors are float64"),
              std::string::npos);
    const Tensors expected = tensors_of(folder / recipe), found = tensors_of(request.out);
    ASSERT_EQ(found.size(), expected.size());
    for (const auto& [name, tensor] : found) {
      EXPECT_EQ(tensor.scalar_type(), expected.at(name).scalar_type()) << name;
      EXPECT_TRUE(at::equal(tensor, expected.at(name))) << recipe << ": " << name;
    }
  }
  const json config = json::parse(read_file(folder / "rtn64" / "config.json"));
  EXPECT_EQ(config["torch_dtype"], "float32");
  EXPECT_EQ(config["dtype"], "float32");
}

INSTANTIATE_TEST_SUITE_P(SourceCheck, Float64, ::testing::Values("", "model.norm", "proj"));

TEST(SourceCheck, EveryFormatTakesAFloat64Model) {
  const TemporaryFolder folder;
  const fs::path wide =
      changed(example("stories260K"), folder / "wide", [](Tensors& tensors, json&) {
        for (auto& [name, tensor] : tensors) tensor = tensor.to(at::kDouble);
      });
  for (const char* format : {"native", "dense", "compressed-tensors"}) {
    QuantizeRequest request = request_for(folder / format, "rtn", 4);
    apply_setting(request.recipe, "grid.group_size=0");  // down projections have 172 columns
    request.model = wide;
    request.format = format;
    EXPECT_TRUE(run(request)["verified"].get<bool>()) << format;
  }
}

TEST(SourceCheck, ANumberBeyondFloat32IsNamed) {
  const TemporaryFolder folder;
  const fs::path wide =
      changed(example("stories260K"), folder / "wide", [](Tensors& tensors, json&) {
        tensors["model.norm.weight"] = tensors["model.norm.weight"].to(at::kDouble);
        tensors["model.norm.weight"][2].fill_(1e300);
      });
  EXPECT_NE(first_not_finite(OpenedModel(wide))
                .find("model.norm.weight: expected finite numbers, found inf at 2"),
            std::string::npos);
}

TEST(SourceCheck, ConvertWritesFloat64TensorsAsFloat32) {
  const TemporaryFolder folder;
  run(request_for(folder / "packed", "rtn", 4));
  const fs::path wide = changed(folder / "packed", folder / "wide", [](Tensors& tensors, json&) {
    for (auto& [name, tensor] : tensors)
      if (tensor.scalar_type() == at::kFloat && name.find("proj") == std::string::npos)
        tensor = tensor.to(at::kDouble);
  });
  SilentProgress progress;
  const json report = convert_model(
      {.model = wide, .out = folder / "out", .format = "dense", .overwrite = false}, progress);
  EXPECT_TRUE(any_contains(report, "tensors are float64"));
  for (const auto& [name, tensor] : tensors_of(folder / "out"))
    EXPECT_EQ(tensor.scalar_type(), at::kFloat) << name;
}

TEST(SourceCheck, WhatIsWrongWithTheFilesReachesEveryReport) {
  const TemporaryFolder folder;
  const fs::path model = folder / "model";
  fs::copy(example("stories260K"), model, fs::copy_options::recursive);
  fs::rename(model / "model.safetensors", model / "one.safetensors");
  json index = {{"metadata", {{"total_size", 7}}}, {"weight_map", json::object()}};
  for (const auto& [name, tensor] : tensors_of(example("stories260K")))
    index["weight_map"][name] = "one.safetensors";
  write_file_atomically(model / kIndexFile, index.dump());
  fs::create_symlink("gone", model / "tokenizer.model.v3");
  QuantizeRequest request = request_for(folder / "out", "rtn", 4);
  request.model = model;
  const json report = run(request);
  EXPECT_TRUE(any_contains(report, "total_size: expected 7 bytes"))
      << report.value("notes", json());
  EXPECT_TRUE(any_contains(report,
                           "tokenizer.model.v3: a link to gone, which is not there: not "
                           "copied"))
      << report.value("notes", json());
  EXPECT_EQ(json::parse(read_file(folder / "out" / "halftone.json")).at("notes"),
            report.value("notes", json()));
  const json result = evaluate(model, example("stories260K"));
  EXPECT_EQ(result.at("notes").size(), 1u);
  EXPECT_NE(evaluation_text(result).find("total_size: expected 7 bytes"), std::string::npos);
  EXPECT_TRUE(any_contains(evaluate(example("stories260K"), model), "reference: "));
  EXPECT_NE(comparison_text({result}).find("note: model: "), std::string::npos);
  EXPECT_TRUE(any_contains(inspect_path(model, false), "total_size"));
}

}  // namespace
}  // namespace halftone
