// What a GGUF file says beside its tensors (formats.md 12.2): named values, read where they lie.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace halftone {

enum class GgufKind : uint32_t {  // as files number them
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};

// Bytes of a number of this kind; 0: a string or an array, which have a length of their own.
size_t gguf_kind_bytes(GgufKind kind);

struct GgufValue {
  GgufKind kind = GgufKind::kU8;  // of the value, or of an array's items
  bool is_array = false;
  uint64_t count = 1;           // items; 1 of what is no array
  std::string_view bytes = {};  // the items as stored, each within the file
};

// Views into the file: valid as long as its mapping.
class GgufMetadata {
 public:
  // False if the key is there already.
  bool add(std::string_view key, const GgufValue& value);

  const std::vector<std::string_view>& keys() const { return keys_; }  // in file order
  const GgufValue* find(std::string_view key) const;                   // nullptr if absent
  bool contains(std::string_view key) const { return find(key) != nullptr; }

  // Each none if the key is absent. Errors, which name the key: a value of another kind, a whole
  // number beyond 63 bits.
  std::optional<int64_t> whole(std::string_view key) const;
  // Of a float32 the double next to its shortest decimal form: 1e-05, not 9.99999974738e-06.
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> flag(std::string_view key) const;
  std::optional<std::string_view> text(std::string_view key) const;
  std::optional<std::vector<int64_t>> wholes(std::string_view key) const;  // of an array, or one
  std::optional<std::vector<double>> numbers(std::string_view key) const;  // of an array
  std::optional<std::vector<std::string_view>> texts(std::string_view key) const;  // of an array

 private:
  std::vector<std::string_view> keys_;
  std::map<std::string_view, GgufValue> values_;
};

}  // namespace halftone
