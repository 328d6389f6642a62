// Writes GGUF files (formats.md 12.2) whose tensors are known beforehand by name, type and shape,
// and come one after another, each a piece at a time: memory holds what the caller hands over.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/files.h"
#include "kernels/gguf_blocks.h"

namespace halftone {

// A value as a file stores it: its kind, then itself. The kind is that of the argument.
std::string gguf_value(uint8_t value);
std::string gguf_value(int8_t value);
std::string gguf_value(uint16_t value);
std::string gguf_value(int16_t value);
std::string gguf_value(uint32_t value);
std::string gguf_value(int32_t value);
std::string gguf_value(uint64_t value);
std::string gguf_value(int64_t value);
std::string gguf_value(float value);
std::string gguf_value(double value);
std::string gguf_value(bool value);
std::string gguf_value(std::string_view value);
std::string gguf_value(const char* value);
std::string gguf_value(std::span<const std::string> values);
std::string gguf_value(std::span<const float> values);
std::string gguf_value(std::span<const int32_t> values);
std::string gguf_value(std::span<const uint32_t> values);

struct GgufPlan {
  struct Tensor {
    std::string name;
    std::vector<int64_t> shape;  // as in torch, rows first
    const GgufType* type;
    size_t bytes() const;
  };

  std::vector<std::pair<std::string, std::string>> metadata;  // key, gguf_value(...); in file order
  std::vector<std::pair<std::string, std::string>> metadata_of_parts = {};  // behind the first one
  std::vector<Tensor> tensors;                                              // in file order
  size_t part_bytes = std::numeric_limits<size_t>::max();  // of data in a part, at most

  // Where each part's tensors begin; a tensor larger than `part_bytes` is a part of its own.
  std::vector<size_t> parts() const;
};

// Where part `number` (from 0) of `count` is written: `path` itself if it is the only one, else
// BASE-0000i-of-0000N.gguf beside it.
std::filesystem::path gguf_part_path(const std::filesystem::path& path, size_t number,
                                     size_t count);

class GgufWriter {
 public:
  // path: NAME.gguf. Files appear under their own names: who wants them complete or absent hands
  // over a place that is moved later. Errors: a plan that no file can hold (a name twice, or longer
  // than 63 bytes, a row that is no whole number of blocks); a place that cannot be written.
  GgufWriter(std::filesystem::path path, GgufPlan plan);
  ~GgufWriter();  // without `finish` the files are removed
  GgufWriter(const GgufWriter&) = delete;
  GgufWriter& operator=(const GgufWriter&) = delete;

  // The plan's next tensor, or the rest of it: any part of its bytes, in order. Errors: another
  // tensor than the plan's next, more bytes than it has, a full disk.
  void write(std::string_view name, std::span<const std::byte> bytes);
  // known: values that are known by now, of the planned keys and each as long as the planned one,
  // which they take the place of. Errors: a tensor of the plan that is not there or not whole.
  void finish(const std::vector<std::pair<std::string, std::string>>& known = {});

  const std::vector<std::filesystem::path>& files() const { return files_; }  // written so far

 private:
  void open_part();
  void pad();
  void put_in_place(const std::string& key, const std::string& value);

  std::filesystem::path path_;
  GgufPlan plan_;
  std::vector<size_t> parts_;
  std::map<std::string, size_t> places_;  // of the metadata's values in the first part
  std::vector<std::filesystem::path> files_;
  std::unique_ptr<OutputFile> file_;
  size_t tensor_ = 0, written_ = 0;  // the plan's, and bytes of it
  bool finished_ = false;
};

}  // namespace halftone
