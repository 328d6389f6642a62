#include "base/sha256.h"

#include <gtest/gtest.h>

#include <string>

namespace halftone {
namespace {

std::string hash_of(const std::string& text) {
  return sha256_hex(std::as_bytes(std::span(text)));
}

TEST(Sha256, PublishedExamplesMatch) {  // FIPS 180-4 examples
  EXPECT_EQ(hash_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, TheProcessorsInstructionsGiveTheSameHashes) {
  std::string text;
  for (int length = 0; length < 300; ++length) {
    const auto bytes = std::as_bytes(std::span(text));
    EXPECT_EQ(sha256_hex(bytes), sha256_hex(bytes, false)) << length;
    text += static_cast<char>(length * 37 + 11);
  }
}

}  // namespace
}  // namespace halftone
