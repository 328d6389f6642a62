// The sharding half of safetensors.h: the file names and the index of Hugging Face (formats.md 2).
#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "checkpoint/dtype.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/shard_index.h"

namespace halftone {
namespace fs = std::filesystem;
namespace {

fs::path temporary_shard(const fs::path& folder, size_t shard) {
  return folder / fmt::format(".shard-{:05}.partial", shard);
}

std::string final_name(size_t shard, size_t shards) {
  return shards == 1 ? std::string(kSingleFile)
                     : fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, shards);
}

// Copies a stretch of `from` to the end of `to`.
void append(const SpillFile& from, int64_t offset, size_t bytes, OutputFile& to) {
  constexpr size_t kAtOnce = size_t{8} << 20;
  std::vector<std::byte> part(std::min(bytes, kAtOnce));
  for (size_t done = 0; done < bytes; done += part.size()) {
    part.resize(std::min(part.size(), bytes - done));
    from.read(offset + static_cast<int64_t>(done), part);
    to.write(part);
  }
}

void rename_shard(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  require(!error, "{}: cannot be put in place: {}", printable(to.string(), 400), error.message());
}

}  // namespace

ShardedWriter::ShardedWriter(fs::path folder, std::map<std::string, std::string> metadata,
                             size_t shard_bytes)
    : folder_(std::move(folder)), metadata_(std::move(metadata)), shard_bytes_(shard_bytes) {}

ShardedWriter::~ShardedWriter() {
  std::error_code ignored;
  for (size_t shard = 0; shard < shards_ && !finished_; ++shard)
    fs::remove(temporary_shard(folder_, shard), ignored);
}

void ShardedWriter::add(const std::string& name, const at::Tensor& tensor) {
  assert(!finished_);
  require(find_dtype(tensor.scalar_type()), "tensor \"{}\": safetensors has no dtype {}",
          printable(name, 200), c10::toString(tensor.scalar_type()));
  require(!shard_of_.contains(name), "tensor \"{}\": written twice", printable(name, 200));
  if (!pending_.empty() && pending_bytes_ + tensor.nbytes() > shard_bytes_) flush();
  if (!waiting_) waiting_.emplace(folder_);
  const at::Tensor plain = tensor.detach().cpu().contiguous().resolve_conj().resolve_neg();
  const size_t bytes = plain.nbytes();
  const int64_t offset =
      waiting_->write({static_cast<const std::byte*>(plain.const_data_ptr()), bytes});
  pending_.push_back(
      {name, plain.scalar_type(), plain.sizes().vec(), bytes,
       [this, offset, bytes](OutputFile& file) { append(*waiting_, offset, bytes, file); }});
  shard_of_.emplace(name, shards_);
  pending_bytes_ += tensor.nbytes();
  total_bytes_ += tensor.nbytes();
}

void ShardedWriter::flush() {
  stream_safetensors(temporary_shard(folder_, shards_), std::move(pending_), metadata_);
  shards_ += 1;
  pending_.clear();
  waiting_.reset();
  pending_bytes_ = 0;
}

void ShardedWriter::finish() {
  assert(!finished_);
  if (!pending_.empty() || shards_ == 0) flush();
  for (size_t shard = 0; shard < shards_; ++shard)
    rename_shard(temporary_shard(folder_, shard), folder_ / final_name(shard, shards_));
  if (shards_ > 1) {
    nlohmann::json index = {{"metadata", {{"total_size", total_bytes_}}},
                            {"weight_map", nlohmann::json::object()}};
    for (const auto& [name, shard] : shard_of_)
      index["weight_map"][name] = final_name(shard, shards_);
    write_file_atomically(folder_ / kIndexFile, index.dump(2) + "\n");
  }
  finished_ = true;
}

}  // namespace halftone
