// What is stored without config.json asking for it, from the source to the output.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "checkpoint/checkpoint.h"
#include "pipeline/convert_model.h"
#include "pipeline/demo_request.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using namespace halftone::testing;
using nlohmann::json;

// The demo model, called tied, with another head and with biases of attention.
void write_source(const fs::path& folder) {
  const Checkpoint demo(example("stories260K"));
  std::map<std::string, at::Tensor> tensors;
  for (const std::string& name : demo.names()) {
    tensors[name] = demo.load(name).clone();
    if (name.find("self_attn") != std::string::npos)
      tensors[name.substr(0, name.rfind('.')) + ".bias"] = at::full({tensors[name].size(0)}, 0.25);
  }
  tensors["lm_head.weight"] = tensors.at("model.embed_tokens.weight") * 2;
  json config = demo.config();
  config["tie_word_embeddings"] = true;
  config.erase("attention_bias");
  fs::create_directories(folder);
  write_file_atomically(folder / "config.json", config.dump());
  write_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}});
  for (const char* file : {"tokenizer.json", "tokenizer.model", "tokenizer_config.json"})
    if (fs::exists(example("stories260K") / file))
      fs::copy_file(example("stories260K") / file, folder / file);
}

json config_of(const fs::path& folder) {
  return json::parse(read_file(folder / "config.json"));
}

void expect_asked_for(const fs::path& folder) {
  EXPECT_EQ(config_of(folder)["tie_word_embeddings"], false);
  EXPECT_EQ(config_of(folder)["attention_bias"], true);
}

TEST(StoredUnasked, AreKeptAndAskedForByTheOutput) {
  const TemporaryFolder folder;
  write_source(folder / "source");
  const Checkpoint source(folder / "source");
  for (const std::string recipe : {"rtn", "gptq", "halftone"}) {
    QuantizeRequest request = request_for(folder / recipe, recipe, 4);
    request.model = folder / "source";
    (void)run(request);
    expect_asked_for(folder / recipe);
    const Checkpoint written(folder / recipe);
    EXPECT_TRUE(written.contains("lm_head.weight")) << recipe;
    EXPECT_TRUE(written.contains("model.layers.0.self_attn.o_proj.bias")) << recipe;
    if (recipe == "halftone") continue;  // rotated
    for (const char* name : {"lm_head.weight", "model.layers.0.self_attn.o_proj.bias"})
      EXPECT_TRUE(written.load(name).equal(source.load(name))) << recipe << name;
  }
  SilentProgress progress;
  ConvertRequest convert;
  convert.model = folder / "gptq";
  convert.out = folder / "dense";
  convert.format = "dense";
  (void)convert_model(convert, progress);
  expect_asked_for(folder / "dense");
}

}  // namespace
}  // namespace halftone
