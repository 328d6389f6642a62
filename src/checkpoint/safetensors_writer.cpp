// The writing half of safetensors.h: the order and the header of the reference library (version
// 0.8), byte for byte.
#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/utf8.h"
#include "checkpoint/dtype.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/safetensors_header.h"

namespace halftone {
namespace {

std::string quoted(const std::string& text) {
  require(first_invalid_utf8(text) == text.size(), "\"{}\": expected UTF-8, found other bytes",
          printable(text));
  return nlohmann::json(text).dump();
}

void require_writable(const std::string& name, const at::Tensor& tensor) {
  const bool plain = tensor.defined() && tensor.device().is_cpu() &&
                     tensor.layout() == at::kStrided && tensor.is_contiguous() &&
                     !tensor.is_conj() && !tensor.is_neg();
  require(plain, "tensor \"{}\": expected a contiguous CPU tensor", printable(name, 200));
}

void require_writable(const OutgoingTensor& tensor) {
  require(tensor.name != kMetadataKey, "tensor \"{}\": the name is reserved by the format",
          tensor.name);
  require(find_dtype(tensor.dtype), "tensor \"{}\": safetensors has no dtype {}",
          printable(tensor.name, 200), c10::toString(tensor.dtype));
}

// By alignment, largest first, then by name.
void sort_as_in_file(std::vector<OutgoingTensor>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const OutgoingTensor& a, const OutgoingTensor& b) {
    const Dtype *left = find_dtype(a.dtype), *right = find_dtype(b.dtype);
    return left != right ? left > right : a.name < b.name;
  });
}

std::string header_text(const std::vector<OutgoingTensor>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  std::vector<std::string> members, texts;
  for (const auto& [key, text] : metadata)
    texts.push_back(fmt::format("{}:{}", quoted(key), quoted(text)));
  if (!texts.empty())
    members.push_back(fmt::format("\"{}\":{{{}}}", kMetadataKey, fmt::join(texts, ",")));
  size_t begin = 0;
  for (const OutgoingTensor& tensor : tensors) {
    const size_t end = begin + tensor.bytes;
    members.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                                  quoted(tensor.name), find_dtype(tensor.dtype)->name,
                                  fmt::join(tensor.shape, ","), begin, end));
    begin = end;
  }
  std::string text = fmt::format("{{{}}}", fmt::join(members, ","));
  text.append((8 - text.size() % 8) % 8, ' ');
  require(text.size() <= kMaxSafetensorsHeader, "expected a header of at most {} bytes, found {}",
          kMaxSafetensorsHeader, text.size());
  return text;
}

}  // namespace

void stream_safetensors(const std::filesystem::path& path, std::vector<OutgoingTensor> tensors,
                        const std::map<std::string, std::string>& metadata) {
  const std::string header = with_context(printable(path.string(), 400), [&] {
    for (const OutgoingTensor& tensor : tensors) require_writable(tensor);
    sort_as_in_file(tensors);
    return header_text(tensors, metadata);
  });
  PendingOutput output(path, PendingOutput::Kind::kFile, true);
  OutputFile file(output.staging());
  const uint64_t length = header.size();
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  for (const OutgoingTensor& tensor : tensors) tensor.write(file);
  file.close();
  output.commit();
}

void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, at::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<OutgoingTensor> outgoing;
  for (const auto& [name, tensor] : tensors) {
    with_context(printable(path.string(), 400),
                 [&name = name, &tensor = tensor] { require_writable(name, tensor); });
    const auto* data = static_cast<const std::byte*>(tensor.const_data_ptr());
    const std::span<const std::byte> bytes(data, tensor.nbytes());
    outgoing.push_back({name, tensor.scalar_type(), tensor.sizes().vec(), tensor.nbytes(),
                        [bytes](OutputFile& file) { file.write(bytes); }});
  }
  stream_safetensors(path, std::move(outgoing), metadata);
}

}  // namespace halftone
