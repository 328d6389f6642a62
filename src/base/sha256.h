// SHA-256 (FIPS 180-4): fingerprints of token ids, recipes and calibration data.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace halftone {

// 64 lower-case hexadecimal digits.
std::string sha256_hex(std::span<const std::byte> bytes);

}  // namespace halftone
