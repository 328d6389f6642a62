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

std::string share(const SelfCheck::Number& number) {
  return human_share(number.value, number.error);
}

std::string classes_text(const SelfCheck& check) {
  return fmt::format(
      "KL {} nats an image (collapsed above {:.3g}), same class {}, accuracy {} for {}; {} images "
      "beside the calibration's, {}",
      estimate(check.kl), check.limit, share(check.top1), share(check.classes->accuracy),
      share(check.classes->reference_accuracy), check.windows, human_duration(check.seconds));
}

std::string scores_text(const SelfCheck& check) {
  if (check.classes) return classes_text(check);
  return fmt::format(
      "KL {} nats a token (collapsed above {:.3g}), same top token {}, perplexity {} for {}; {} "
      "windows of {} tokens beside the calibration's, {}",
      estimate(check.kl), check.limit, share(check.top1), estimate(check.perplexity),
      estimate(check.reference_perplexity), check.windows, check.length,
      human_duration(check.seconds));
}

std::string sample_text(const SelfCheck& check) {
  if (!check.no_text.empty()) return "no text: " + check.no_text;
  return fmt::format("{} | {}{}", human_line(check.prompt, kSampleBytes),
                     human_line(check.text, kSampleBytes), check.loops ? " (in a loop)" : "");
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

namespace {

void add_text_json(const SelfCheck& check, Json& json) {
  json.update({{"windows", check.windows},
               {"length", check.length},
               {"perplexity", number_json(check.perplexity)},
               {"reference_perplexity", number_json(check.reference_perplexity)}});
  if (check.no_text.empty())
    json["sample"] = {{"prompt", check.prompt}, {"text", check.text}, {"loops", check.loops}};
  else
    json["no_sample"] = check.no_text;
}

void add_class_json(const SelfCheck& check, Json& json) {
  json.update({{"images", check.windows},
               {"accuracy", number_json(check.classes->accuracy)},
               {"reference_accuracy", number_json(check.classes->reference_accuracy)}});
}

}  // namespace

void to_json(Json& json, const SelfCheck& check) {
  if (!check.skipped.empty()) {
    json = {{"skipped", check.skipped}};
    return;
  }
  json = {{"kl", number_json(check.kl)},
          {"top1", number_json(check.top1)},
          {"context_free_kl", check.context_free_kl},
          {"limit", check.limit},
          {"collapsed", check.collapsed()},
          {"seconds", check.seconds}};
  if (check.blame) json["blame"] = blame_json(*check.blame);
  (check.classes ? add_class_json : add_text_json)(check, json);
}

std::vector<std::pair<std::string, std::string>> self_check_rows(const SelfCheck& check) {
  if (!check.skipped.empty()) return {{"self-check", "none: " + check.skipped}};
  std::vector<std::pair<std::string, std::string>> rows = {{"self-check", scores_text(check)}};
  if (!check.classes) rows.emplace_back("  goes on", sample_text(check));
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
