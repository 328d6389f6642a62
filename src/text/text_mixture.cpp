#include "text/text_mixture.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/place.h"
#include "text/corpus.h"

namespace halftone {
namespace {

bool is_weight(double weight) {
  return std::isfinite(weight) && weight > 0;
}

std::optional<double> number_in(std::string_view text) {
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = stop == text.data() + text.size();
  if (error == std::errc::result_out_of_range && whole) return 0;
  return error == std::errc() && whole ? std::optional(value) : std::nullopt;
}

WeighedText text_called(const std::string& name, double weight) {
  if (name == kBuiltinText) return {.file = {}, .weight = weight};
  return {.file = name, .weight = weight};
}

}  // namespace

std::string WeighedText::name() const {
  return file.empty() ? kBuiltinText : file.filename().string();
}

std::string WeighedText::place() const {
  return file.empty() ? kBuiltinText : shown(file);
}

WeighedText weighed_text(const std::string& written) {
  require(!written.empty(), "expected FILE or FILE:WEIGHT, found nothing");
  const size_t colon = written.rfind(':');
  if (colon == std::string::npos || is_there(written)) return text_called(written, 1);
  const std::string name = written.substr(0, colon), behind = written.substr(colon + 1);
  require(!name.empty(), "{}: expected FILE:WEIGHT, found no file", printable(written));
  const auto weight = number_in(behind);
  if (!weight && name != kBuiltinText && !is_there(name)) return text_called(written, 1);
  require(weight && is_weight(*weight), "{}: expected a positive number behind the colon, found {}",
          printable(written), behind.empty() ? "nothing" : printable(behind));
  return text_called(name, *weight);
}

void require_weights(std::span<const WeighedText> texts) {
  for (const WeighedText& text : texts)
    require(is_weight(text.weight), "{}: expected a positive weight, found {}", text.place(),
            text.weight);
}

std::vector<int64_t> shares_by_weight(int64_t count, std::span<const double> weights) {
  // of the greatest, so that no sum is too large for a number
  const double greatest = *std::max_element(weights.begin(), weights.end());
  double sum = 0;
  for (const double weight : weights) sum += weight / greatest;
  std::vector<int64_t> shares;
  std::vector<double> remainders;
  for (const double weight : weights) {
    const double exact = static_cast<double>(count) * (weight / greatest) / sum;
    shares.push_back(static_cast<int64_t>(exact));
    remainders.push_back(exact - std::floor(exact));
  }
  std::vector<size_t> order(weights.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return remainders[a] > remainders[b]; });
  int64_t left = count - std::accumulate(shares.begin(), shares.end(), int64_t{0});
  for (size_t i = 0; left > 0; ++i, --left) ++shares[order[i]];
  return shares;
}

}  // namespace halftone
