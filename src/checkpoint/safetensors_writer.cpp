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

using Entry = std::pair<const std::string, at::Tensor>;

std::string quoted(const std::string& text) {
  require(first_invalid_utf8(text) == text.size(), "\"{}\": expected UTF-8, found other bytes",
          printable(text));
  return nlohmann::json(text).dump();
}

void require_writable(const std::string& name, const at::Tensor& tensor) {
  require(name != kMetadataKey, "tensor \"{}\": the name is reserved by the format", name);
  const bool plain = tensor.defined() && tensor.device().is_cpu() &&
                     tensor.layout() == at::kStrided && tensor.is_contiguous() &&
                     !tensor.is_conj() && !tensor.is_neg();
  require(plain, "tensor \"{}\": expected a contiguous CPU tensor", printable(name, 200));
  require(find_dtype(tensor.scalar_type()), "tensor \"{}\": safetensors has no dtype {}",
          printable(name, 200), c10::toString(tensor.scalar_type()));
}

// By alignment, largest first, then by name.
std::vector<const Entry*> in_file_order(const std::map<std::string, at::Tensor>& tensors) {
  std::vector<const Entry*> order;
  for (const Entry& entry : tensors) {
    require_writable(entry.first, entry.second);
    order.push_back(&entry);
  }
  std::stable_sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) {
    return find_dtype(a->second.scalar_type()) > find_dtype(b->second.scalar_type());
  });
  return order;
}

std::string header_text(const std::vector<const Entry*>& order,
                        const std::map<std::string, std::string>& metadata) {
  std::vector<std::string> members, texts;
  for (const auto& [key, text] : metadata)
    texts.push_back(fmt::format("{}:{}", quoted(key), quoted(text)));
  if (!texts.empty())
    members.push_back(fmt::format("\"{}\":{{{}}}", kMetadataKey, fmt::join(texts, ",")));
  size_t begin = 0;
  for (const Entry* entry : order) {
    const auto& [name, tensor] = *entry;
    const size_t end = begin + tensor.nbytes();
    members.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                                  quoted(name), find_dtype(tensor.scalar_type())->name,
                                  fmt::join(tensor.sizes(), ","), begin, end));
    begin = end;
  }
  std::string text = fmt::format("{{{}}}", fmt::join(members, ","));
  text.append((8 - text.size() % 8) % 8, ' ');
  require(text.size() <= kMaxSafetensorsHeader, "expected a header of at most {} bytes, found {}",
          kMaxSafetensorsHeader, text.size());
  return text;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, at::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const auto [order, header] = with_context(printable(path.string(), 400), [&] {
    auto sorted = in_file_order(tensors);
    auto text = header_text(sorted, metadata);
    return std::pair(std::move(sorted), std::move(text));
  });
  PendingOutput output(path, PendingOutput::Kind::kFile, true);
  OutputFile file(output.staging());
  const uint64_t length = header.size();
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  for (const Entry* entry : order) {
    const auto* data = static_cast<const std::byte*>(entry->second.const_data_ptr());
    file.write({data, entry->second.nbytes()});
  }
  file.close();
  output.commit();
}

}  // namespace halftone
