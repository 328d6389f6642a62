#include "image/preprocessor.h"

#include <cmath>

#include "base/error.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr const char* kFile = "preprocessor_config.json";

std::string shown(const json& value) {
  return printable(value.dump(-1, ' ', true, json::error_handler_t::replace));
}

bool given(const json& config, const char* key) {
  return config.contains(key) && !config.at(key).is_null();
}

bool flag_or(const json& config, const char* key, bool otherwise) {
  if (!given(config, key)) return otherwise;
  require(config.at(key).is_boolean(), "{}: {}: expected true or false, found {}", kFile, key,
          shown(config.at(key)));
  return config.at(key).get<bool>();
}

int64_t side(const json& value, const char* key) {
  require(value.is_number_integer() && value >= 1 && value <= kLargestSide,
          "{}: {}: expected a whole number from 1 to {}, found {}", kFile, key, kLargestSide,
          shown(value));
  return value.get<int64_t>();
}

// {"height": H, "width": W}, or one number of both.
Preprocessor::Size size_or(const json& config, const char* key, int64_t otherwise) {
  if (!given(config, key)) return {otherwise, otherwise};
  const json& value = config.at(key);
  if (!value.is_object()) return {side(value, key), side(value, key)};
  require(value.contains("height") && value.contains("width"),
          "{}: {}: expected height and width, found {}", kFile, key, shown(value));
  return {side(value.at("width"), key), side(value.at("height"), key)};
}

double number(const json& value, const char* key) {
  require(value.is_number() && std::isfinite(value.get<double>()),
          "{}: {}: expected a number, found {}", kFile, key, shown(value));
  return value.get<double>();
}

std::array<double, 3> channels_or(const json& config, const char* key, double otherwise) {
  if (!given(config, key)) return {otherwise, otherwise, otherwise};
  const json& value = config.at(key);
  require(value.is_array() && value.size() == 3, "{}: {}: expected three numbers, found {}", kFile,
          key, shown(value));
  return {number(value[0], key), number(value[1], key), number(value[2], key)};
}

ResampleFilter filter_or(const json& config, ResampleFilter otherwise) {
  if (!given(config, "resample")) return otherwise;
  const json& value = config.at("resample");
  require(value.is_number_integer() && value >= 1 && value <= 5,
          "{}: resample: expected 1 (Lanczos), 2 (bilinear), 3 (bicubic), 4 (box) or 5 (Hamming), "
          "found {}",
          kFile, shown(value));
  return static_cast<ResampleFilter>(value.get<int>());
}

// Of the class that the file names, which decides what absent keys mean.
bool is_deit(const json& config) {
  for (const char* key : {"image_processor_type", "feature_extractor_type"})
    if (given(config, key) && config.at(key).is_string())
      return config.at(key).get<std::string>().starts_with("DeiT");
  return false;
}

// The middle part of an image that is at least as large.
Image cropped(const Image& image, const Preprocessor::Size& size) {
  const int64_t left = (image.width - size.width) / 2, top = (image.height - size.height) / 2;
  require(left >= 0 && top >= 0 && size.width <= image.width && size.height <= image.height,
          "{} x {} pixels: smaller than the crop of {} x {}", image.width, image.height, size.width,
          size.height);
  Image result{size.width, size.height, {}};
  for (int64_t y = 0; y < size.height; ++y) {
    const uint8_t* row = image.rgb.data() + 3 * ((top + y) * image.width + left);
    result.rgb.insert(result.rgb.end(), row, row + 3 * size.width);
  }
  return result;
}

}  // namespace

Preprocessor::Pixels Preprocessor::apply(const Image& image) const {
  Image sized = resize ? resized(image, resize->width, resize->height, filter) : image;
  if (crop) sized = cropped(sized, *crop);
  Pixels pixels{{sized.width, sized.height}, {}};
  pixels.numbers.reserve(sized.rgb.size());
  for (size_t channel = 0; channel < 3; ++channel)
    for (size_t i = channel; i < sized.rgb.size(); i += 3) {
      const auto value = static_cast<float>(sized.rgb[i] * scale);
      pixels.numbers.push_back((value - static_cast<float>(mean[channel])) /
                               static_cast<float>(deviation[channel]));
    }
  return pixels;
}

std::string Preprocessor::description() const {
  const auto shown_size = [](const std::optional<Size>& size) {
    return size ? fmt::format("{} x {}", size->width, size->height) : std::string("none");
  };
  return fmt::format(
      "images: resize {} by filter {}, crop {}, times {}, mean {} {} {}, deviation {} {} {}",
      shown_size(resize), static_cast<int>(filter), shown_size(crop), scale, mean[0], mean[1],
      mean[2], deviation[0], deviation[1], deviation[2]);
}

Preprocessor parse_preprocessor(const json& config) {
  require(config.is_object(), "{}: expected an object, found {}", kFile, shown(config));
  const bool deit = is_deit(config);
  Preprocessor result;
  result.filter = filter_or(config, deit ? ResampleFilter::kBicubic : ResampleFilter::kBilinear);
  if (flag_or(config, "do_resize", true)) result.resize = size_or(config, "size", deit ? 256 : 224);
  if (flag_or(config, "do_center_crop", deit)) result.crop = size_or(config, "crop_size", 224);
  if (flag_or(config, "do_rescale", true))
    result.scale = given(config, "rescale_factor")
                       ? number(config.at("rescale_factor"), "rescale_factor")
                       : 1.0 / 255;
  if (!flag_or(config, "do_normalize", true)) return result;
  result.mean = channels_or(config, "image_mean", 0.5);
  result.deviation = channels_or(config, "image_std", 0.5);
  for (const double deviation : result.deviation)
    require(deviation > 0, "{}: image_std: expected numbers above 0, found {}", kFile, deviation);
  return result;
}

}  // namespace halftone
