#include "image/image_set.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"
#include "base/sha256.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kCifarSide = 32, kPlane = kCifarSide * kCifarSide, kRecord = 1 + 3 * kPlane;
constexpr size_t kLargestFile = size_t{1} << 29;  // of one image

class CifarFile final : public ImageSet {
 public:
  CifarFile(const fs::path& path, size_t classes) : file_(path) {
    const size_t size = file_.bytes().size();
    require(size > 0 && size % kRecord == 0,
            "{}: {} bytes: expected CIFAR-10's records of {} bytes each, label and 32 x 32 pixels; "
            "{}",
            shown(path), size, kRecord,
            size == 0 ? "the file is empty" : "cut short, or another kind of file");
    for (int64_t i = 0; i < count(); ++i)
      require(label(i) < static_cast<int64_t>(classes),
              "{}: image {}: label {}: the model has {} classes", shown(path), i, label(i),
              classes);
  }

  int64_t count() const override { return static_cast<int64_t>(file_.bytes().size()) / kRecord; }
  int64_t label(int64_t index) const override { return byte(index * kRecord); }

  Image read(int64_t index) const override {
    file_.require_unchanged();
    Image image{kCifarSide, kCifarSide, {}};
    for (int64_t pixel = 0; pixel < kPlane; ++pixel)
      for (int64_t channel = 0; channel < 3; ++channel)
        image.rgb.push_back(byte(index * kRecord + 1 + channel * kPlane + pixel));
    return image;
  }

  std::string sha256() const override { return sha256_hex(file_.bytes()); }

 private:
  uint8_t byte(int64_t at) const {
    return std::to_integer<uint8_t>(file_.bytes()[static_cast<size_t>(at)]);
  }

  MappedFile file_;
};

bool is_image(const fs::path& path) {
  std::string type = path.extension().string();
  for (char& c : type)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return type == ".png" || type == ".jpg" || type == ".jpeg";
}

// In the order of their names; what cannot be listed is an Error.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> entries;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error))
    entries.push_back(entry->path());
  require(!error, "{}: cannot be listed: {}", shown(folder), error.message());
  std::sort(entries.begin(), entries.end());
  return entries;
}

// The whole number that a name is; -1: none.
int64_t number_of(const std::string& name) {
  int64_t number = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && end == name.data() + name.size() ? number : -1;
}

class ImageFolder final : public ImageSet {
 public:
  ImageFolder(const fs::path& folder, const std::vector<std::string>& classes) : folder_(folder) {
    std::vector<fs::path> folders;
    std::error_code error;
    for (const fs::path& entry : entries_of(folder))
      if (fs::is_directory(entry, error)) folders.push_back(entry);
    const std::vector<int64_t> labels = labels_of(folders, classes);
    for (size_t i = 0; i < folders.size(); ++i)
      for (const fs::path& entry : entries_of(folders[i]))
        if (is_image(entry) && fs::is_regular_file(entry, error))
          files_.push_back({entry, labels[i], fs::file_size(entry)});
    require(!files_.empty(),
            "{}: expected a folder for each class with .png, .jpg or .jpeg files, found {} folders "
            "and no such file in them",
            shown(folder), folders.size());
  }

  int64_t count() const override { return static_cast<int64_t>(files_.size()); }
  int64_t label(int64_t index) const override { return at(index).label; }

  Image read(int64_t index) const override {
    const std::string bytes = read_file(at(index).path, kLargestFile);
    return with_path(at(index).path, [&] {
      return decode_image(std::as_bytes(std::span(bytes.data(), bytes.size())));
    });
  }

  std::string sha256() const override {
    std::string list;
    for (const File& file : files_)
      list += fmt::format("{} {} {}\n", fs::relative(file.path, folder_).string(), file.label,
                          file.bytes);
    return sha256_hex(std::as_bytes(std::span(list.data(), list.size())));
  }

 private:
  struct File {
    fs::path path;
    int64_t label;
    uintmax_t bytes;
  };
  const File& at(int64_t index) const { return files_[static_cast<size_t>(index)]; }

  static std::vector<int64_t> labels_of(const std::vector<fs::path>& folders,
                                        const std::vector<std::string>& classes) {
    const auto count = static_cast<int64_t>(classes.size());
    std::vector<int64_t> by_name, by_number, by_order;
    for (const fs::path& folder : folders) {
      const std::string name = folder.filename().string();
      const auto found = std::find(classes.begin(), classes.end(), name);
      if (found != classes.end()) by_name.push_back(found - classes.begin());
      if (const int64_t number = number_of(name); number >= 0 && number < count)
        by_number.push_back(number);
      by_order.push_back(static_cast<int64_t>(by_order.size()));
    }
    if (by_name.size() == folders.size()) return by_name;
    if (by_number.size() == folders.size()) return by_number;
    require(by_order.size() == classes.size(),
            "{}: expected folders named like the model's {} classes ({}, ...) or by their numbers, "
            "or as many; found {} ({}, ...)",
            shown(folders.front().parent_path()), count, printable(classes.front()), folders.size(),
            shown(folders.front().filename()));
    return by_order;
  }

  fs::path folder_;
  std::vector<File> files_;
};

}  // namespace

std::unique_ptr<const ImageSet> open_images(const fs::path& path,
                                            const std::vector<std::string>& classes) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  require(fs::exists(status), "{}: no such file or folder", shown(path));
  if (fs::is_directory(status)) return std::make_unique<const ImageFolder>(path, classes);
  require(path.extension() == ".bin",
          "{}: expected images: a .bin file of CIFAR-10's records, or a folder of PNG and JPEG "
          "files in a folder for each class",
          shown(path));
  return std::make_unique<const CifarFile>(path, classes.size());
}

}  // namespace halftone
