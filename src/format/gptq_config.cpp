#include "format/gptq_config.h"

#include <algorithm>

#include "base/error.h"
#include "format/config_fields.h"
#include "format/unquantized.h"

namespace halftone {
namespace {

constexpr int64_t kMostColumns = int64_t{1} << 31;

// Reads the grid keys that are present over `grid`.
GptqGrid read_grid(const ConfigFields& fields, GptqGrid grid) {
  if (fields.has("bits")) grid.bits = static_cast<int>(fields.integer("bits", 2, 8));
  if (fields.has("group_size")) grid.group_size = fields.integer("group_size", -1, kMostColumns);
  grid.symmetric = fields.boolean_or("sym", grid.symmetric);
  const std::string& place = fields.place();
  require(grid.bits == 2 || grid.bits == 3 || grid.bits == 4 || grid.bits == 8,
          "{}: bits: expected 2, 3, 4 or 8, found {}", place, grid.bits);
  require(grid.group_size != 0, "{}: group_size: expected -1 or at least 1, found 0", place);
  return grid;
}

void require_plain_packing(const ConfigFields& fields) {
  fields.require_one_of("quant_method", {"gptq"});
  fields.require_one_of("method", {"gptq"});
  fields.require_one_of("checkpoint_format", {"gptq", "gptq_v2"});
  fields.require_one_of("format", {"gptq", "gptq_v2"});
  fields.require_one_of("pack_dtype", {"int32"});
  fields.require_empty("adapter", "adapters are not read");
}

bool reads_v2(const ConfigFields& fields) {
  const std::string format = fields.text_or("format", "gptq");
  const std::string checkpoint_format = fields.text_or("checkpoint_format", format);
  require(!fields.has("format") || format == checkpoint_format,
          "{}: checkpoint_format '{}' and format '{}' contradict each other", fields.place(),
          checkpoint_format, format);
  return checkpoint_format == "gptq_v2";
}

std::vector<GptqGrid> read_overrides(const ConfigFields& fields, const GptqGrid& grid) {
  std::vector<GptqGrid> overrides;
  if (!fields.has("dynamic")) return overrides;
  const ConfigFields dynamic = fields.object("dynamic");
  for (const auto& [pattern, settings] : dynamic.json().items()) {
    if (pattern.starts_with("-:")) continue;  // left as it was
    const ConfigFields override(settings,
                                fmt::format("{}: {}", dynamic.place(), printable(pattern)));
    require_plain_packing(override);
    overrides.push_back(read_grid(override, grid));
  }
  return overrides;
}

GptqGrid grid_of(const LinearPlan& linear) {
  const StoredGrid& grid = linear.grid;
  return {grid.bits, grid.group_size == 0 ? -1 : grid.group_size, grid.symmetric};
}

// The grid of most linears, the first of equals.
GptqGrid commonest_grid(const OutputPlan& plan) {
  GptqGrid best;
  int64_t most = 0;
  for (const LinearPlan& linear : plan.linears) {
    const GptqGrid grid = grid_of(linear);
    const int64_t count = std::count_if(plan.linears.begin(), plan.linears.end(),
                                        [&](const auto& other) { return grid_of(other) == grid; });
    if (count > most) best = grid, most = count;
  }
  return best;
}

// A key of `dynamic` that matches this name only.   sign: + for a grid of its own, - for none
std::string exactly(char sign, const std::string& name) {
  std::string pattern = fmt::format("{}:^", sign);
  for (const char c : name) {
    if (std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern + "$";
}

nlohmann::json meta_of(const OutputPlan& plan) {
  nlohmann::json meta = {{"quantizer", {plan.made.producer}}};
  if (plan.linears.empty()) return meta;
  if (plan.made.damping) meta["damp_percent"] = *plan.made.damping;
  meta["static_groups"] = plan.made.static_groups && !plan.linears.front().grid.group_index;
  return meta;
}

}  // namespace

std::vector<GptqGrid> GptqConfig::allowed() const {
  std::vector<GptqGrid> grids = {grid};
  for (const GptqGrid& other : overrides)
    if (std::find(grids.begin(), grids.end(), other) == grids.end()) grids.push_back(other);
  return grids;
}

GptqConfig parse_gptq_config(const QuantizationConfig& config) {
  const ConfigFields fields(config.json, config.place);
  require_plain_packing(fields);
  fields.value("bits"), fields.value("group_size");  // must be there
  GptqConfig parsed;
  parsed.v2 = reads_v2(fields);
  parsed.grid = read_grid(fields, {});
  parsed.overrides = read_overrides(fields, parsed.grid);
  parsed.dynamic_groups = fields.boolean_or("desc_act", false);
  return parsed;
}

nlohmann::json make_gptq_config(const OutputPlan& plan, const std::set<std::string>& unquantized,
                                bool v2) {
  const GptqGrid grid = commonest_grid(plan);
  const std::string name = v2 ? "gptq_v2" : "gptq";
  nlohmann::json config = {{"quant_method", "gptq"},
                           {"bits", grid.bits},
                           {"group_size", grid.group_size},
                           {"sym", grid.symmetric},
                           {"lm_head", is_planned(plan, plan.head)},
                           {"checkpoint_format", name},
                           {"format", name},
                           {"pack_dtype", "int32"},
                           {"meta", meta_of(plan)}};
  const std::vector<LinearPlan> linears = plan.on_grids();
  config["desc_act"] = std::any_of(linears.begin(), linears.end(),
                                   [](const auto& linear) { return linear.grid.group_index; });
  for (const LinearPlan& linear : linears) {
    const GptqGrid other = grid_of(linear);
    if (other == grid) continue;
    config["dynamic"][exactly('+', linear.name)] = {
        {"bits", other.bits}, {"group_size", other.group_size}, {"sym", other.symmetric}};
  }
  for (const std::string& layer : plain_linears(plan, unquantized))
    config["dynamic"][exactly('-', layer)] = nlohmann::json::object();
  return config;
}

}  // namespace halftone
