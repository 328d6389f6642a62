// Reading back what was written: the weights of the files against the weights that were calibrated,
// bit for bit.
//
// A fingerprint stands for the weights, so nothing large is kept between writing and reading.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "format/format.h"

namespace halftone {

// SHA-256 over the float32 weights, block by block: equal weights, equal fingerprints, whatever
// stores them.
std::string weight_fingerprint(const QuantizedLinear& linear);
// weight: (out, in), float32, bfloat16 or float16.
std::string weight_fingerprint(const at::Tensor& weight);
// Of weights that are made some rows at a time.   rows: first, count -> (count, in) float32
std::string weight_fingerprint(int64_t out, int64_t in,
                               const std::function<at::Tensor(int64_t, int64_t)>& rows);

// Opens the folder, de-quantizes one linear at a time. Error naming the first linear (by name) that
// is absent or differs, or that is quantized in the folder though nothing is known about it.
void verify_written(const std::filesystem::path& folder,
                    const std::map<std::string, std::string>& fingerprints);

// Where two linears stand for different weights: "weight (3, 17): expected 0.5, found 0.25". Empty:
// nowhere.
std::string first_difference(const QuantizedLinear& expected, const QuantizedLinear& actual);

}  // namespace halftone
