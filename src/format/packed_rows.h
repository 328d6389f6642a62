// Matrices of codes as rows of packed words: the bit stream of format/bit_stream.h applied to
// tensors. A file that packs down its columns (GPTQ) packs the transpose and transposes the words.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace halftone {

// codes: (rows, n) uint8, below 2^bits.  -> (rows, stream_words(n, bits)) int32, LE(bits)
at::Tensor pack_rows(const at::Tensor& codes, int bits);

// words: (rows, stream_words(n, bits)) int32.  -> (rows, n) uint8
at::Tensor unpack_rows(const at::Tensor& words, int64_t n, int bits);

// The old layout of compressed-tensors: floor(32 / bits) codes a word, the top bits unused
// (formats.md 5).
int64_t padded_words(int64_t n, int bits);

// words: (rows, padded_words(n, bits)) int32.  -> (rows, n) uint8
at::Tensor unpack_padded_rows(const at::Tensor& words, int64_t n, int bits);

// One stream over all elements in order.  codes: any shape, uint8.  -> (stream_bytes(numel, bits))
// uint8
at::Tensor pack_bytes(const at::Tensor& codes, int bits);

// Every row its own stream of whole bytes.  codes: (rows, n) uint8.  -> (rows, stream_bytes(n,
// bits)) uint8
at::Tensor pack_byte_rows(const at::Tensor& codes, int bits);

// bytes: (rows, stream_bytes(n, bits)) uint8.  -> (rows, n) uint8
at::Tensor unpack_byte_rows(const at::Tensor& bytes, int64_t n, int bits);

}  // namespace halftone
