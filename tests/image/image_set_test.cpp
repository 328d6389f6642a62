#include "image/image_set.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;
using ::halftone::testing::test_data;

const std::vector<std::string> kClasses = {"cat", "dog", "bird"};

// Of a record the label, and pixels whose planes begin with 1, 2 and 3.
std::string record(char label) {
  std::string text(3073, '\0');
  text[0] = label;
  for (size_t plane = 0; plane < 3; ++plane) text[1 + plane * 1024] = static_cast<char>(plane + 1);
  return text;
}

std::string message_for(const fs::path& path) {
  return message_of([&] { (void)open_images(path, kClasses); });
}

class Images : public ::testing::Test {
 protected:
  void add(const std::string& place, const std::string& image) {
    fs::create_directories((folder_ / place).parent_path());
    fs::copy_file(test_data("images") / image, folder_ / place);
  }
  std::vector<int64_t> labels() const {
    const auto set = open_images(folder_.path(), kClasses);
    std::vector<int64_t> all;
    for (int64_t i = 0; i < set->count(); ++i) all.push_back(set->label(i));
    return all;
  }

  const TemporaryFolder folder_;
};

TEST_F(Images, RecordsAreALabelAndThreePlanes) {
  write_file_atomically(folder_ / "a.bin", record(2) + record(0));
  const auto set = open_images(folder_ / "a.bin", kClasses);
  ASSERT_EQ(set->count(), 2);
  EXPECT_EQ(set->label(0), 2);
  EXPECT_EQ(set->label(1), 0);
  const Image image = set->read(1);
  EXPECT_EQ(image.width, 32);
  EXPECT_EQ(image.rgb.size(), 3072u);
  EXPECT_EQ((std::vector<uint8_t>(image.rgb.begin(), image.rgb.begin() + 4)),
            (std::vector<uint8_t>{1, 2, 3, 0}));
}

TEST_F(Images, OtherFilesThanRecordsAreRefused) {
  write_file_atomically(folder_ / "cut.bin", record(0).substr(1));
  write_file_atomically(folder_ / "none.bin", "");
  write_file_atomically(folder_ / "label.bin", record(0) + record(3));
  EXPECT_NE(message_for(folder_ / "cut.bin").find("3072 bytes: expected CIFAR-10's records"),
            std::string::npos);
  EXPECT_NE(message_for(folder_ / "none.bin").find("the file is empty"), std::string::npos);
  EXPECT_NE(message_for(folder_ / "label.bin").find("image 1: label 3: the model has 3 classes"),
            std::string::npos);
  EXPECT_NE(message_for(folder_ / "absent").find("no such file or folder"), std::string::npos);
  EXPECT_NE(message_for(test_data("images/photo.png")).find("expected images"), std::string::npos);
}

TEST_F(Images, FoldersAreClassesByTheirNames) {
  add("dog/b.PNG", "photo.png");
  add("dog/a.jpeg", "photo.jpg");
  add("dog/notes.txt", "make.py");
  add("bird/c.jpg", "grey.jpg");
  EXPECT_EQ(labels(), (std::vector<int64_t>{2, 1, 1}));
  const auto set = open_images(folder_.path(), kClasses);
  EXPECT_EQ(set->read(0).width, 29);
  EXPECT_EQ(set->read(1).height, 21);
}

TEST_F(Images, FoldersAreClassesByTheirNumbers) {
  add("2/a.png", "photo.png");
  add("0/a.png", "photo.png");
  EXPECT_EQ(labels(), (std::vector<int64_t>{0, 2}));
}

TEST_F(Images, AsManyFoldersAsClassesAreThoseInOrder) {
  add("n02/a.png", "photo.png");
  add("n01/a.png", "photo.png");
  add("n03/a.png", "photo.png");
  EXPECT_EQ(labels(), (std::vector<int64_t>{0, 1, 2}));
}

TEST_F(Images, FoldersThatAreNoClassesAreRefused) {
  add("dog/a.png", "photo.png");
  add("horse/a.png", "photo.png");
  const std::string message = message_for(folder_.path());
  EXPECT_NE(message.find("named like the model's 3 classes (cat, ...)"), std::string::npos)
      << message;
}

TEST_F(Images, AFolderWithoutImagesIsRefused) {
  EXPECT_NE(message_for(folder_.path()).find("found 0 folders"), std::string::npos);
  add("photo.png", "photo.png");  // of no class
  fs::create_directory(folder_ / "dog");
  EXPECT_NE(message_for(folder_.path()).find("found 1 folders"), std::string::npos);
}

TEST_F(Images, ABrokenFileIsNamed) {
  add("dog/a.png", "photo.png");
  fs::resize_file(folder_ / "dog/a.png", 1000);
  const auto set = open_images(folder_.path(), kClasses);
  const std::string message = message_of([&] { (void)set->read(0); });
  EXPECT_NE(message.find("dog/a.png: PNG: "), std::string::npos) << message;
}

TEST_F(Images, AnotherSetHasAnotherHash) {
  write_file_atomically(folder_ / "a.bin", record(2));
  write_file_atomically(folder_ / "b.bin", record(1));
  EXPECT_NE(open_images(folder_ / "a.bin", kClasses)->sha256(),
            open_images(folder_ / "b.bin", kClasses)->sha256());
}

}  // namespace
}  // namespace halftone
