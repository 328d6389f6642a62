#include "format/verify.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"
#include "base/sha256.h"

namespace halftone {
namespace {

// Fixed, so that fingerprints do not depend on threads.
constexpr int64_t kBlockBytes = int64_t{4} << 20;     // hashed as one
constexpr int64_t kChunkWeights = int64_t{16} << 20;  // de-quantized at once

// Appends the hash of every block of the rows.  rows: (rows, in) float32
void hash_blocks(const at::Tensor& rows, std::string& hashes) {
  const at::Tensor plain = rows.contiguous();
  const auto* data = static_cast<const std::byte*>(plain.const_data_ptr());
  const auto bytes = static_cast<int64_t>(plain.nbytes());
  std::vector<std::string> parts(static_cast<size_t>((bytes + kBlockBytes - 1) / kBlockBytes));
  parallel_for(at::get_num_threads(), bytes, kBlockBytes, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; at += kBlockBytes)
      parts[static_cast<size_t>(at / kBlockBytes)] =
          sha256_hex({data + at, static_cast<size_t>(std::min(kBlockBytes, end - at))});
  });
  for (const std::string& part : parts) hashes += part;
}

// The hash of the hashes of `weight_rows(begin, count)`: (count, in) float32.
template <class Rows>
std::string hash_weights(int64_t out, int64_t in, Rows&& weight_rows) {
  const int64_t step = std::max<int64_t>(1, kChunkWeights / std::max<int64_t>(1, in));
  std::string hashes = fmt::format("{}x{}:", out, in);
  for (int64_t row = 0; row < out; row += step)
    hash_blocks(weight_rows(row, std::min(step, out - row)), hashes);
  return sha256_hex(std::as_bytes(std::span(hashes)));
}

std::string fingerprint_in(const PackedModel& model, const std::vector<std::string>& packed,
                           const std::string& name) {
  const std::string fingerprint = std::binary_search(packed.begin(), packed.end(), name)
                                      ? weight_fingerprint(model.read_linear(name))
                                      : weight_fingerprint(model.load(name + ".weight"));
  model.release(name + ".weight");
  return fingerprint;
}

}  // namespace

std::string weight_fingerprint(const QuantizedLinear& linear) {
  if (linear.is_rotated()) return weight_fingerprint(dequantize(linear));
  return hash_weights(linear.out(), linear.in(), [&](int64_t begin, int64_t count) {
    return dequantize_rows(linear, begin, count);
  });
}

std::string weight_fingerprint(const at::Tensor& weight) {
  return hash_weights(weight.size(0), weight.size(1), [&](int64_t begin, int64_t count) {
    return weight.narrow(0, begin, count).to(at::kFloat);
  });
}

std::string weight_fingerprint(int64_t out, int64_t in,
                               const std::function<at::Tensor(int64_t, int64_t)>& rows) {
  return hash_weights(out, in, rows);
}

void verify_written(const std::filesystem::path& folder,
                    const std::map<std::string, std::string>& fingerprints) {
  const auto model = open_model(folder);
  const auto packed = model->linears();
  for (const std::string& name : packed)
    require(fingerprints.contains(name), "{}: {}: quantized in the folder, but was never written",
            folder.string(), name);
  for (const auto& [name, expected] : fingerprints)
    require(fingerprint_in(*model, packed, name) == expected,
            "{}: {}: the weights read back are not the weights that were written", folder.string(),
            name);
}

std::string first_difference(const QuantizedLinear& expected, const QuantizedLinear& actual) {
  if (expected.out() != actual.out() || expected.in() != actual.in())
    return fmt::format("shape: expected ({}, {}), found ({}, {})", expected.out(), expected.in(),
                       actual.out(), actual.in());
  const at::Tensor a = dequantize(expected), b = dequantize(actual);
  if (at::equal(a, b)) return "";
  const at::Tensor places = a.ne(b).nonzero();
  const int64_t row = places[0][0].item<int64_t>(), column = places[0][1].item<int64_t>();
  return fmt::format("weight ({}, {}): expected {}, found {}", row, column,
                     a[row][column].item<float>(), b[row][column].item<float>());
}

}  // namespace halftone
