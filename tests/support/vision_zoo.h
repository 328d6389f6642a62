// The small trained vision transformers of ../shared/data/models/zoo, and the images they were
// tested on.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "base/files.h"
#include "support/fixtures.h"

namespace halftone::testing {

struct VisionModel {
  const char* name;
  double accuracy;  // on the 2000 images, by transformers

  std::filesystem::path folder() const { return shared_data("models/zoo") / name; }
  std::filesystem::path golden() const {
    return shared_data("golden/zoo") / (std::string(name) + ".safetensors");
  }
};

inline std::ostream& operator<<(std::ostream& out, const VisionModel& model) {
  return out << model.name;
}

inline constexpr VisionModel kVisionModels[] = {{"vit_cifar10", 0.6110}, {"deit_cifar10", 0.5775}};

inline std::filesystem::path cifar_images() {
  return shared_data("vit/cifar10_test_first2000.bin");
}

// Some of these images, from `first` on, as a file of their own.
inline void write_cifar(const std::filesystem::path& path, size_t first, size_t count) {
  constexpr size_t kRecord = 3073;
  const MappedFile all(cifar_images());
  write_file_atomically(path, all.text().substr(first * kRecord, count * kRecord));
}

// Of INSTANTIATE_TEST_SUITE_P.
inline std::string vision_name(const ::testing::TestParamInfo<VisionModel>& info) {
  return info.param.name;
}

}  // namespace halftone::testing
