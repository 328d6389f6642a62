#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "report/convert_report.h"
#include "report/evaluation_report.h"
#include "report/human.h"
#include "report/inspect_report.h"
#include "report/quantize_report.h"
#include "report/text_table.h"

namespace halftone {
namespace {

using nlohmann::json;

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(Human, SizesAreInBinaryUnits) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1024), "1.0 KiB");
  EXPECT_EQ(human_bytes(96.0 * 1024 * 1024), "96.0 MiB");
  EXPECT_EQ(human_bytes(270e6), "257 MiB");
  EXPECT_EQ(human_bytes(1.5 * 1024 * 1024 * 1024), "1.5 GiB");
}

TEST(Human, DurationsKeepTwoUnits) {
  EXPECT_EQ(human_duration(0.0421), "0.042 s");
  EXPECT_EQ(human_duration(9.44), "9.4 s");
  EXPECT_EQ(human_duration(59.4), "59 s");
  EXPECT_EQ(human_duration(59.6), "1 min 0 s");
  EXPECT_EQ(human_duration(3 * 3600 + 20 * 60 + 5), "3 h 20 min");
  EXPECT_EQ(human_duration(-1), "?");
  EXPECT_EQ(human_duration(std::numeric_limits<double>::infinity()), "?");
}

TEST(Human, EstimatesShowTwoDigitsOfTheirError) {
  EXPECT_EQ(human_estimate(20.36312, 0.3141), "20.36 +- 0.31");
  EXPECT_EQ(human_estimate(0.0512345, 0.00123), "0.0512 +- 0.0012");
  EXPECT_EQ(human_estimate(1234.5, 45.0), "1234 +- 45");
  EXPECT_EQ(human_estimate(20.363123, std::nullopt), "20.363");
  EXPECT_EQ(human_estimate(20.363123, 0.0), "20.363");
  EXPECT_EQ(human_estimate(20.363123, std::nan("")), "20.363");
  EXPECT_EQ(human_share(0.91204, 0.0011), "91.20 % +- 0.11 %");
}

TEST(TextTable, AlignsTheFirstColumnLeftAndTheOthersRight) {
  TextTable table;
  table.add_row({"name", "n", "more"});
  table.add_rule();
  table.add_row({"a", "100"});
  table.add_row({"long name", "2", "x"});
  EXPECT_EQ(table.text(),
            "name         n  more\n"
            "--------------------\n"
            "a          100\n"
            "long name    2     x\n");
}

TEST(TextTable, CountsCodePointsAndEscapesControlCharacters) {
  TextTable table;
  table.add_row({"é", "1"});
  table.add_row({"ab", "2"});
  table.add_row({"\x1b", "3"});
  EXPECT_EQ(table.text(), "é     1\nab    2\n\\x1b  3\n");
  EXPECT_EQ(text_width("é±a"), 3u);
}

json evaluation(const std::string& model) {
  return {{"model", model},
          {"reference", nullptr},
          {"text", "/data/wiki.txt"},
          {"format", "gptq"},
          {"compute", "float32"},
          {"protocol", {{"length", 2048}, {"windows", 40}, {"bos", true}}},
          {"perplexity", {{"value", 20.361}, {"stderr", 0.31}}},
          {"bits_per_weight", {{"quantized", 4.25}, {"model", 5.125}}},
          {"bytes", 96468992},
          {"seconds", 12.3},
          {"peak_rss_bytes", 851443712}};
}

json with_reference(json report) {
  report["reference"] = "models/full";
  report["reference_perplexity"] = {{"value", 19.9}, {"stderr", 0.3}};
  report["kl"] = {{"mean", 0.05123},  {"stderr", 0.0012}, {"low", 0.049}, {"high", 0.053},
                  {"median", 0.0123}, {"p99", 0.61},      {"p999", 1.9},  {"max", 7.25}};
  report["top1"] = {{"value", 0.912}, {"stderr", 0.0011}};
  return report;
}

TEST(EvaluationText, ShowsEveryNumberWithItsErrorAndTheProtocol) {
  EXPECT_EQ(evaluation_text(with_reference(evaluation("models/w4"))),
            R"(model               models/w4 (gptq, 92.0 MiB)
reference           models/full
text                wiki.txt: 40 windows of 2048 tokens, compute float32
bits per weight     4.250 in the quantized linears, 5.125 in the whole model
perplexity          20.36 +- 0.31
  of the reference  19.90 +- 0.30
KL divergence       0.0512 +- 0.0012 nats a token (95 %: 0.049 to 0.053)
  quantiles         median 0.0123, p99 0.61, p99.9 1.9, max 7.25
same top token      91.20 % +- 0.11 %
took                12 s, peak memory 812 MiB
)");
}

TEST(EvaluationText, ShowsWhereADivergenceComesFromAndItsNoiseFloor) {
  json report = with_reference(evaluation("m"));
  report["reverse_kl"] = {{"mean", 0.061}, {"stderr", 0.002}};
  report["noise_floor"] = {{"kl", 0.0112}, {"top1", 0.97}};
  report["by_confidence"] = {
      {{"from", 0}, {"to", 0.5}, {"positions", 30}, {"kl", 0.5}, {"top1", 0.75}},
      {{"from", 0.5}, {"to", 1}, {"positions", 0}, {"kl", nullptr}, {"top1", nullptr}}};
  const std::string text = evaluation_text(report);
  EXPECT_TRUE(
      contains(text,
               "\nKL divergence       0.0512 +- 0.0012 nats a token (95 %: 0.049 to 0.053); "
               "noise floor 0.011 (the reference in bfloat16 against float32)\n"))
      << text;
  EXPECT_TRUE(contains(text, "\n  the other way     0.0610 +- 0.0020 nats a token\n"));
  EXPECT_TRUE(
      contains(text, "\n  sure 0 to 0.5     KL 0.5, same top token 75.00 %, 30 positions\nsame"));
  EXPECT_TRUE(contains(comparison_text({evaluation("full"), report}),
                       "m: KL is near its noise floor, 0.011 (the reference in "));
}

TEST(EvaluationText, SeveralTextsAreRowsAndTheWorstOneIsNamed) {
  json report = with_reference(evaluation("m"));
  report["text"] = {"a/wiki.txt", "b/code.jsonl"};
  const auto row = [](const char* text, double kl) {
    return json{{"text", text},
                {"windows", 20},
                {"perplexity", {{"value", 8.5}, {"stderr", 0.2}}},
                {"kl", {{"mean", kl}, {"stderr", 0.01}, {"low", kl / 2}, {"high", kl * 2}}},
                {"top1", {{"value", 0.9}, {"stderr", 0.01}}}};
  };
  report["texts"] = {row("a/wiki.txt", 0.25), row("b/code.jsonl", 0.5)};
  report["groups"] = {{"mean", 0.375},    {"worst", 0.5},      {"gap", 0.125},
                      {"worst_low", 0.4}, {"worst_high", 0.6}, {"worst_text", "b/code.jsonl"}};
  const std::string text = evaluation_text(report);
  EXPECT_TRUE(contains(text, "\ntext                2 texts: 40 windows of 2048 tokens, ")) << text;
  EXPECT_TRUE(contains(text, "\nwiki.txt    ")) << text;
  EXPECT_TRUE(contains(text, "  0.250 +- 0.010  0.125 to 0.5  90.00 % +- 1.00 %\n")) << text;
  EXPECT_TRUE(contains(text,
                       "\nKL of the worst text 0.5 (95 %: 0.4 to 0.6), code.jsonl: 0.125 above the "
                       "mean of 2 texts, 0.375\n"))
      << text;
  EXPECT_TRUE(contains(comparison_text({evaluation("full"), report}), "m: KL of the worst text "));
}

TEST(EvaluationText, LeavesOutWhatWasNotMeasured) {
  const std::string text = evaluation_text(evaluation("m"));
  EXPECT_FALSE(contains(text, "KL"));
  EXPECT_FALSE(contains(text, "reference"));
  EXPECT_TRUE(contains(evaluation_text(json::object()), "perplexity       -"));
}

TEST(ComparisonText, PutsModelsSideBySide) {
  EXPECT_EQ(
      comparison_text({evaluation("models/full/"), with_reference(evaluation("out/w4"))}),
      R"(model      size  bits/weight     perplexity   KL to the first         KL 95 %  KL p99     same top token
--------------------------------------------------------------------------------------------------------
full   92.0 MiB        4.250  20.36 +- 0.31                 -               -       -                  -
w4     92.0 MiB        4.250  20.36 +- 0.31  0.0512 +- 0.0012  0.049 to 0.053    0.61  91.20 % +- 0.11 %

wiki.txt: 40 windows of 2048 tokens, compute float32
)");
}

TEST(ComparisonText, NamesModelsInFullWhereTheirLastPartsAreEqual) {
  const std::string text = comparison_text({evaluation("a/hf"), evaluation("b/hf")});
  EXPECT_TRUE(contains(text, "\na/hf "));
  EXPECT_TRUE(contains(text, "\nb/hf "));
}

RunReport quantization() {
  const auto linear = [](const std::string& name, double error, const std::string& fallback) {
    LinearRow row;
    row.name = name;
    row.objective = "input";
    row.loss = 1.5;
    row.relative_error = error;
    row.weight_divergence = 0.002;
    row.bits_per_weight = 4.25;
    row.damping = 0.01;
    row.fallback = fallback;
    row.seconds = 0.5;
    return row;
  };
  RunReport report;
  report.identity.recipe_name = "gptq";
  report.identity.recipe_toml = "summary = \"<b>\"";
  report.identity.calibration.emplace();
  report.identity.calibration->texts = {{.text = "c4.txt"}};
  report.identity.calibration->sequences = 128;
  report.identity.calibration->length = 2048;
  report.identity.compute = "float32";
  report.format = "gptq";
  report.linears = {linear("l.0.q", 0.01, ""), linear("l.0.<k>", 0.03, "damping 0.1")};
  report.written = {.bits_per_weight = {.quantized = 4.25, .quoted = 4.25, .model = 5.125},
                    .bytes = 96468992,
                    .caution = ""};
  report.seconds = 200;
  report.peak_rss_bytes = 851443712;
  report.planned_peak_bytes = 838860800;
  return report;
}

TEST(QuantizeText, SaysWhatWasWrittenAndThatItReadsBack) {
  EXPECT_EQ(quantize_text(quantization()),
            R"(recipe           gptq
calibration      c4.txt, 128 sequences of 2048 tokens, seed 0, compute float32
size             92.0 MiB, format gptq
bits per weight  4.250 in 2 quantized linears, 5.125 in the whole model
relative error   mean 0.02, worst 0.03 in l.0.<k>
weight KL        mean 0.002 between the histograms of the weights
fallbacks        1 of 2 linears, the first l.0.<k>: damping 0.1
read back        ok: every weight in the files is bit for bit what was calibrated
took             3 min 20 s, peak memory 812 MiB (planned 800 MiB)
)");
}

TEST(QuantizeText, NamesEveryTextWithItsWindows) {
  RunReport report = quantization();
  report.identity.calibration->texts = {{.text = "chat.jsonl", .sequences = 96},
                                        {.text = "c4.txt", .sequences = 32}};
  EXPECT_TRUE(contains(quantize_text(report),
                       "calibration      chat.jsonl (96), c4.txt (32), 128 sequences of 2048 "));
}

TEST(QuantizeText, SetsLossesAgainstThoseOfRoundingToNearest) {
  RunReport report = quantization();
  report.linears[0].loss_ratio_to_rtn = 0.25;
  report.linears[1].loss_ratio_to_rtn = 0.36;
  EXPECT_TRUE(
      contains(quantize_text(report),
               "\nloss             0.300 of rounding to nearest (geometric mean), worst 0.360 "
               "in l.0.<k>\n"));
  EXPECT_TRUE(contains(quantize_html(report), "<td>0.36</td>"));
}

TEST(QuantizeText, ACautionIsALineOfItsOwnAndOnlyWhereThereIsOne) {
  RunReport report = quantization();
  EXPECT_FALSE(contains(quantize_text(report), "caution"));
  report.written->caution = "some reader refuses this";
  EXPECT_TRUE(contains(quantize_text(report), "caution          some reader refuses this\n"));
}

TEST(Reports, NotesAreLinesOfTheirOwnAndOnlyWhereThereAreSome) {
  const json notes = {"the first", "the <second>", 3};
  RunReport report = quantization();
  EXPECT_FALSE(contains(quantize_text(report), "note"));
  report.notes = {"the first", "the <second>"};
  EXPECT_TRUE(contains(quantize_text(report),
                       "\nnote             the first\nnote             the <second>\ntook "));
  EXPECT_TRUE(contains(quantize_html(report), "<td>note</td><td>the &lt;second&gt;</td>"));
  EXPECT_TRUE(contains(convert_text({{"notes", notes}}), "note       the first\n"));
  EXPECT_TRUE(contains(inspect_text({{"kind", "x"}, {"notes", notes}}),
                       "kind  x\nnote  the first\nnote  the <second>\n"));
  const json evaluation = {{"model", "m"}, {"notes", {"the first", "reference: other"}}};
  EXPECT_TRUE(contains(evaluation_text(evaluation), "\nnote             reference: other\n"));
  EXPECT_TRUE(contains(comparison_text({evaluation, evaluation}), "note: m: reference: other\n"));
  EXPECT_FALSE(contains(comparison_text({{{"model", "n"}}, evaluation}), "other"));
}

TEST(Reports, AnEvaluationThatFailedIsAnErrorWithTheModelsName) {
  EXPECT_NO_THROW(require_numbers({{"model", "m"}}));
  try {
    require_numbers({{"model", "m"}, {"failure", "perplexity: expected a number"}});
    ADD_FAILURE();
  } catch (const std::exception& error) {
    EXPECT_STREQ(error.what(), "m: perplexity: expected a number");
  }
}

TEST(QuantizeText, SaysWhatOfItIsOfAnEarlierRun) {
  RunReport report = quantization();
  report.resumed_linears = 1;
  EXPECT_TRUE(contains(quantize_text(report),
                       "took             3 min 20 s, peak memory 812 MiB (planned 800 MiB); 1 "
                       "linears taken over from the "
                       "run before\n"));
  report.seconds.reset();
  EXPECT_TRUE(contains(quantize_text(report),
                       "read back        ok when it was written\n"
                       "took             nothing: this output was finished before\n"));
}

TEST(QuantizeText, ShowsBothCountsOfBitsAndTheShareOfOutliers) {
  RunReport report = quantization();
  report.written->bits_per_weight.quoted = 4.125;
  report.linears[0].outliers = 0.012;
  report.linears[1].outliers = 0.008;
  const std::string text = quantize_text(report);
  EXPECT_TRUE(contains(text, "bits per weight  4.250 (quoted as 4.125) in 2 ")) << text;
  EXPECT_TRUE(contains(text,
                       "outliers         1.00 % of a linear's weights on average, 0.80 % to "
                       "1.20 %\n"))
      << text;
}

TEST(ConvertText, ShowsBothSides) {
  const std::string text = convert_text(
      {{"from", "native"},
       {"source", {{"bytes", 1024}, {"bits_per_weight", {{"quantized", 3.5}, {"quoted", 3.25}}}}},
       {"format", "dense"},
       {"bytes", 4096},
       {"bits_per_weight", {{"quantized", 16}, {"quoted", 16}}},
       {"verified", true}});
  EXPECT_EQ(text,
            "from       native, 1.0 KiB, bits per weight 3.500 (quoted as 3.250)\n"
            "to         dense, 4.0 KiB, bits per weight 16.000\n"
            "read back  ok: every weight in the files is what was written\n");
}

SelfCheck self_check() {
  SelfCheck check;
  check.windows = 4;
  check.length = 512;
  check.kl = {0.5, 0.02};
  check.top1 = {0.75, 0.01};
  check.perplexity = {12, 0.5};
  check.reference_perplexity = {8, 0.5};
  check.context_free_kl = check.limit = 3.25;
  check.prompt = "Once\nupon";
  check.text = " a <time>";
  check.seconds = 2;
  return check;
}

TEST(QuantizeText, SaysWhatTheSelfCheckFound) {
  RunReport report = quantization();
  report.check = self_check();
  EXPECT_TRUE(contains(
      quantize_text(report),
      "\nself-check       KL 0.500 +- 0.020 nats a token (collapsed above 3.25), same top token "
      "75.00 % +- 1.00 %, perplexity 12.00 +- 0.50 for 8.00 +- 0.50; 4 windows of 512 tokens "
      "beside the calibration's, 2 s\n  goes on        Once upon |  a <time>\ntook "))
      << quantize_text(report);
  EXPECT_TRUE(contains(quantize_html(report), "Once upon |  a &lt;time&gt;"));
  const json check = json(report).at("check");
  EXPECT_EQ(check.at("kl").at("value"), 0.5);
  EXPECT_EQ(check.at("collapsed"), false);
  EXPECT_EQ(check.at("sample").at("text"), " a <time>");
}

TEST(QuantizeText, NamesThePartThatACollapseComesFrom) {
  SelfCheck check = self_check();
  EXPECT_EQ(collapse_text(check), "");
  check.kl.value = 4;
  check.blame = {.part = "model.layers.2",
                 .error = 51,
                 .others = 0.02,
                 .stands_out = true,
                 .linear = "model.layers.2.mlp.up_proj",
                 .linear_error = 49};
  EXPECT_EQ(collapse_text(check),
            "KL 4 is above 3.25: worse than a guess that never looks at the context (3.25); "
            "model.layers.2 stands out: relative output error 51, 0.02 in the median block; "
            "model.layers.2.mlp.up_proj: its weights are off by 49");
  check.blame->stands_out = false;
  check.limit = 1;
  check.kl.value = 2;
  EXPECT_EQ(collapse_text(check),
            "KL 2 is above 1; no part stands out: relative output errors 51 in model.layers.2 at "
            "most, 0.02 in the median block");
  check.kl.value = std::nan("");
  EXPECT_TRUE(check.collapsed());
  RunReport report = quantization();
  report.check = check;
  EXPECT_TRUE(contains(quantize_text(report), "\n  COLLAPSED      KL nan is above 1"));
}

TEST(QuantizeText, SaysWhyThereIsNoSelfCheck) {
  RunReport report = quantization();
  report.check.emplace();
  report.check->skipped = "no text";
  EXPECT_TRUE(contains(quantize_text(report), "\nself-check       none: no text\n"));
  EXPECT_FALSE(report.check->collapsed());
}

TEST(QuantizeText, ShoutsIfTheReadBackFailed) {
  RunReport report = quantization();
  report.written.reset();
  EXPECT_TRUE(contains(quantize_text(report), "FAILED"));
}

TEST(QuantizeHtml, IsOnePageWithABarAndARowForEveryLinear) {
  const std::string page = quantize_html(quantization());
  EXPECT_EQ(page.rfind("<!doctype html>", 0), 0u);
  EXPECT_TRUE(contains(page, "<title>l.0.q: 0.01</title>"));
  EXPECT_TRUE(contains(page, "height=\"160.00\"><title>l.0.&lt;k&gt;: 0.03</title>"));
  EXPECT_TRUE(contains(page, "<td>l.0.&lt;k&gt;</td><td>input</td><td>0.03</td>"));
  EXPECT_TRUE(contains(page, "summary = &quot;&lt;b&gt;&quot;"));
  EXPECT_FALSE(contains(page, "<b>"));
  EXPECT_FALSE(contains(page, "http"));
}

TEST(InspectText, ListsValuesAndTensors) {
  EXPECT_EQ(
      inspect_text({{"kind", "safetensors"},
                    {"bytes", 2048},
                    {"metadata", {{"format", "pt"}}},
                    {"tensors",
                     {{{"name", "a"}, {"dtype", "F32"}, {"shape", {2, 3}}, {"bytes", 24}},
                      {{"name", "b"}, {"dtype", "F32"}, {"shape", json::array()}, {"bytes", 4}}}}}),
      R"(bytes            2.0 KiB
kind             safetensors
metadata.format  pt

tensor  dtype   shape  bytes
----------------------------
a         F32   2 x 3   24 B
b         F32  scalar    4 B
)");
}

TEST(InspectText, ShowsARecipeInFull) {
  EXPECT_EQ(inspect_text({{"kind", "recipe"}, {"recipe", "[grid]\nbits = 4\n"}}),
            "kind  recipe\n\n[grid]\nbits = 4\n");
}

}  // namespace
}  // namespace halftone
