#include "report/self_check.h"

#include <fmt/format.h>

#include "base/error.h"
#include "report/human.h"

namespace halftone {
namespace {

using Json = nlohmann::json;

constexpr size_t kSampleBytes = 160;

Json number_json(const SelfCheck::Number& number) {
  return {{"value", number.value}, {"stderr", number.error ? Json(*number.error) : Json()}};
}

Json blame_json(const SelfCheck::Blame& blame) {
  Json json = {{"part", blame.part},
               {"error", blame.error},
               {"others", blame.others},
               {"stands_out", blame.stands_out}};
  if (!blame.linear.empty()) {
    json["linear"] = blame.linear;
    json["linear_error"] = blame.linear_error;
  }
  return json;
}

std::string estimate(const SelfCheck::Number& number) {
  return human_estimate(number.value, number.error);
}

std::string scores_text(const SelfCheck& check) {
  return fmt::format(
      "KL {} nats a token (collapsed above {:.3g}), same top token {}, perplexity {} for {}; {} "
      "windows of {} tokens beside the calibration's, {}",
      estimate(check.kl), check.limit, human_share(check.top1.value, check.top1.error),
      estimate(check.perplexity), estimate(check.reference_perplexity), check.windows, check.length,
      human_duration(check.seconds));
}

std::string blame_text(const SelfCheck::Blame& blame) {
  if (!blame.stands_out)
    return fmt::format(
        "no part stands out: relative output errors {:.3g} in {} at most, {:.3g} in the median "
        "block",
        blame.error, blame.part, blame.others);
  std::string text =
      fmt::format("{} stands out: relative output error {:.3g}, {:.3g} in the median block",
                  blame.part, blame.error, blame.others);
  if (!blame.linear.empty())
    text += fmt::format("; {}: its weights are off by {:.3g}", blame.linear, blame.linear_error);
  return text;
}

}  // namespace

void to_json(Json& json, const SelfCheck& check) {
  if (!check.skipped.empty()) {
    json = {{"skipped", check.skipped}};
    return;
  }
  json = {{"windows", check.windows},
          {"length", check.length},
          {"kl", number_json(check.kl)},
          {"top1", number_json(check.top1)},
          {"perplexity", number_json(check.perplexity)},
          {"reference_perplexity", number_json(check.reference_perplexity)},
          {"context_free_kl", check.context_free_kl},
          {"limit", check.limit},
          {"collapsed", check.collapsed()},
          {"seconds", check.seconds}};
  if (check.blame) json["blame"] = blame_json(*check.blame);
  if (check.no_text.empty())
    json["sample"] = {{"prompt", check.prompt}, {"text", check.text}, {"loops", check.loops}};
  else
    json["no_sample"] = check.no_text;
}

std::vector<std::pair<std::string, std::string>> self_check_rows(const SelfCheck& check) {
  if (!check.skipped.empty()) return {{"self-check", "none: " + check.skipped}};
  std::vector<std::pair<std::string, std::string>> rows = {{"self-check", scores_text(check)}};
  if (check.no_text.empty())
    rows.emplace_back("  goes on", fmt::format("{} | {}{}", human_line(check.prompt, kSampleBytes),
                                               human_line(check.text, kSampleBytes),
                                               check.loops ? " (in a loop)" : ""));
  else
    rows.emplace_back("  goes on", "no text: " + check.no_text);
  if (check.collapsed()) rows.emplace_back("  COLLAPSED", collapse_text(check));
  return rows;
}

std::string collapse_text(const SelfCheck& check) {
  if (!check.collapsed()) return "";
  std::string text = fmt::format("KL {:.4g} is above {:.3g}", check.kl.value, check.limit);
  if (check.kl.value > check.context_free_kl)
    text += fmt::format(": worse than a guess that never looks at the context ({:.3g})",
                        check.context_free_kl);
  return check.blame ? text + "; " + blame_text(*check.blame) : text;
}

}  // namespace halftone
