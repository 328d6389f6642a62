// A run goes on from one of the same identity and from no other.
#include "pipeline/run_identity.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "kernels/mixed_product.h"
#include "pipeline/demo_request.h"
#include "pipeline/interrupted_run.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::interrupt;
using ::halftone::testing::message_of;
using ::halftone::testing::request_for;
using ::halftone::testing::run;
using ::halftone::testing::TemporaryFolder;

TEST(RunIdentity, OfOtherProductsIsRefusedWhereTheyAreAskedFor) {
  if (!has_mixed_product()) GTEST_SKIP() << "no mixed product";
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 3);
  request.products = Products::kTwoParts;
  interrupt(request, 17);
  request.resume = true;
  request.products = Products::kFloat32;
  const std::string message = message_of([&] { run(request); });
  EXPECT_NE(message.find("products: then two-part, now float32"), std::string::npos) << message;
}

TEST(RunIdentity, OfAnotherRequestIsRefusedByWhatDiffers) {
  const TemporaryFolder folder;
  interrupt(request_for(folder / "out", "gptq", 3), 17);
  const auto complaint = [&](auto&& change) {
    QuantizeRequest request = request_for(folder / "out", "gptq", 3);
    request.resume = true;
    change(request);
    return message_of([&] { run(request); });
  };
  const auto expect = [](const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect(complaint([](auto& request) { apply_setting(request.recipe, "grid.bits=4"); }),
         "then bits = 3, now bits = 4");
  expect(complaint([](auto& request) { request.threads = 1; }), "threads: then 2, now 1");
  expect(complaint([](auto& request) { request.seed = 7; }), "seed: then 0, now 7");
  expect(complaint([](auto& request) { request.sequences = 9; }), "then 8, now 9");
  expect(complaint([](auto& request) {
           request.calibration = {{.file = testing::example("tinystories-evaluation.txt")}};
         }),
         "calibration/ids_sha256: then ");
  EXPECT_TRUE(fs::exists(folder / "out.journal" / "block-00001"));
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(RunIdentity, OfAnotherModelIsRefused) {
  const TemporaryFolder folder;
  const auto copy = [&](const std::string& name) {
    fs::copy(testing::example("stories260K"), folder / name, fs::copy_options::recursive);
    return folder / name;
  };
  QuantizeRequest request = request_for(folder / "out", "gptq", 3);
  request.model = copy("model");
  interrupt(request, 17);
  request.model = copy("moved");
  request.resume = true;
  interrupt(request, 20);  // the same model elsewhere
  std::fstream weights(folder / "moved" / "model.safetensors",
                       std::ios::in | std::ios::out | std::ios::binary);
  weights.seekp(-4, std::ios::end);
  weights.write("\0\0\0\x3f", 4);
  weights.close();
  const std::string message = message_of([&] { run(request); });
  EXPECT_NE(message.find("model/fingerprint: then "), std::string::npos) << message;
}

}  // namespace
}  // namespace halftone
