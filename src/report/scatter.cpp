#include "report/scatter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/html_parts.h"

namespace halftone {
namespace {

constexpr double kWidth = 720, kHeight = 420;
constexpr double kLeft = 70, kRight = 150, kTop = 15, kBottom = 45;  // margins
constexpr int kTicks = 5;

// From numbers to places in the picture.
struct Frame {
  double most_x = 0, low = 0, high = 0;  // low, high: powers of ten

  double x(double value) const { return kLeft + (kWidth - kLeft - kRight) * value / most_x; }
  double y(double value) const {
    const double share = (std::log10(value) - low) / (high - low);
    return kHeight - kBottom - (kHeight - kTop - kBottom) * share;
  }
};

bool can_be_drawn(const ScatterPoint& point) {
  return std::isfinite(point.x) && point.x > 0 && std::isfinite(point.y) && point.y > 0;
}

Frame frame_of(const std::vector<ScatterPoint>& points) {
  Frame frame{0, 1e9, -1e9};
  for (const ScatterPoint& point : points) {
    frame.most_x = std::max(frame.most_x, 1.05 * point.x);
    for (const double y : {point.y, point.low, point.high}) {
      if (!(y > 0) || !std::isfinite(y)) continue;
      frame.low = std::min(frame.low, std::floor(std::log10(y)));
      frame.high = std::max(frame.high, std::ceil(std::log10(y)));
    }
  }
  if (frame.high == frame.low) ++frame.high;
  return frame;
}

std::string line(double x1, double y1, double x2, double y2, std::string_view color) {
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n", x1, y1, x2,
      y2, color);
}

std::string text(double x, double y, std::string_view anchor, std::string_view words) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     escaped(words));
}

std::string grid(const Frame& frame, const ScatterAxes& axes) {
  const double floor = kHeight - kBottom, right = kWidth - kRight;
  std::string out;
  for (double power = frame.low; power <= frame.high; ++power) {
    const double y = frame.y(std::pow(10, power));
    out += line(kLeft, y, right, y, "#ddd");
    out += text(kLeft - 6, y + 4, "end", fmt::format("{:g}", std::pow(10, power)));
  }
  for (int i = 0; i <= kTicks; ++i) {
    const double value = frame.most_x * i / kTicks;
    out += text(frame.x(value), floor + 16, "middle", fmt::format("{:.3g}", value));
  }
  out += line(kLeft, floor, right, floor, "#666");
  out += text((kLeft + right) / 2, kHeight - 8, "middle", axes.x);
  return out + text(kLeft, kTop - 3, "start", axes.y);
}

std::string drawn(const Frame& frame, const ScatterPoint& point) {
  const double x = frame.x(point.x), y = frame.y(point.y);
  std::string out;
  if (point.low > 0 && std::isfinite(point.high))
    out += line(x, frame.y(point.low), x, frame.y(point.high), "#456");
  out += fmt::format(
      "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"#456\"><title>{}: {:.4g}, {:.4g}</title>"
      "</circle>\n",
      x, y, escaped(point.label), point.x, point.y);
  return out + text(x + 7, y + 4, "start", point.label);
}

}  // namespace

std::string scatter(const std::vector<ScatterPoint>& all, const ScatterAxes& axes) {
  std::vector<ScatterPoint> points;
  std::copy_if(all.begin(), all.end(), std::back_inserter(points), can_be_drawn);
  if (points.empty()) return "";
  const Frame frame = frame_of(points);
  std::string inside = grid(frame, axes);
  for (const ScatterPoint& point : points) inside += drawn(frame, point);
  return fmt::format(
      "<div class=\"wide\"><svg viewBox=\"0 0 {} {}\" width=\"100%\" role=\"img\" "
      "aria-label=\"{} against {}\">\n{}</svg></div>\n",
      kWidth, kHeight, escaped(axes.y), escaped(axes.x), inside);
}

}  // namespace halftone
