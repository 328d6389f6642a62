// What `halftone plan` says of a run before it is made (interface.md 7).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "report/written_totals.h"

namespace halftone {

struct PlanReport {
  // Tensors that are stored alike: linears of one name in all blocks, or one tensor.
  struct Stored {
    std::string name;  // "mlp.down_proj", "model.embed_tokens.weight"
    int64_t count = 0;
    std::vector<int64_t> shape;
    std::string as;  // "3 bits, groups of 64", "Q4_K", "bfloat16"
    bool quantized = false;
    double bytes = 0;     // of all
    double bits() const;  // of a weight
  };
  struct Share {
    std::string of;
    double amount = 0;  // bytes, or seconds
  };
  struct EngineAnswer {
    std::string name, version, refusal;  // empty: loads it
  };

  std::string model, recipe, format;
  int64_t parameters = 0, tokens = 0;
  BitsPerWeight bits_per_weight = {};
  double bytes = 0;  // of all tensors of the output
  std::vector<Stored> tensors = {};
  std::vector<Share> memory = {};  // at the moment that needs most
  double physical_memory = 0;
  std::vector<Share> seconds = {};
  double disk = 0, free_disk = 0;  // while the output is written; 0: no place was named
  std::vector<EngineAnswer> engines = {};
  std::vector<std::string> notes = {};  // what falls back, what stays
  std::vector<std::string> problems =
      {};  // each with what would mend it; the run would fail or crawl

  double peak_bytes() const;
  double all_seconds() const;
};

void to_json(nlohmann::json& json, const PlanReport& plan);

std::string plan_text(const PlanReport& plan);

}  // namespace halftone
