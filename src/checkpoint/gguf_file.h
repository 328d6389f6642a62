// GGUF files (formats.md 12.2): named tensors in blocks behind metadata; one file or several parts.
//
// A file is mapped, not read. De-quantized tensors under the names of a model: gguf_model.h.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "checkpoint/gguf_header.h"

namespace halftone {

class GgufFile {
 public:
  // Errors: see parse_gguf_header; they name the file.
  explicit GgufFile(const std::filesystem::path& path);

  const GgufHeader& header() const { return header_; }
  const GgufMetadata& metadata() const { return header_.metadata; }
  const std::vector<GgufTensor>& tensors() const { return header_.tensors; }  // in file order
  const GgufTensor* find(std::string_view name) const;                        // nullptr if absent
  std::span<const std::byte> bytes(const GgufTensor& tensor) const;
  const MappedFile& file() const { return file_; }

 private:
  MappedFile file_;
  GgufHeader header_;
  std::map<std::string_view, size_t> index_;
};

// Whether a file is meant to be one: by its name, or by how it begins.
bool is_gguf(const std::filesystem::path& path);

// A file and, where it says that it is the first of several (`split.count`), the parts beside it:
// BASE-0000i-of-0000N.gguf. The first holds the metadata. Errors: another part than the first, a
// part that is missing or belongs elsewhere, a tensor in two parts or in none.
std::vector<std::shared_ptr<const GgufFile>> open_gguf_parts(const std::filesystem::path& path);

}  // namespace halftone
