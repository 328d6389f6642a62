#include "pipeline/stored_sizes.h"

#include <unistd.h>

#include <array>
#include <numeric>

#include "base/error.h"
#include "base/files.h"
#include "format/finished_linear.h"
#include "format/stored_size.h"
#include "pipeline/sample_linear.h"

namespace halftone {
namespace {

// Sides of the samples: the remainder of the linear's own by a step, and one and two steps more.
// Steps are whole numbers of whatever is stored together: tiles, words of codes, blocks, groups.
constexpr int64_t kRowStep = 32, kWord = 32, kLeastColumnStep = 256, kMostColumnStep = 2048;

// Of groups that would make a sample large one is cut: its size is then not exact.
int64_t column_step(const LinearPlan& linear) {
  const int64_t whole = std::lcm(kWord, std::max<int64_t>(1, linear.grid.group_size));
  if (whole > kMostColumnStep) return kLeastColumnStep;
  return (kLeastColumnStep + whole - 1) / whole * whole;
}

struct Kind {
  const LinearPlan* like;
  const LinearRecipe* recipe;
  int64_t rows, columns;  // what is left of the linear's by steps
  bool operator==(const Kind& other) const {
    return *recipe == *other.recipe && rows == other.rows && columns == other.columns;
  }
};

// What is stored for a linear of some rows and columns: a + b rows + c columns + d rows columns.
struct Sizes {
  std::array<double, 4> bytes;  // of one and two steps of rows, by one and two of columns
  double at(double row_steps, double column_steps) const {
    const auto along = [&](double one, double two) {
      return one + (two - one) * (column_steps - 1);
    };
    const double one = along(bytes[0], bytes[1]), two = along(bytes[2], bytes[3]);
    return one + (two - one) * (row_steps - 1);
  }
};

FinishedLinear sample(const LinearPlan& planned, LinearRecipe recipe) {
  recipe.grid.clip_search = false;  // chooses numbers and stores none
  return finish_linear(planned.name,
                       solve_sample(std::move(recipe), planned.out, planned.in, 1).quantized);
}

class Samples {
 public:
  Samples(const Format& format, const OutputPlan& plan) : format_(format), plan_(plan) {
    plan_.linears.clear();
    plan_.others.clear();
    plan_.online.reset();
    plan_.companions = false;
  }

  // Returns the number under which `sizes` has it.
  size_t add(const Kind& kind) {
    const LinearRecipe& recipe = *kind.recipe;
    for (const int64_t rows : {1, 2})
      for (const int64_t columns : {1, 2}) {
        LinearPlan planned = *kind.like;
        planned.name = fmt::format("sample{}", plan_.linears.size());
        planned.out = kind.rows + rows * kRowStep;
        planned.in = kind.columns + columns * column_step(*kind.like);
        planned.reads_rotated = false;
        plan_.linears.push_back(planned);
        recipes_.push_back(recipe);
      }
    return plan_.linears.size() / 4 - 1;
  }

  std::vector<Sizes> sizes() {
    const PendingOutput folder(
        std::filesystem::temp_directory_path() / fmt::format("halftone-plan-{}", ::getpid()),
        PendingOutput::Kind::kFolder, /*overwrite=*/false);
    const auto writer = format_.open_writer(folder.staging(), plan_);
    for (size_t i = 0; i < recipes_.size(); ++i)
      writer->add_linear(sample(plan_.linears[i], recipes_[i]));
    writer->finish(nlohmann::json::object());
    const auto written = format_.open_reader(std::make_shared<const Checkpoint>(folder.staging()));
    std::vector<Sizes> found(recipes_.size() / 4);
    for (size_t i = 0; i < recipes_.size(); ++i)
      found[i / 4].bytes[i % 4] = static_cast<double>(written->linear_bytes(plan_.linears[i].name));
    return found;
  }

 private:
  const Format& format_;
  OutputPlan plan_;
  std::vector<LinearRecipe> recipes_;  // of its linears
};

}  // namespace

std::vector<double> stored_sizes(const Format& format, const OutputPlan& plan,
                                 const RunRecipe& recipe) {
  std::vector<double> bytes(plan.linears.size());
  std::vector<std::pair<Kind, size_t>> kinds;      // with their numbers among the samples
  std::vector<std::pair<size_t, size_t>> sampled;  // linears, and which kind is theirs
  Samples samples(format, plan);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const LinearPlan& linear = plan.linears[i];
    if (const auto known = stored_linear_bytes(format.name, plan.dtype, linear)) {
      bytes[i] = static_cast<double>(*known);
      continue;
    }
    const Kind kind{&linear, &recipe.of(linear.name), linear.out % kRowStep,
                    linear.in % column_step(linear)};
    auto same = std::ranges::find_if(kinds, [&](const auto& each) { return each.first == kind; });
    if (same == kinds.end()) same = kinds.insert(same, {kind, samples.add(kind)});
    sampled.emplace_back(i, same->second);
  }
  if (sampled.empty()) return bytes;
  const std::vector<Sizes> sizes = samples.sizes();
  for (const auto& [i, kind] : sampled)
    bytes[i] =
        sizes[kind].at(static_cast<double>(plan.linears[i].out / kRowStep),
                       static_cast<double>(plan.linears[i].in / column_step(plan.linears[i])));
  return bytes;
}

}  // namespace halftone
