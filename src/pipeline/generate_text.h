// Opens a model and lets it go on with a text: the `generate` command without its printing.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "evaluate/generate.h"
#include "model/compute.h"

namespace halftone {

struct GenerateRequest {
  std::filesystem::path model;
  std::string prompt;
  bool chat = false;   // the prompt is a user's turn, put into the model's own chat template
  std::string system;  // of a chat: what stands before all turns; empty: nothing
  int64_t max_tokens = 64;
  Sampling sampling = {};
  std::vector<std::string> stops = {};
  std::string device = "cpu";
  Compute compute = Compute::kAuto;  // auto = float32
  int threads = 0;
};

// grown: told what the text grows by. step: after every token. One object as interface.md 7 lists
// it. Errors: a prompt that is no UTF-8, or longer than the model's context; a chat with a model
// that has no chat template; logits that are no numbers.
nlohmann::json generate_text(const GenerateRequest& request, Progress& progress,
                             const std::function<void(std::string_view)>& grown,
                             const std::function<void()>& step);

}  // namespace halftone
