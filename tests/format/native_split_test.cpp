// Kind "split" of the native container: golden bytes, every variant there and back, hostile files.
#include <gtest/gtest.h>

#include <functional>

#include "format/bit_stream.h"
#include "format/support.h"

namespace halftone {
namespace {

using testing::make_linear;
using testing::random_codes;
using testing::random_scales;
using testing::reading_error;
using testing::SourceModel;
using testing::TemporaryFolder;
using testing::write_folder;

std::vector<int> bytes_of(const Checkpoint& checkpoint, const std::string& name) {
  const at::Tensor tensor = checkpoint.load(name);
  const auto* data = static_cast<const uint8_t*>(tensor.const_data_ptr());
  return {data, data + tensor.nbytes()};
}

// Writes linears by name and checks that the same weights come back.
void write(const std::filesystem::path& folder,
           const std::map<std::string, QuantizedLinear>& linears) {
  const SourceModel source;
  std::filesystem::create_directories(folder);
  OutputPlan plan = testing::plan_for(source, {});
  for (const auto& [name, linear] : linears) plan.linears.push_back(plan_of(name, linear));
  const auto writer = find_format("native").open_writer(folder, plan);
  for (const auto& [name, linear] : linears) writer->add_linear(finish_linear(name, linear));
  writer->finish({});
  verify_written(folder, writer->fingerprints());
}

// docs/formats.md: two rows of five columns, 3 bits, groups of two, asymmetric.
QuantizedLinear worked_example() {
  QuantizedLinear linear;
  linear.bits = 3;
  linear.group_size = 2;
  linear.codes = at::tensor({1, 2, 3, 4, 5, 7, 0, 7, 0, 7}, at::kByte).reshape({2, 5});
  linear.scales = at::tensor({1.0, 0.5, 0.25, 2.0, 1.5, 0.125}, at::kFloat).reshape({2, 3});
  linear.zeros = at::tensor({1, 2, 3, 4, 5, 6}, at::kByte).reshape({2, 3});
  const at::Tensor members = at::tensor({0, 1, 0, 0, 1, 0, 0, 1, 1, 0}).to(at::kBool);
  linear.split = SplitOutliers{
      .members = members.reshape({2, 5}),
      .scales = at::tensor({4.0, 1.0, 2.0, 1.0, 0.5, 1.0}, at::kFloat).reshape({2, 3}),
      .zeros = at::tensor({1, 2, 3, 4, 5, 6}, at::kByte).reshape({2, 3})};
  return linear;
}

TEST(NativeSplit, BytesAreTheDocumentedOnes) {
  TemporaryFolder folder;
  write(folder.path(), {{"a", worked_example()}});
  const Checkpoint written(folder.path());
  EXPECT_EQ(bytes_of(written, "a.codes"), (std::vector<int>{0xD1, 0x58, 0xC7, 0x71}));
  EXPECT_EQ(bytes_of(written, "a.split_scales"),
            (std::vector<int>{0x00, 0x44, 0x00, 0x3C, 0x00, 0x40,  //
                              0x00, 0x3C, 0x00, 0x38, 0x00, 0x3C}));
  EXPECT_EQ(bytes_of(written, "a.split_zeros"), (std::vector<int>{0xD1, 0x58, 0x03}));
  EXPECT_EQ(bytes_of(written, "a.split_counts"), (std::vector<int>{1, 0, 1, 0, 2, 0}));
  EXPECT_EQ(bytes_of(written, "a.split_positions"), (std::vector<int>{0x09}));
  EXPECT_EQ(written.metadata().at("halftone.native"),
            R"({"linears":{"a":{"bits":3,"group_index":false,"group_size":2,"kind":"split",)"
            R"("outlier_codes":"uniform","shape":[2,5],"symmetric":false}},"version":1})");
}

TEST(NativeSplit, DocumentedFoldersAreRead) {
  const nlohmann::json config = {
      {"quantization_config",
       {{"quant_method", "halftone"}, {"format", "native"}, {"version", 1}}}};
  const QuantizedLinear example = worked_example();
  std::map<std::string, at::Tensor> tensors = {
      {"a.codes", at::tensor({0xD1, 0x58, 0xC7, 0x71}, at::kByte).reshape({2, 2})},
      {"a.scales", example.scales.to(at::kHalf)},
      {"a.zeros", at::tensor({0xD1, 0x58, 0x03}, at::kByte)},
      {"a.split_scales", example.split->scales.to(at::kHalf)},
      {"a.split_zeros", at::tensor({0xD1, 0x58, 0x03}, at::kByte)},
      {"a.split_counts", at::tensor({1, 0, 1, 0, 2, 0}, at::kByte).reshape({2, 3})},
      {"a.split_positions", at::tensor({0x09}, at::kByte)}};
  const auto weights = [&](const char* codes) {
    TemporaryFolder folder;
    write_folder(folder / "m", config, tensors,
                 {{"halftone.native",
                   fmt::format(R"({{"version": 1, "linears": {{"a": {{"kind": "split", "bits": 3,
                   "shape": [2, 5], "group_size": 2, "symmetric": false, "group_index": false,
                   "outlier_codes": "{}"}}}}}})",
                               codes)}});
    return open_model(folder / "m")->load("a.weight").clone();
  };
  const auto matrix = [](std::initializer_list<double> values) {
    return at::tensor(values, at::kFloat).reshape({2, 5});
  };
  EXPECT_TRUE(at::equal(weights("uniform"), matrix({0, 4, 0.5, 1, 4, 6, -8, 1, -2.5, 0.125})));
  // codes 2 and 5 of row 0 are +2 and -1 steps of magnitude, 7 and 0 of row 1 are -3 and +0
  tensors.erase("a.split_zeros");
  tensors["a.split_floor"] = at::tensor({10.0}, at::kFloat);
  EXPECT_TRUE(
      at::equal(weights("sign_magnitude"), matrix({0, 18, 0.5, 1, -12, 6, -8, -11.5, 10, 0.125})));
}

struct Variant {
  int64_t out, in, group_size;
  int bits;
  bool symmetric, sign_magnitude, dynamic_groups;
  double share;
};

QuantizedLinear split_linear(const Variant& variant) {
  QuantizedLinear linear = make_linear({.out = variant.out,
                                        .in = variant.in,
                                        .bits = variant.bits,
                                        .group_size = variant.group_size,
                                        .symmetric = variant.symmetric,
                                        .dynamic_groups = variant.dynamic_groups});
  Random random(7);
  const int top = (1 << variant.bits) - 1, half = (top + 1) / 2;
  const auto zeros = [&](int low, int high) {
    return random_codes(random, variant.out, linear.groups(), low, high);
  };
  const at::Tensor draws = random_codes(random, variant.out, variant.in, 0, 99);
  linear.split = SplitOutliers{.members = draws.lt(std::llround(100 * variant.share)),
                               .scales = random_scales(random, variant.out, linear.groups(), 8),
                               .zeros = variant.sign_magnitude ? zeros(0, 0)
                                        : variant.symmetric    ? zeros(half, half)
                                                               : zeros(0, top),
                               .sign_magnitude = variant.sign_magnitude,
                               .floor = variant.sign_magnitude ? 0.3F : 0.0F};
  return linear;
}

TEST(NativeSplit, EveryVariantComesBackNumberForNumber) {
  std::map<std::string, QuantizedLinear> linears;
  for (const int64_t group_size : {0, 1, 16, 48, 255, 256})
    for (const int bits : {2, 3, 4, 8})
      for (const bool symmetric : {false, true})
        for (const bool sign_magnitude : {false, true})
          for (const bool dynamic : {false, true})
            for (const double share : {0.0, 0.05, 1.0})
              linears[fmt::format("a{}", linears.size())] = split_linear(
                  {5, 300, group_size, bits, symmetric, sign_magnitude, dynamic, share});
  TemporaryFolder folder;
  write(folder.path(), linears);
  const auto model = open_model(folder.path());
  for (const auto& [name, linear] : linears) {
    const QuantizedLinear read = model->read_linear(name);
    ASSERT_EQ(first_difference(linear, read), "");
    ASSERT_TRUE(read.split->members.equal(linear.split->members));
    ASSERT_TRUE(read.split->zeros.equal(linear.split->zeros));
    ASSERT_EQ(read.split->floor, linear.split->floor);
  }
}

// methods.md 10: the honest count is the papers' plus a count a group (and what rounds up to
// bytes).
TEST(NativeSplit, StoredBytesAreTheQuotedOnesPlusTheCounts) {
  const QuantizedLinear linear = split_linear({64, 1024, 128, 4, true, false, false, 0.05});
  TemporaryFolder folder;
  write(folder.path(), {{"a", linear}});
  const auto bits = static_cast<double>(open_model(folder.path())->linear_bytes("a")) * 8;
  const double quoted = bits_per_weight(linear) * 64 * 1024, counts = 8 * 64 * 8;
  EXPECT_GE(bits, quoted + counts);
  EXPECT_LT(bits, quoted + counts + 8);
}

TEST(NativeSplit, OtherFormatsRefuseItBeforeAnyWork) {
  const SourceModel source;
  OutputPlan plan = testing::plan_for(source, {});
  plan.linears.push_back(plan_of("a", split_linear({32, 64, 32, 4, true, false, false, 0.1})));
  for (const char* name : {"compressed-tensors", "gptq", "gptq_v2"})
    EXPECT_NE(find_format(name).refusal(plan).find("a split grid"), std::string::npos) << name;
  EXPECT_EQ(default_format(plan).name, "native");
}

TEST(WideStream, IsTheStreamOfBytesUpToEightBitsAndReadsBackBeyond) {
  Random random(3);
  for (int bits = 0; bits <= 32; ++bits)
    for (const int64_t count : {0, 1, 7, 8, 9, 61}) {
      std::vector<uint32_t> values(static_cast<size_t>(count)), back(values.size(), 1);
      for (uint32_t& value : values)
        value = static_cast<uint32_t>(random.below(uint64_t{1} << bits));
      std::vector<uint8_t> stream(static_cast<size_t>(stream_bytes(count, bits)), 0xFF);
      pack_wide_stream(values.data(), count, bits, stream.data());
      unpack_wide_stream(stream.data(), count, bits, back.data());
      EXPECT_EQ(back, values) << bits;
      if (bits < 1 || bits > 8) continue;
      const std::vector<uint8_t> codes(values.begin(), values.end());
      std::vector<uint8_t> narrow(stream.size());
      pack_stream(codes.data(), count, bits, narrow.data());
      EXPECT_EQ(stream, narrow) << bits;
    }
}

struct NativeFolder {
  nlohmann::json config, description;
  std::map<std::string, at::Tensor> tensors;
};

void write_spoilt(const std::filesystem::path& folder, const QuantizedLinear& linear,
                  const std::function<void(NativeFolder&)>& spoil) {
  write(folder / "m", {{"a", linear}});
  const Checkpoint checkpoint(folder / "m");
  NativeFolder native{
      checkpoint.config(), nlohmann::json::parse(checkpoint.metadata().at("halftone.native")), {}};
  for (const std::string& name : checkpoint.names())
    native.tensors[name] = checkpoint.load(name).clone();
  spoil(native);
  write_folder(folder / "spoilt", native.config, native.tensors,
               {{"halftone.native", native.description.dump()}});
}

std::string error_with(const QuantizedLinear& linear,
                       const std::function<void(NativeFolder&)>& spoil) {
  TemporaryFolder folder;
  write_spoilt(folder.path(), linear, spoil);
  return reading_error(folder / "spoilt");
}

const Variant kUniform{4, 300, 48, 3, false, false, false, 0.2};
const Variant kSigned{4, 300, 48, 3, false, true, false, 0.2};
const Variant kLongGroups{4, 300, 300, 3, true, false, false, 0.2};

TEST(NativeSplitHostile, UnspoiltFoldersAreRead) {
  for (const Variant& variant : {kUniform, kSigned, kLongGroups}) {
    TemporaryFolder folder;
    write_spoilt(folder.path(), split_linear(variant), [](auto&) {});
    const QuantizedLinear read = open_model(folder / "spoilt")->read_linear("a");
    EXPECT_EQ(first_difference(split_linear(variant), read), "");
  }
}

TEST(NativeSplitHostile, DescriptionsThatLieAreRefused) {
  for (const nlohmann::json& codes : {nlohmann::json("sign_magnitude"), nlohmann::json("signed"),
                                      nlohmann::json(3), nlohmann::json(nullptr)})
    EXPECT_NE(error_with(split_linear(kUniform),
                         [&](auto& native) {
                           native.description["linears"]["a"]["outlier_codes"] = codes;
                         }),
              "");
  const auto without = [](const char* key) {
    return error_with(split_linear(kUniform),
                      [&](auto& native) { native.description["linears"]["a"].erase(key); });
  };
  EXPECT_NE(without("outlier_codes").find("outlier_codes"), std::string::npos);
  EXPECT_NE(
      error_with(split_linear(kUniform),
                 [](auto& native) { native.description["linears"]["a"]["kind"] = "uniform"; }),
      "");
}

TEST(NativeSplitHostile, TensorsThatLieAreRefusedByName) {
  const auto refuses = [](const Variant& variant, const std::string& part, const auto& change) {
    const std::string message = error_with(split_linear(variant), [&](NativeFolder& native) {
      at::Tensor& tensor = native.tensors["a" + part];
      tensor = change(tensor);
      if (!tensor.defined()) native.tensors.erase("a" + part);
    });
    EXPECT_NE(message.find(": a: "), std::string::npos) << part << ": " << message;
    const bool named = message.find("'.split_") != std::string::npos ||
                       message.find("outlier ") != std::string::npos;
    EXPECT_TRUE(named) << part << ": " << message;
  };
  const auto gone = [](const at::Tensor&) { return at::Tensor(); };
  const auto shorter = [](const at::Tensor& x) { return x.narrow(0, 0, x.size(0) - 1).clone(); };
  const auto filled = [](double value) {
    return [=](const at::Tensor& x) { return at::full_like(x, value); };
  };
  for (const char* part : {".split_scales", ".split_zeros", ".split_counts", ".split_positions"}) {
    refuses(kUniform, part, gone);
    refuses(kUniform, part, shorter);
  }
  refuses(kSigned, ".split_floor", gone);
  refuses(kSigned, ".split_floor", filled(-1));
  refuses(kSigned, ".split_floor", filled(NAN));
  refuses(kSigned, ".split_scales", filled(INFINITY));
  refuses(kUniform, ".split_counts", filled(49));  // of 48 columns
  refuses(kUniform, ".split_counts", filled(255));
  refuses(kUniform, ".split_counts", filled(0));  // then there are positions too many
  refuses(kLongGroups, ".split_counts", filled(-1));
  refuses(kLongGroups, ".split_counts", filled(2e9));
  refuses(kUniform, ".split_positions", filled(0));     // do not ascend
  refuses(kUniform, ".split_positions", filled(0xFF));  // 63 of 48 columns
  refuses(kUniform, ".split_floor", [](const auto&) { return at::ones({1}); });
  refuses(kSigned, ".split_zeros", [](const auto&) { return at::zeros({11}, at::kByte); });
}

// A file's group index may gather more columns than its groups have.
TEST(NativeSplitHostile, AGroupIndexThatOverfillsAGroupIsRefused) {
  Variant dynamic = kUniform;
  dynamic.dynamic_groups = true;
  const std::string message = error_with(split_linear(dynamic), [](auto& native) {
    native.tensors["a.group_index"].fill_(1);
    native.tensors["a.split_counts"].fill_(0);
    native.tensors["a.split_positions"] = at::empty({0}, at::kByte);
  });
  EXPECT_NE(message.find("300 columns in a group of 48"), std::string::npos) << message;
}

}  // namespace
}  // namespace halftone
