// safetensors files (formats.md 2): named tensors behind a JSON header.
//
// The reader maps the file and is stricter than the reference library: no holes, no overlap, no
// duplicate names, no arithmetic that can overflow. The writer orders tensors by alignment, then
// name, pads the header to 8 bytes.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/spill_file.h"

namespace halftone {

struct StoredTensor {
  std::string name;
  std::string dtype;           // as written: "F32", "BF16", "I32", ...
  std::vector<int64_t> shape;  // empty: a scalar
  size_t begin = 0, end = 0;   // bytes of the file, [begin, end)
};

class SafetensorsFile {
 public:
  // Errors: everything formats.md 2 refuses, each with the file and the tensor.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::vector<StoredTensor>& tensors() const { return tensors_; }  // in file order
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const StoredTensor* find(std::string_view name) const;  // nullptr if absent

  std::span<const std::byte> bytes(const StoredTensor& tensor) const;
  // A read-only view of the mapping (do not write to it), kept alive by the tensor. An unaligned
  // tensor is copied. Errors: a dtype torch does not have.
  at::Tensor view(const StoredTensor& tensor) const;
  const MappedFile& file() const { return file_; }

 private:
  MappedFile file_;
  std::vector<StoredTensor> tensors_;
  std::map<std::string, size_t, std::less<>> index_;
  std::map<std::string, std::string> metadata_;
};

// One file, written beside and renamed. Tensors: contiguous CPU, any dtype formats.md 2 names and
// torch has. The same input gives the same bytes.
void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, at::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata);

// A tensor of a file that is being written, whose bytes are fetched when their turn comes.
struct OutgoingTensor {
  std::string name;
  at::ScalarType dtype;
  std::vector<int64_t> shape;
  size_t bytes;
  std::function<void(OutputFile& file)> write;  // exactly `bytes` of them
};

// The same from tensors that need not be in memory together; any order.
void stream_safetensors(const std::filesystem::path& path, std::vector<OutgoingTensor> tensors,
                        const std::map<std::string, std::string>& metadata);

// Tensors handed over one after another, cut into shards of at most `shard_bytes`
// (model.safetensors alone, or model-0000i-of-0000N.safetensors and model.safetensors.index.json).
// Their bytes wait in a temporary file, since a shard's header and order need all of its tensors:
// memory holds one tensor, the disk one shard more than the result. `finish` writes the index;
// until then the folder holds temporary names.
class ShardedWriter {
 public:
  static constexpr size_t kShardBytes = size_t{5} << 30;

  ShardedWriter(std::filesystem::path folder, std::map<std::string, std::string> metadata,
                size_t shard_bytes = kShardBytes);
  ~ShardedWriter();  // removes the temporary files of a writer that did not finish
  ShardedWriter(const ShardedWriter&) = delete;
  ShardedWriter& operator=(const ShardedWriter&) = delete;

  // Errors: a name twice, a dtype formats.md 2 does not name, a full disk.
  void add(const std::string& name, const at::Tensor& tensor);
  void finish();

 private:
  void flush();
  std::filesystem::path folder_;
  std::map<std::string, std::string> metadata_;
  size_t shard_bytes_, pending_bytes_ = 0, total_bytes_ = 0;
  std::optional<SpillFile> waiting_;     // the bytes of the pending tensors
  std::vector<OutgoingTensor> pending_;  // of the next shard
  std::map<std::string, size_t> shard_of_;
  size_t shards_ = 0;  // written so far
  bool finished_ = false;
};

}  // namespace halftone
