// Files of pictures against what PIL makes of them (tests/data/images), and files that are none.
#include "image/image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "image/resample.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;
using ::halftone::testing::test_data;

std::string bytes_of(const std::string& name) {
  return read_file(test_data("images") / name);
}

Image decoded(const std::string& bytes) {
  return decode_image(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

// A PPM file: "P6\nWIDTH HEIGHT\n255\n" and the pixels.
Image portable_pixmap(const std::string& name) {
  const std::string bytes = bytes_of(name);
  std::istringstream header(bytes);
  std::string kind;
  int64_t width = 0, height = 0, greatest = 0;
  header >> kind >> width >> height >> greatest;
  const auto pixels = static_cast<size_t>(3 * width * height);
  return {width, height, {bytes.end() - static_cast<ptrdiff_t>(pixels), bytes.end()}};
}

class Decoded : public ::testing::TestWithParam<const char*> {};

TEST_P(Decoded, PixelsAreThoseOfPil) {
  const Image image = decoded(bytes_of(GetParam()));
  const Image expected = portable_pixmap(std::string(GetParam()) + ".ppm");
  EXPECT_EQ(image.width, expected.width);
  EXPECT_EQ(image.height, expected.height);
  EXPECT_EQ(image.rgb, expected.rgb);
}

TEST_P(Decoded, EveryTruncationIsAnErrorOfOneLine) {
  const std::string whole = bytes_of(GetParam());
  const bool png = std::string(GetParam()).ends_with(".png");
  const size_t end = whole.size() - (png ? 1 : 2);  // of a JPEG the last two bytes say that it ends
  for (size_t length = 0; length < end; ++length) {
    const std::string message = message_of([&] { (void)decoded(whole.substr(0, length)); });
    ASSERT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST_P(Decoded, ChangedBytesAreAnErrorOrAnImage) {
  std::string bytes = bytes_of(GetParam());
  for (size_t at = 0; at < bytes.size(); ++at) {
    const char kept = bytes[at];
    for (const char other : {'\0', '\xff', static_cast<char>(kept ^ 1)}) {
      bytes[at] = other;
      try {
        const Image image = decoded(bytes);
        EXPECT_EQ(image.rgb.size(), static_cast<size_t>(3 * image.width * image.height));
      } catch (const Error&) {  // says what is wrong
      }
    }
    bytes[at] = kept;
  }
}

std::string file_name(const ::testing::TestParamInfo<const char*>& file) {
  std::string name = file.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Files, Decoded,
                         ::testing::Values("photo.png", "alpha.png", "grey.png", "bits.png",
                                           "palette.png", "photo.jpg", "progressive.jpg",
                                           "grey.jpg"),
                         file_name);

TEST(Image, FourInksAreRefused) {
  EXPECT_NE(message_of([] { (void)decoded(bytes_of("inks.jpg")); }).find("JPEG: "),
            std::string::npos);
}

// A few bytes ask for a pass over the whole image, however large: 8 x 8 pixels, one block, whose
// scans say that nothing follows in 16384 blocks.
std::string grey_of_scans(int scans) {
  const auto segment = [](char kind, std::string body) {
    const auto size = static_cast<char>(body.size() + 2);
    return std::string({'\xff', kind, '\0', size}) + std::move(body);
  };
  std::string file = "\xff\xd8" + segment('\xdb', '\0' + std::string(64, '\1')) +
                     segment('\xc2', {8, 0, 8, 0, 8, 1, 1, 0x11, 0}) +
                     segment('\xc4', '\x10' + ('\1' + std::string(15, '\0')) + '\xe0');
  for (int i = 0; i < scans; ++i) file += segment('\xda', {1, 1, 0, 1, 63, 0}) + std::string(2, 0);
  return file + "\xff\xd9";
}

TEST(Image, ManyScansAreRefused) {
  EXPECT_EQ(decoded(grey_of_scans(100)).width, 8);
  EXPECT_NE(message_of([] { decoded(grey_of_scans(101)); }).find("more than 100 scans"),
            std::string::npos);
}

TEST(Image, OtherFilesAreRefusedByWhatTheyAreNot) {
  EXPECT_EQ(message_of([] { (void)decoded("GIF89a"); }),
            "expected a PNG or JPEG image, found neither");
  EXPECT_EQ(message_of([] { (void)decoded(""); }),
            "expected a PNG or JPEG image, found an empty file");
}

TEST(Image, AbsurdSizesAreRefusedBeforeThereIsRoomForThem) {
  std::string png = bytes_of("photo.png");
  png[16] = '\x7f';  // the width, behind whose checksum nobody looks first
  EXPECT_NE(message_of([&] { (void)decoded(png); }).find("PNG: "), std::string::npos);
  std::string jpeg = bytes_of("photo.jpg");
  const size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\xff\x00\xff\x00", 4);  // 65280 x 65280
  EXPECT_EQ(message_of([&] { (void)decoded(jpeg); }),
            "65280 x 65280 pixels: expected at most 67108864 in all and 65500 a side");
}

struct Resize {
  int filter;
  int64_t width, height;
};

TEST(Resized, PixelsAreThoseOfPil) {
  const Image photo = decoded(bytes_of("photo.png"));
  for (const auto& [filter, width, height] : {Resize{1, 12, 9},
                                              {2, 12, 9},
                                              {2, 32, 32},
                                              {2, 29, 7},
                                              {3, 12, 9},
                                              {3, 40, 33},
                                              {4, 12, 9},
                                              {5, 12, 9}}) {
    const Image image = resized(photo, width, height, static_cast<ResampleFilter>(filter));
    const std::string name = fmt::format("resized.{}.{}x{}.ppm", filter, width, height);
    EXPECT_EQ(image.rgb, portable_pixmap(name).rgb) << name;
  }
}

}  // namespace
}  // namespace halftone
