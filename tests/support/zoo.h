// The small trained models of ../shared/data/models/zoo, one a family: a row here is a model that
// the tests of every room run over.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "support/fixtures.h"

namespace halftone::testing {

struct ZooModel {
  const char* name;      // its folder, and its file of golden values
  bool rotates = true;   // transform.rotation is legal
  bool gguf = true;      // llama.cpp computes it as it is
  bool mixture = false;  // of experts

  std::filesystem::path folder() const { return shared_data("models/zoo") / name; }
  std::filesystem::path golden() const {
    return shared_data("golden/zoo") / (std::string(name) + ".safetensors");
  }
};

inline std::ostream& operator<<(std::ostream& out, const ZooModel& model) {
  return out << model.name;
}

inline const std::vector<ZooModel>& zoo_models() {
  static const std::vector<ZooModel> models = {
      {"llama3"},
      {"mistral", true, false},
      {"qwen2"},
      {"qwen3"},
      {"granite"},
      {"olmo2", false},
      {"phi3", true, false},
      {"gemma2", false, false},
      {"gemma3_text", false, false},
      {"starcoder2", false, false},
      {"gpt_neox", false, false},
      {"opt", false, false},
      {"gpt2", false, false},
      {"phi", false, false},
      {"falcon", false, false},
      {"mixtral", true, false, true},
      {"qwen2_moe", true, false, true},
      {"qwen3_moe", true, false, true},
  };
  return models;
}

inline std::vector<ZooModel> zoo_mixtures() {
  std::vector<ZooModel> all = zoo_models();
  std::erase_if(all, [](const ZooModel& model) { return !model.mixture; });
  return all;
}

// Of INSTANTIATE_TEST_SUITE_P.
inline std::string zoo_name(const ::testing::TestParamInfo<ZooModel>& info) {
  return info.param.name;
}

}  // namespace halftone::testing
