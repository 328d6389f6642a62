#include "format/compressed_config.h"

#include <algorithm>

#include "base/error.h"
#include "format/config_fields.h"
#include "format/unquantized.h"

namespace halftone {
namespace {

constexpr int64_t kMostColumns = int64_t{1} << 31;

CompressedGrid read_weights(const ConfigFields& weights) {
  weights.require_known({"num_bits", "type", "symmetric", "strategy", "group_size", "dynamic",
                         "actorder", "observer", "observer_kwargs", "block_structure",
                         "scale_dtype", "zp_dtype"});
  weights.require_one_of("type", {"int"});
  weights.require_one_of("strategy", {"group", "channel"});
  weights.require_one_of("actorder", {"weight", "static", "group", "dynamic"});
  weights.require_one_of("zp_dtype", {"torch.int8"});
  weights.require_empty("block_structure", "blocks are not read");
  require(!weights.boolean_or("dynamic", false), "{}: dynamic: expected false", weights.place());
  CompressedGrid grid;
  grid.bits = static_cast<int>(weights.integer("num_bits", 2, 8));
  grid.symmetric = weights.boolean_or("symmetric", true);
  if (weights.text("strategy") == "group")
    grid.group_size = weights.integer("group_size", 1, kMostColumns);
  else if (weights.has("group_size"))
    weights.integer("group_size", -1, -1);
  return grid;
}

std::vector<std::string> read_targets(const ConfigFields& group) {
  std::vector<std::string> targets;
  const nlohmann::json& list = group.value("targets");
  require(list.is_array(), "{}: targets: expected a list of strings", group.place());
  for (const auto& target : list) {
    require(target.is_string(), "{}: targets: expected a list of strings", group.place());
    targets.push_back(target.get<std::string>());
  }
  return targets;
}

CompressedConfig::Group read_group(const ConfigFields& group) {
  group.require_known({"targets", "weights", "input_activations", "output_activations", "format"});
  group.require_empty("input_activations", "activations are not quantized here");
  group.require_empty("output_activations", "activations are not quantized here");
  group.require_one_of("format", {"pack-quantized"});
  return {.grid = read_weights(group.object("weights")), .targets = read_targets(group)};
}

// "0.17.1" -> 17; none for anything that is not 0.N.
std::optional<int> minor_version(const std::string& version) {
  if (!version.starts_with("0.")) return std::nullopt;
  int minor = 0;
  size_t at = 2;
  for (; at < version.size() && at < 6 && version[at] >= '0' && version[at] <= '9'; ++at)
    minor = 10 * minor + (version[at] - '0');
  if (at == 2) return std::nullopt;
  return minor;
}

std::optional<CompressedPacking> packing_of(const ConfigFields& fields,
                                            const std::map<std::string, std::string>& metadata) {
  if (const auto ours = metadata.find(kPackingKey); ours != metadata.end()) {
    require(ours->second == "dense", "metadata: {}: expected dense, found {}", kPackingKey,
            printable(ours->second));
    return CompressedPacking::kDense;
  }
  const auto minor = minor_version(fields.text_or("version", ""));
  if (minor && *minor <= 17) return CompressedPacking::kPadded;
  if (minor && *minor >= 19) return CompressedPacking::kDense;
  return std::nullopt;
}

CompressedGrid grid_of(const LinearPlan& linear) {
  const int64_t columns = linear.grid.columns_per_group(linear.in);
  return {linear.grid.bits, columns == linear.in ? 0 : columns, linear.grid.symmetric};
}

nlohmann::json make_group(const CompressedGrid& grid, const nlohmann::json& targets) {
  nlohmann::json weights = {{"num_bits", grid.bits}, {"type", "int"},
                            {"dynamic", false},      {"symmetric", grid.symmetric},
                            {"strategy", "channel"}, {"group_size", nullptr},
                            {"actorder", nullptr}};
  if (grid.group_size > 0) weights["strategy"] = "group", weights["group_size"] = grid.group_size;
  return {{"targets", targets},
          {"weights", weights},
          {"input_activations", nullptr},
          {"output_activations", nullptr}};
}

// One group for all linears, else one a grid with the names of its linears, in the order of the
// plan.
nlohmann::json make_groups(const OutputPlan& plan) {
  std::vector<CompressedConfig::Group> groups;
  for (const LinearPlan& linear : plan.on_grids()) {
    const CompressedGrid grid = grid_of(linear);
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const auto& other) { return other.grid == grid; });
    if (group == groups.end()) group = groups.insert(groups.end(), {.grid = grid, .targets = {}});
    group->targets.push_back(linear.name);
  }
  if (groups.size() == 1) {
    groups.front().targets = {"Linear"};
    if (is_planned(plan, plan.embedding)) groups.front().targets.emplace_back(plan.embedding);
  }
  nlohmann::json json = nlohmann::json::object();
  for (size_t i = 0; i < groups.size(); ++i)
    json[fmt::format("group_{}", i)] = make_group(groups[i].grid, groups[i].targets);
  return json;
}

bool has_one_grid(const OutputPlan& plan) {
  const std::vector<LinearPlan> all = plan.on_grids();
  return std::ranges::all_of(
      all, [&](const LinearPlan& linear) { return grid_of(linear) == grid_of(all.front()); });
}

bool has_zero_points(const OutputPlan& plan) {
  return std::ranges::any_of(plan.on_grids(),
                             [](const LinearPlan& linear) { return !linear.grid.symmetric; });
}

}  // namespace

std::vector<CompressedGrid> CompressedConfig::allowed(const std::string& linear) const {
  std::vector<CompressedGrid> named, all;
  const auto add_new = [](std::vector<CompressedGrid>& grids, const CompressedGrid& grid) {
    if (std::find(grids.begin(), grids.end(), grid) == grids.end()) grids.push_back(grid);
  };
  for (const auto& [grid, targets] : groups) {
    add_new(all, grid);
    if (std::find(targets.begin(), targets.end(), linear) != targets.end()) add_new(named, grid);
  }
  return named.empty() ? all : named;
}

std::string compressed_caution(const OutputPlan& plan) {
  if (has_fused_experts(plan))
    return "transformers 5.24 reads experts of this architecture in one tensor alone: --format "
           "dense loads there";
  if (has_one_grid(plan)) return "";
  if (is_planned(plan, plan.embedding))
    return "transformers 5.24 opens a quantized embedding in compressed-tensors folders of one "
           "grid "
           "alone: as many bits, groups and symmetry as the linears load there";
  if (!has_zero_points(plan)) return "";
  return "transformers 5.24 opens no compressed-tensors folder of several grids with zero points: "
         "grid.symmetric = true loads there";
}

CompressedConfig parse_compressed_config(const QuantizationConfig& config,
                                         const std::map<std::string, std::string>& metadata) {
  const ConfigFields fields(config.json, config.place);
  fields.value("format");
  fields.require_one_of("format", {"pack-quantized"});
  fields.require_one_of("quantization_status", {"compressed"});
  fields.require_empty("transform_config", "transforms are not read");
  fields.require_empty("sparsity_config", "sparse weights are not read");
  fields.require_empty("kv_cache_scheme", "a quantized key/value cache is not read");
  CompressedConfig parsed;
  const ConfigFields groups = fields.object("config_groups");
  for (const auto& [name, group] : groups.json().items())
    parsed.groups.push_back(
        read_group({group, fmt::format("{}: {}", groups.place(), printable(name))}));
  require(!parsed.groups.empty(), "{}: expected at least one group", groups.place());
  parsed.packing = packing_of(fields, metadata);
  return parsed;
}

nlohmann::json make_compressed_config(const OutputPlan& plan,
                                      const std::set<std::string>& unquantized) {
  nlohmann::json ignore = nlohmann::json::array();
  if (!is_planned(plan, plan.head)) ignore.push_back(plan.head);
  for (const std::string& layer : plain_linears(plan, unquantized)) ignore.push_back(layer);
  nlohmann::json config = {{"quant_method", "compressed-tensors"},
                           {"format", "pack-quantized"},
                           {"quantization_status", "compressed"},
                           {"ignore", ignore},
                           {"config_groups", make_groups(plan)}};
  if (has_one_grid(plan) && (has_zero_points(plan) || is_planned(plan, plan.embedding)))
    config["dequantize"] = true;
  return config;
}

}  // namespace halftone
