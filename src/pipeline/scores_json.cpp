#include "pipeline/scores_json.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "evaluate/confidence.h"
#include "evaluate/llama_statistics.h"

namespace halftone {
namespace {

using nlohmann::json;

json to_json(const std::optional<double>& number) {
  return number ? json(*number) : json();
}

// value: the key of the number itself
json to_json(const Estimate& estimate, const char* value = "value") {
  json low, high;
  if (estimate.interval) {
    low = estimate.interval->low;
    high = estimate.interval->high;
  }
  return {{value, estimate.value},
          {"stderr", to_json(estimate.standard_error)},
          {"low", low},
          {"high", high}};
}

json divergence_json(std::vector<double> kl, int64_t windows) {
  json result = to_json(mean_over_windows(kl, windows), "mean");
  const double mean = result["mean"];
  for (const auto& [name, p] :
       {std::pair{"median", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1.0}})
    result[name] = std::isnan(mean) ? mean : percentile(kl, p);  // NaN has no place in an order
  return result;
}

json confidence_json(const Scores& scores) {
  json list = json::array();
  for (const ConfidenceBucket& bucket : by_confidence(scores)) {
    const bool any = bucket.positions > 0;
    list.push_back({{"from", bucket.from},
                    {"to", bucket.to},
                    {"positions", bucket.positions},
                    {"kl", any ? json(bucket.kl) : json()},
                    {"top1", any ? json(bucket.top1) : json()}});
  }
  return list;
}

json to_json(const TokenMean& mean) {
  return {{"value", mean.value}, {"stderr", mean.error}};
}

json to_json(const TokenDistribution& distribution) {
  json result = {{"mean", distribution.mean.value}, {"stderr", distribution.mean.error}};
  for (const auto& [name, p] : {std::pair{"max", 1.0},
                                {"p999", 0.999},
                                {"p99", 0.99},
                                {"p95", 0.95},
                                {"p90", 0.9},
                                {"p75", 0.75},
                                {"median", 0.5},
                                {"p25", 0.25},
                                {"p10", 0.1},
                                {"p05", 0.05},
                                {"p01", 0.01},
                                {"p001", 0.001},
                                {"min", 0.0}})
    result[name] = distribution.quantile(p);
  return result;
}

}  // namespace

json llama_json(const Scores& scores) {
  const LlamaStatistics statistics = llama_statistics(scores);
  return {{"perplexity", to_json(statistics.perplexity)},
          {"base_perplexity", to_json(statistics.base_perplexity)},
          {"correlation", statistics.correlation},
          {"log_ratio", to_json(statistics.log_ratio)},
          {"ratio", to_json(statistics.ratio)},
          {"difference", to_json(statistics.difference)},
          {"kl", to_json(statistics.kl)},
          {"probability_change", to_json(statistics.change)},
          {"probability_change_rms", to_json(statistics.change_rms)},
          {"top1", to_json(statistics.same_top)}};
}

void add_scores(const Scores& scores, json& result) {
  result["perplexity"] = to_json(perplexity(scores.nll, scores.windows));
  if (scores.kl.empty()) return;
  result["reference_perplexity"] = to_json(perplexity(scores.reference_nll, scores.windows));
  result["top1"] = to_json(mean_over_windows(scores.same_top, scores.windows));
  result["kl"] = divergence_json(scores.kl, scores.windows);
  if (!scores.reverse_kl.empty())
    result["reverse_kl"] = divergence_json(scores.reverse_kl, scores.windows);
  result["by_confidence"] = confidence_json(scores);
}

void add_scores(const ImageScores& scores, json& result) {
  const Scores& of_classes = scores.scores;
  const int64_t images = of_classes.windows;
  result["accuracy"] = to_json(mean_over_windows(scores.correct, images));
  result["cross_entropy"] = to_json(mean_over_windows(of_classes.nll, images));
  if (of_classes.kl.empty()) return;
  result["reference_accuracy"] = to_json(mean_over_windows(scores.reference_correct, images));
  result["top1"] = to_json(mean_over_windows(of_classes.same_top, images));
  result["kl"] = divergence_json(of_classes.kl, images);
  result["reverse_kl"] = divergence_json(of_classes.reverse_kl, images);
}

json groups_json(const GroupSpread& spread) {
  json low, high;
  if (spread.interval) {
    low = spread.interval->low;
    high = spread.interval->high;
  }
  return {{"mean", spread.mean},
          {"worst", spread.worst},
          {"gap", spread.gap()},
          {"worst_low", low},
          {"worst_high", high}};
}

}  // namespace halftone
