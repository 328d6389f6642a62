#include "format/finished_linear.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "format/support.h"
#include "format/verify.h"

namespace halftone {
namespace {

using testing::folder_formats;
using testing::make_linear;
using testing::message_of;
using testing::plan_for;
using testing::SourceModel;
using testing::TemporaryFolder;

TEST(FinishedLinear, HoldsTheWeightsOfItsCodesAndTheirFingerprint) {
  const QuantizedLinear linear = make_linear({.bits = 3, .symmetric = false});
  const FinishedLinear finished = finish_linear("a", linear);
  EXPECT_EQ(finished.name, "a");
  EXPECT_TRUE(at::equal(finished.quantized.codes, linear.codes));
  EXPECT_TRUE(at::equal(finished.weights, dequantize(linear)));
  EXPECT_EQ(finished.weights.scalar_type(), at::kFloat);
  EXPECT_EQ(finished.fingerprint, weight_fingerprint(linear));
}

TEST(FinishedLinear, IsNoneOfNumbersThatAreNoGrid) {
  QuantizedLinear linear = make_linear({.bits = 3});
  linear.codes[0][0].fill_(8);
  const std::string message =
      message_of([&] { static_cast<void>(finish_linear("model.a", linear)); });
  EXPECT_TRUE(message.starts_with("model.a: codes")) << message;
}

// Writers neither check nor de-quantize it again: they hand on what it says.
TEST(FinishedLinear, IsTakenByWritersAsItIs) {
  const SourceModel source;
  for (const Format& format : folder_formats()) {
    const TemporaryFolder folder;
    const auto writer = format.open_writer(folder.path(), plan_for(source, {{"a", {}}}));
    FinishedLinear finished = finish_linear("a", make_linear({}));
    finished.fingerprint = "as it is";
    writer->add_linear(finished);
    // these round: their files give back other weights, which they look at themselves
    const bool rounds = format.name == "dense" || format.name == "mlx";
    EXPECT_EQ(writer->fingerprints().at("a") == "as it is", !rounds) << format.name;
  }
}

}  // namespace
}  // namespace halftone
