// The kinds of grids that the native container holds: one list, one file a kind. What composes with
// any kind (codes, group index, dead columns, outliers) is in native.cpp and native_outliers.cpp.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "format/config_fields.h"
#include "format/linear_plan.h"
#include "format/stored_numbers.h"
#include "quantize/quantized_linear.h"

namespace halftone {

// What the description says of one linear.
struct NativeLinear {
  const struct NativeKind* kind = nullptr;
  int bits = 0;
  int64_t out = 0, in = 0, group_size = 0;
  bool symmetric = false, group_index = false, outliers = false;
  nlohmann::json description;  // all of it; a kind reads its own keys
  std::string place;           // for errors

  int64_t groups() const { return group_count(in, group_size); }
  ConfigFields fields() const { return {description, place}; }
};

// The tensors NAME.PART of one linear in an opened folder. Errors: absent, another type or shape.
class NativeParts {
 public:
  using Types = std::initializer_list<std::string_view>;

  virtual ~NativeParts() = default;
  virtual bool has(std::string_view part) const = 0;
  virtual int64_t list_length(std::string_view part, Types dtypes) const = 0;
  virtual void check(std::string_view part, Types dtypes,
                     const std::vector<int64_t>& shape) const = 0;
  virtual at::Tensor load(std::string_view part, Types dtypes,
                          const std::vector<int64_t>& shape) const = 0;
  // Numbers of a float type, widened; error also if one is not finite.  -> `shape` float32
  virtual at::Tensor load_numbers(std::string_view part, Types dtypes,
                                  const std::vector<int64_t>& shape) const = 0;
};

// Stores a tensor as NAME.PART.
using StoreNativePart = std::function<void(std::string_view part, const at::Tensor& tensor)>;

struct NativeKind {
  GridKind grid;
  std::string name;                    // "kind" in the description
  std::vector<std::string_view> keys;  // of the description, besides those of every linear
  std::vector<std::string> parts;      // tensors, besides those that any kind may have

  // Sets `keys` in a linear's description.
  void (*describe)(const StoredGrid& grid, nlohmann::json& description);
  // Stores `parts`.   linear: checked
  void (*pack)(const QuantizedLinear& linear, const StoreNativePart& store);
  // Errors: keys and parts (by the file's header alone) that are not of this kind.
  void (*check)(const NativeLinear& described, const NativeParts& parts);
  // Fills in what the codes mean; bits, group_size, symmetric, codes and group_of_column are there.
  void (*read)(const NativeLinear& described, const NativeParts& parts, QuantizedLinear& linear);
};

NativeKind native_uniform_kind();
NativeKind native_bilevel_kind();
NativeKind native_split_kind();
NativeKind native_binary_kind();
NativeKind native_super_block_kind();
NativeKind native_vector_kind();
NativeKind native_trellis_kind();

const std::vector<NativeKind>& native_kinds();

// Scales in the first of float16, bfloat16 and float32 that holds every one exactly.
// scales: (out, groups) float32
void pack_scales(std::string_view part, const at::Tensor& scales, const StoreNativePart& store);

// Integers of every row and group, `bits` each, as one LE(bits) stream, row by row.
void check_group_codes(const NativeLinear& described, const NativeParts& parts,
                       std::string_view part, int bits);
at::Tensor read_group_codes(const NativeLinear& described, const NativeParts& parts,
                            std::string_view part, int bits);  // (out, groups) uint8

// Zeros that are codes of `bits` bits, under ".zeros"; nothing is stored where the grid is
// symmetric.
void pack_integer_zeros(const QuantizedLinear& linear, const StoreNativePart& store);
void check_integer_zeros(const NativeLinear& described, const NativeParts& parts);
at::Tensor read_integer_zeros(const NativeLinear& described,
                              const NativeParts& parts);  // (out, groups) uint8

// The sidecar of outliers (docs/formats.md), which composes with every kind.
inline const std::vector<std::string> kNativeOutlierParts = {".outlier_counts", ".outlier_columns",
                                                             ".outlier_values"};
void pack_outliers(const Outliers& outliers, int64_t in, const StoreNativePart& store);
void check_outlier_parts(const NativeLinear& described, const NativeParts& parts);
Outliers read_outliers(const NativeLinear& described, const NativeParts& parts);

}  // namespace halftone
