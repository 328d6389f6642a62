// What every reader of a folder shares: a quantized linear is a set of tensors NAME.PART;
// everything else passes through.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/format.h"

namespace halftone {

class PackedFolder : public PackedModel {
 public:
  const nlohmann::json& config() const final { return checkpoint_->config(); }
  std::vector<std::string> names() const final;
  bool contains(std::string_view name) const final;
  WeightInfo info(std::string_view name) const final;
  at::Tensor load(std::string_view name) const final;
  at::Tensor load_rows(std::string_view name, const at::Tensor& index) const final;
  void release(std::string_view name) const final;
  std::vector<std::string> linears() const final { return linears_; }
  QuantizedLinear read_linear(const std::string& name) const final;
  size_t linear_bytes(const std::string& name) const final;
  const ModelSource& source() const final { return *checkpoint_; }

 protected:
  // parts: suffixes of the tensors of a linear, the one that every linear has first. Errors: none
  // such in the folder; a part whose linear lacks the first; a linear that has a plain weight as
  // well.
  PackedFolder(std::shared_ptr<const Checkpoint> checkpoint, std::vector<std::string> parts);

  // One linear; errors get folder and name put in front.
  virtual QuantizedLinear unpack(const std::string& name) const = 0;
  // Some rows of one, where the format finds them without the others; else nothing.
  // index: (n) int64
  virtual std::optional<QuantizedLinear> unpack_rows_of(const std::string& /*name*/,
                                                        const at::Tensor& /*index*/) const {
    return std::nullopt;
  }
  // {out, in}, after the same checks of shapes and types as `unpack`, from the header alone.
  virtual std::vector<int64_t> checked_shape(const std::string& name) const = 0;

  bool has_part(const std::string& linear, std::string_view part) const;
  // Shape of a part. Errors: absent, or not a matrix of one of these types.
  struct Matrix {
    int64_t rows, columns;
  };
  Matrix matrix_part(const std::string& linear, std::string_view part,
                     std::initializer_list<std::string_view> dtypes) const;
  // Length of a part that is a list. Errors: absent, no list or not of one of these types.
  int64_t list_part(const std::string& linear, std::string_view part,
                    std::initializer_list<std::string_view> dtypes) const;
  // Errors: absent, another shape or type.
  void check_part(const std::string& linear, std::string_view part,
                  std::initializer_list<std::string_view> dtypes,
                  const std::vector<int64_t>& shape) const;
  // A part as a tensor, checked so.
  at::Tensor load_part(const std::string& linear, std::string_view part,
                       std::initializer_list<std::string_view> dtypes,
                       const std::vector<int64_t>& shape) const;
  // Scales of any float type, widened.  -> `shape` float32. Errors: also numbers that are not
  // finite.
  at::Tensor load_scales(const std::string& linear, std::string_view part,
                         const std::vector<int64_t>& shape) const;
  // Looks at every linear of the folder without reading its numbers.
  void check_linears();

 private:
  std::optional<std::string> linear_of_part(std::string_view tensor) const;
  bool is_linear(std::string_view name) const;
  std::string place(std::string_view linear) const;

  std::shared_ptr<const Checkpoint> checkpoint_;
  std::vector<std::string> parts_;
  std::vector<std::string> linears_;                                 // sorted
  std::map<std::string, std::vector<int64_t>, std::less<>> shapes_;  // of linears_, {out, in}
};

// index: (in) int32, group of each column. -> undefined where it is column / group_size.
// Errors: a group outside 0 .. groups - 1.
at::Tensor simplified_group_index(const at::Tensor& index, int64_t group_size, int64_t groups);

}  // namespace halftone
