// Labelled images in files: CIFAR-10's binary records, or folders of PNG and JPEG files, one a
// class.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "image/image.h"

namespace halftone {

class ImageSet {
 public:
  virtual ~ImageSet() = default;
  virtual int64_t count() const = 0;               // 1 at least
  virtual int64_t label(int64_t index) const = 0;  // of the classes
  // Errors, behind the file's place: those of decode_image.
  virtual Image read(int64_t index) const = 0;
  // Tells two sets apart by what can be seen without decoding: SHA-256 of the records, or of the
  // files' places and sizes.
  virtual std::string sha256() const = 0;
};

// path: a file of records of one byte, the class, and 3072, 32 x 32 pixels in red, green and blue
// planes; or a folder with a folder for each class, of which .png, .jpg and .jpeg files count.
// classes: their names, by number. The folders' names are among them, or are their numbers, or
// there are as many, which then are the classes in the order of their names.
// Errors: no whole number of records; a label or folder that is none of the classes; no image.
std::unique_ptr<const ImageSet> open_images(const std::filesystem::path& path,
                                            const std::vector<std::string>& classes);

}  // namespace halftone
