// Small linears, a small source model, and folders that lie.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors.h"
#include "format/format.h"
#include "format/linear_check.h"
#include "format/stored_numbers.h"
#include "format/verify.h"
#include "quantize/grid/vector.h"
#include "quantize/linear_rotation.h"
#include "support/fixtures.h"

namespace halftone::testing {

struct LinearCase {
  int64_t out = 32, in = 64;
  int bits = 4;
  int64_t group_size = 32;  // 0: the whole row
  bool symmetric = true;
  bool dynamic_groups = false;
  int zero_min = 0;
  int scale_bits = 8;
  int64_t run_size = 0;                         // 0: uniform, else bilevel
  int scale_code_bits = 3, zero_code_bits = 3;  // zero_code_bits 0: integer zeros
  bool outliers = false;
  std::vector<int32_t> dead_columns = {};
};

// (rows, columns) uint8, uniform in low .. high
inline at::Tensor random_codes(Random& random, int64_t rows, int64_t columns, int low, int high) {
  at::Tensor codes = at::empty({rows, columns}, at::kByte);
  auto* to = codes.data_ptr<uint8_t>();
  for (int64_t i = 0; i < codes.numel(); ++i)
    to[i] = static_cast<uint8_t>(low + static_cast<int>(random.below(uint64_t(high - low + 1))));
  return codes;
}

// Scales of exactly representable size: k / 2^12 with k below 2^scale_bits.
inline at::Tensor random_scales(Random& random, int64_t rows, int64_t columns, int scale_bits) {
  at::Tensor scales = at::empty({rows, columns}, at::kFloat);
  auto* to = scales.data_ptr<float>();
  const int bits = scale_bits == 0 ? 24 : scale_bits;
  for (int64_t i = 0; i < scales.numel(); ++i)
    to[i] = std::ldexp(static_cast<float>((1u << (bits - 1)) + random.below(1u << (bits - 1))),
                       -12 - bits);
  return scales;
}

// Float16 numbers around `size`, a power of two.
inline SecondLevel random_level(Random& random, const LinearCase& options, int64_t groups, int bits,
                                double size) {
  const int64_t runs = (options.out + options.run_size - 1) / options.run_size;
  const at::Tensor steps = random_scales(random, runs, groups, 11) * std::ldexp(size, 12);
  return {.bits = bits,
          .codes = random_codes(random, options.out, groups, 0, (1 << bits) - 1),
          .steps = steps,
          .zeros = random_scales(random, runs, groups, 11) * -std::ldexp(1, 14)};
}

// About one weight in eight, columns ascending; a row without any comes up.
inline Outliers random_outliers(Random& random, int64_t out, int64_t in) {
  std::vector<int64_t> starts = {0};
  std::vector<int32_t> columns;
  for (int64_t row = 0; row < out; ++row) {
    for (int64_t column = 0; column < in && row % 5 != 4; ++column)
      if (random.below(8) == 0) columns.push_back(static_cast<int32_t>(column));
    starts.push_back(static_cast<int64_t>(columns.size()));
  }
  const auto count = static_cast<int64_t>(columns.size());
  return {.row_starts = at::tensor(starts, at::kLong),
          .columns = at::tensor(columns, at::kInt),
          .values = random_scales(random, 1, std::max<int64_t>(count, 1), 11)
                        .reshape({-1})
                        .narrow(0, 0, count) *
                    -4096};
}

// Puts the optional parts that the case asks for into a uniform linear.
inline void add_parts(Random& random, const LinearCase& options, QuantizedLinear& linear) {
  const int64_t groups = linear.groups();
  if (options.run_size > 0) {
    BilevelStatistics bilevel{
        .run_size = options.run_size,
        .scales = random_level(random, options, groups, options.scale_code_bits, 0x1p-7),
        .zeros = {}};
    linear.scales = reconstruct(bilevel.scales, options.run_size);
    if (options.zero_code_bits > 0 && !options.symmetric) {
      bilevel.zeros = random_level(random, options, groups, options.zero_code_bits, 1);
      linear.zeros = reconstruct(*bilevel.zeros, options.run_size);
    }
    linear.bilevel = std::move(bilevel);
  }
  if (options.outliers) linear.outliers = random_outliers(random, options.out, options.in);
  if (!options.dead_columns.empty())
    linear.dead_columns = at::tensor(options.dead_columns, at::kInt);
}

inline QuantizedLinear make_linear(const LinearCase& options, uint64_t seed = 1) {
  Random random(seed);
  QuantizedLinear linear;
  linear.bits = options.bits;
  linear.group_size =
      options.group_size == 0 ? options.in : std::min(options.group_size, options.in);
  linear.symmetric = options.symmetric;
  const int64_t groups = group_count(options.in, linear.group_size);
  const int top = (1 << options.bits) - 1;
  linear.codes = random_codes(random, options.out, options.in, 0, top);
  linear.scales = random_scales(random, options.out, groups, options.scale_bits);
  linear.zeros = options.symmetric
                     ? at::full({options.out, groups}, 1 << (options.bits - 1), at::kByte)
                     : random_codes(random, options.out, groups, options.zero_min, top);
  if (options.dynamic_groups)
    linear.group_of_column =
        at::arange(options.in, at::kInt).flip(0).floor_divide(linear.group_size).contiguous();
  add_parts(random, options, linear);
  return linear;
}

// The greatest code of a grid in super-blocks.
inline int top_code(int bits, Levels levels) {
  if (levels == Levels::kTq1 || levels == Levels::kTq2) return 2;
  const bool e2m1 = levels == Levels::kMxfp4 || levels == Levels::kNvfp4;
  return (1 << bits) - 1 - (e2m1 ? 1 : 0);
}

// Scales of blocks that the type of these levels has.   steps: float16 numbers about 0.01
inline at::Tensor held_steps(const at::Tensor& steps, Levels levels) {
  if (levels_shape(levels).step_bits == 16) return steps;
  const at::Tensor twice = std::get<0>(at::frexp(steps.abs())) * 2;  // from 1 to below 2
  const at::Tensor power = steps.abs() / twice;
  return levels == Levels::kMxfp4 ? power : power * twice.mul(8).floor().div(8);
}

// Super-blocks of any numbers that a file may hold.
inline QuantizedLinear make_super_blocks(int bits, int64_t out, int64_t in,
                                         Levels levels = Levels::kEven, uint64_t seed = 1) {
  Random random(seed);
  const SuperBlockShape shape = super_block_shape(bits, levels);
  const int64_t groups = in / shape.group_size, blocks = in / shape.columns;
  const int codes = 1 << shape.scale_bits;
  QuantizedLinear linear;
  linear.bits = bits;
  linear.group_size = shape.group_size;
  linear.symmetric = shape.symmetric;
  linear.codes = random_codes(random, out, in, 0, top_code(bits, levels));
  const auto draw = [&](int64_t bias) {
    const at::Tensor drawn = random_codes(random, out, groups, 0, codes - 1).to(at::kShort);
    return (drawn - bias).to(at::kChar);
  };
  linear.blocks = {.scale_codes = draw(shape.symmetric ? codes / 2 : 0),
                   .offset_codes = {},
                   .steps = held_steps(random_scales(random, out, blocks, 11), levels),
                   .offsets = {},
                   .levels = levels};
  if (shape.scale_bits == 0) linear.blocks->scale_codes.fill_(1);
  if (!shape.symmetric) {
    linear.blocks->offset_codes = draw(0);
    linear.blocks->offsets = random_scales(random, out, blocks, 11);
  } else if (levels_shape(levels).step_bits == 16) {
    linear.blocks->steps.select(0, 0).neg_();
  }
  linear.scales = linear.blocks->steps.repeat_interleave(shape.columns / shape.group_size, 1)
                      .mul_(linear.blocks->scale_codes);
  return linear;
}

// Tiles of a trellis, rotated as a solve would.
inline QuantizedLinear make_trellis(TrellisCode code, int bits, int64_t out, int64_t in,
                                    uint64_t seed = 1) {
  Random random(seed);
  QuantizedLinear linear;
  linear.bits = bits;
  linear.group_size = in;
  linear.symmetric = true;
  linear.codes = random_codes(random, out, in, 0, (1 << bits) - 1);
  linear.scales = random_scales(random, out, 1, 11);
  linear.trellis = {.code = code, .state_bits = 10, .rotation = rotation_of(out, in)};
  return linear;
}

// Points of a codebook, any that a file may hold.
inline QuantizedLinear make_vectors(Codebook codebook, int64_t out, int64_t in, uint64_t seed = 1) {
  Random random(seed);
  const CodebookShape shape = codebook_shape(codebook);
  const VectorRule& rule = *find_vector_rule(shape.type);
  QuantizedLinear linear;
  linear.bits = kVectorCodeBits;
  linear.group_size = shape.group_size;
  linear.symmetric = true;
  linear.codes = at::empty({out, in}, at::kByte);
  auto* codes = linear.codes.data_ptr<uint8_t>();
  for (int64_t i = 0; i < linear.codes.numel(); i += rule.dims) {
    const uint8_t* levels =
        rule.levels +
        static_cast<int64_t>(random.below(static_cast<uint64_t>(rule.points))) * rule.dims;
    for (int k = 0; k < rule.dims; ++k)
      codes[i + k] = static_cast<uint8_t>(levels[k] + (random.below(2) == 0 ? kNegative : 0));
  }
  for (int64_t i = 0; rule.even && i < linear.codes.numel(); i += kVectorColumns)
    if (!are_points(rule, codes + i, kVectorColumns)) codes[i] ^= kNegative;
  linear.vectors = {.codebook = codebook,
                    .scale_codes = random_codes(random, out, in / shape.group_size, 0, 15),
                    .steps = random_scales(random, out, in / kSuperBlock, 11)};
  linear.scales = group_scales(*linear.vectors);
  return linear;
}

inline LinearPlan make_plan(const std::string& name, const LinearCase& options) {
  LinearRecipe recipe;
  GridOptions& grid = recipe.grid;
  grid.bits = options.bits;
  grid.group_size = options.group_size;
  grid.symmetric = options.symmetric;
  grid.zero_min = options.zero_min;
  grid.scale_bits = options.scale_bits;
  if (options.run_size > 0) {
    grid.kind = GridKind::kBilevel;
    grid.qq_groupsize = options.run_size;
    grid.qq_scale_bits = options.scale_code_bits;
    grid.round_zero = options.zero_code_bits == 0;
    grid.qq_zero_bits = options.zero_code_bits == 0 ? options.bits : options.zero_code_bits;
  }
  if (options.outliers) recipe.outliers.kind = OutlierKind::kSpqr;
  if (options.dynamic_groups)
    recipe.order = {.kind = OrderKind::kActivation, .static_groups = false};
  return {.name = name, .out = options.out, .in = options.in, .grid = stored_grid(recipe)};
}

// A source model: a config, companions and some tensors that stay as they are.
class SourceModel {
 public:
  explicit SourceModel(at::ScalarType dtype = at::kBFloat16) {
    const nlohmann::json config = {
        {"architectures", {"LlamaForCausalLM"}},
        {"model_type", "llama"},
        {"rms_norm_eps", 1e-05},
        {"torch_dtype", dtype == at::kBFloat16 ? "bfloat16" : "float16"}};
    write_file_atomically(folder_ / "config.json", config.dump());
    write_file_atomically(folder_ / "tokenizer.json", "{\"tokens\": [\"\xE2\x96\x81\"]}");
    write_file_atomically(folder_ / "generation_config.json", "{ }\n");
    write_file_atomically(folder_ / "chat_template.jinja", "{{ text }}");
    write_file_atomically(folder_ / "pytorch_model.bin", "must not travel");
    for (const auto& [name, tensor] : others()) tensors_[name] = tensor.to(dtype);
    write_safetensors(folder_ / "model.safetensors", tensors_, {{"format", "pt"}});
    checkpoint_ = std::make_unique<Checkpoint>(folder_.path());
  }
  const Checkpoint& checkpoint() const { return *checkpoint_; }
  const std::map<std::string, at::Tensor>& tensors() const { return tensors_; }

 private:
  static std::map<std::string, at::Tensor> others() {
    return {{"model.embed_tokens.weight", at::arange(40, at::kFloat).reshape({10, 4})},
            {"model.norm.weight", at::arange(4, at::kFloat)},
            {"a.bias", at::arange(32, at::kFloat)},
            {"model.router.weight", at::arange(8, at::kFloat).reshape({2, 4})}};
  }
  TemporaryFolder folder_;
  std::map<std::string, at::Tensor> tensors_;
  std::unique_ptr<Checkpoint> checkpoint_;
};

// The formats that are folders; a GGUF file has tests of its own (gguf_blocks_test, and in
// tests/pipeline gguf_output_test).
inline std::vector<Format> folder_formats() {
  std::vector<Format> folders = formats();
  std::erase_if(folders,
                [](const Format& format) { return format.kind != PendingOutput::Kind::kFolder; });
  return folders;
}

struct NamedCase {
  std::string name;
  LinearCase options;
};

inline OutputPlan plan_for(const SourceModel& source, const std::vector<NamedCase>& cases,
                           at::ScalarType dtype = at::kBFloat16) {
  OutputPlan plan;
  plan.source = &source.checkpoint();
  plan.dtype = dtype;
  plan.head = "lm_head";
  plan.embedding = "model.embed_tokens";
  for (const auto& [name, options] : cases) plan.linears.push_back(make_plan(name, options));
  return plan;
}

// Writes the cases (each linear seeded by its place) and the source's tensors; returns what must be
// read back.
inline std::map<std::string, std::string> write_cases(const std::filesystem::path& folder,
                                                      const std::string& format,
                                                      const SourceModel& source,
                                                      const std::vector<NamedCase>& cases,
                                                      at::ScalarType dtype = at::kBFloat16) {
  std::filesystem::create_directories(folder);
  const OutputPlan plan = plan_for(source, cases, dtype);
  const auto writer = find_format(format).open_writer(folder, plan);
  for (const auto& [name, tensor] : source.tensors()) writer->add_tensor(name, tensor);
  for (size_t i = 0; i < cases.size(); ++i)
    writer->add_linear(finish_linear(cases[i].name, make_linear(cases[i].options, i + 1)));
  writer->finish({{"made_by", "test"}});
  return writer->fingerprints();
}

// A folder with exactly these tensors and this config.
inline void write_folder(const std::filesystem::path& folder, const nlohmann::json& config,
                         const std::map<std::string, at::Tensor>& tensors,
                         const std::map<std::string, std::string>& metadata = {{"format", "pt"}}) {
  std::filesystem::create_directories(folder);
  write_file_atomically(folder / "config.json", config.dump());
  write_safetensors(folder / "model.safetensors", tensors, metadata);
}

// Opens a folder and reads every linear of it; returns the error, which must be one line.
inline std::string reading_error(const std::filesystem::path& folder) {
  const std::string message = message_of([&] {
    const auto model = open_model(folder);
    for (const std::string& name : model->linears()) static_cast<void>(model->read_linear(name));
  });
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message;
}

// A native folder of one linear "a", read back and compared.
inline void write_native(const std::filesystem::path& folder, const QuantizedLinear& linear) {
  const SourceModel source;
  OutputPlan plan = plan_for(source, {});
  plan.linears.push_back(plan_of("a", linear));
  std::filesystem::create_directories(folder);
  const auto writer = find_format("native").open_writer(folder, plan);
  writer->add_linear(finish_linear("a", linear));
  writer->finish({});
  EXPECT_NO_THROW(verify_written(folder, writer->fingerprints()));
}

// What such a folder holds: the description of "a", and all tensors.
struct NativeFolder {
  nlohmann::json config, description;
  std::map<std::string, at::Tensor> tensors;
};

// What reading it says once it has been spoilt.
inline std::string native_error(const QuantizedLinear& linear,
                                const std::function<void(NativeFolder&)>& spoil) {
  const TemporaryFolder folder;
  write_native(folder / "m", linear);
  const Checkpoint checkpoint(folder / "m");
  NativeFolder parts{
      checkpoint.config(),
      nlohmann::json::parse(checkpoint.metadata().at("halftone.native")).at("linears").at("a"),
      {}};
  for (const std::string& name : checkpoint.names())
    parts.tensors[name] = checkpoint.load(name).clone();
  spoil(parts);
  const nlohmann::json description = {{"version", 1}, {"linears", {{"a", parts.description}}}};
  write_folder(folder / "spoilt", parts.config, parts.tensors,
               {{"halftone.native", description.dump()}});
  return reading_error(folder / "spoilt");
}

}  // namespace halftone::testing
