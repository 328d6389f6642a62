#include "format/packed_rows.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <bit>

#include "base/parallel.h"
#include "format/bit_stream.h"

namespace halftone {
namespace {

static_assert(std::endian::native == std::endian::little, "words are stored little-endian");

constexpr int64_t kRowsAStep = 64;  // enough work for a thread to be worth starting

template <class Work>
void for_each_row(int64_t rows, Work&& work) {
  parallel_for(at::get_num_threads(), rows, kRowsAStep, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) work(row);
  });
}

// Packs each row into `row_bytes` zeroed bytes.  codes: (rows, n) uint8, packed: (rows, ...) any
// dtype
void pack_into(const at::Tensor& codes, int bits, int64_t row_bytes, at::Tensor& packed) {
  const at::Tensor source = codes.contiguous();
  const int64_t n = codes.size(1);
  const auto* from = source.const_data_ptr<uint8_t>();
  auto* to = static_cast<uint8_t*>(packed.data_ptr());
  for_each_row(codes.size(0),
               [&](int64_t row) { pack_stream(from + row * n, n, bits, to + row * row_bytes); });
}

// packed: (rows, ...) of `row_bytes` bytes a row.  -> (rows, n) uint8
at::Tensor unpack_from(const at::Tensor& packed, int64_t n, int bits, int64_t row_bytes) {
  const at::Tensor source = packed.contiguous();
  at::Tensor codes = at::empty({packed.size(0), n}, at::kByte);
  const auto* from = static_cast<const uint8_t*>(source.const_data_ptr());
  auto* to = codes.data_ptr<uint8_t>();
  for_each_row(packed.size(0),
               [&](int64_t row) { unpack_stream(from + row * row_bytes, n, bits, to + row * n); });
  return codes;
}

}  // namespace

at::Tensor pack_rows(const at::Tensor& codes, int bits) {
  const int64_t words = stream_words(codes.size(1), bits);
  at::Tensor packed = at::zeros({codes.size(0), words}, at::kInt);
  pack_into(codes, bits, 4 * words, packed);
  return packed;
}

at::Tensor unpack_rows(const at::Tensor& words, int64_t n, int bits) {
  return unpack_from(words, n, bits, 4 * words.size(1));
}

int64_t padded_words(int64_t n, int bits) {
  const int64_t in_word = 32 / bits;
  return (n + in_word - 1) / in_word;
}

at::Tensor unpack_padded_rows(const at::Tensor& words, int64_t n, int bits) {
  const at::Tensor source = words.contiguous();
  const int64_t in_word = 32 / bits, mask = (int64_t{1} << bits) - 1, width = words.size(1);
  at::Tensor codes = at::empty({words.size(0), n}, at::kByte);
  const auto* from = source.const_data_ptr<int32_t>();
  auto* to = codes.data_ptr<uint8_t>();
  for_each_row(words.size(0), [&](int64_t row) {
    for (int64_t i = 0; i < n; ++i) {
      const auto word = static_cast<uint32_t>(from[row * width + i / in_word]);
      to[row * n + i] = static_cast<uint8_t>(word >> (i % in_word * bits) & mask);
    }
  });
  return codes;
}

at::Tensor pack_bytes(const at::Tensor& codes, int bits) {
  return pack_byte_rows(codes.reshape({1, codes.numel()}), bits).reshape({-1});
}

at::Tensor pack_byte_rows(const at::Tensor& codes, int bits) {
  const int64_t row_bytes = stream_bytes(codes.size(1), bits);
  at::Tensor packed = at::zeros({codes.size(0), row_bytes}, at::kByte);
  pack_into(codes, bits, row_bytes, packed);
  return packed;
}

at::Tensor unpack_byte_rows(const at::Tensor& bytes, int64_t n, int bits) {
  return unpack_from(bytes, n, bits, bytes.size(1));
}

}  // namespace halftone
