// SHA-256 (FIPS 180-4): fingerprints of token ids, recipes and calibration data.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace halftone {

// 64 lower-case hexadecimal digits. By the processor's own instructions for it, where it has them
// and `in_hardware` is set: five to ten times as fast.
std::string sha256_hex(std::span<const std::byte> bytes, bool in_hardware = true);

}  // namespace halftone
