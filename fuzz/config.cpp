// config.json of every family, to the tensors that its models have.
#include "model/config.h"

#include "checkpoint/strict_json.h"
#include "fuzz_entry.h"
#include "model/family.h"

namespace {

constexpr int64_t kMostLayers = 64;  // whose tensors are listed: there may be millions

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  return fuzz::check([&] {
    const nlohmann::json json = parse_strict_json(fuzz::text_of(data, size));
    if (!json.is_object()) return;  // what opens a folder sees to that
    const Family& family = find_family(architecture_of(json));
    const ModelConfig config = family.parse_config(json);
    if (config.layers <= kMostLayers) (void)tensors_of(family, config);
    (void)family.layer(config, config.layers - 1);
  });
}
