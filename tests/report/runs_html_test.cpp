#include "report/runs_html.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "report/own_report.h"
#include "report/scatter.h"

namespace halftone {
namespace {

using json = nlohmann::json;

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

json evaluation(double kl, const std::string& text) {
  json result = {
      {"model", "m"},
      {"text", text},
      {"format", "gptq"},
      {"compute", "float32"},
      {"protocol", {{"name", "paper"}, {"length", 512}, {"windows", 8}, {"ids_sha256", "1d5"}}},
      {"perplexity", {{"value", 9.5}, {"stderr", 0.1}}},
      {"bits_per_weight", {{"quantized", 3.25}, {"quoted", 3.25}, {"model", 4}}},
      {"bytes", 50 << 20}};
  if (kl > 0) result["kl"] = {{"mean", kl}, {"stderr", kl / 10}, {"low", kl / 2}, {"high", kl * 2}};
  return result;
}

RunReport run_report() {
  RunReport run;
  run.identity.recipe_name = "gptq";
  run.identity.recipe_sha256 = "5eed";
  run.identity.recipe_toml = "summary = \"<i>\"";
  LinearRow row;
  row.name = "l.0.<q>";
  row.relative_error = 0.02;
  run.linears = {row};
  run.written = WrittenTotals{};
  return run;
}

std::vector<ReportedModel> models() {
  return {{"full", std::nullopt, {evaluation(0, "a/wiki.txt")}},
          {"w<3>", run_report(), {evaluation(0.25, "a/wiki.txt"), evaluation(0.5, "b/code.txt")}}};
}

TEST(RunsHtml, HasAPlotAndATableForEveryText) {
  const std::string page = runs_html(models());
  EXPECT_TRUE(is_own_report(page));
  EXPECT_EQ(count(page, "<circle"), 2u);  // the reference has no divergence
  EXPECT_TRUE(contains(page, "<h2>wiki.txt, 8 windows of 512 tokens, paper, float32</h2>"));
  EXPECT_TRUE(contains(page, "<h2>code.txt, 8 windows of 512 tokens, paper, float32</h2>"));
  EXPECT_TRUE(contains(page, "<td>w&lt;3&gt;</td><td>gptq</td><td>50.0 MiB</td><td>3.250</td>"));
  EXPECT_TRUE(contains(page, "<td>0.125 to 0.5</td>"));
  EXPECT_TRUE(contains(page, "ids 1d5"));
}

TEST(RunsHtml, ShowsWhatEachRunDidAndItsHashes) {
  const std::string page = runs_html(models());
  EXPECT_TRUE(contains(page, "<title>l.0.&lt;q&gt;: 0.02</title>"));
  EXPECT_TRUE(contains(page, "<td>recipe</td><td>5eed</td>"));
  EXPECT_TRUE(contains(page, "summary = &quot;&lt;i&gt;&quot;"));
  EXPECT_FALSE(contains(page, "<td>took</td>"));  // nobody knows
}

TEST(RunsHtml, NeedsNothingElseAndFitsAPhone) {
  const std::string page = runs_html(models());
  EXPECT_TRUE(contains(page, "name=\"viewport\" content=\"width=device-width"));
  EXPECT_TRUE(contains(page, "<div class=\"wide\"><table>"));
  for (const char* outside : {"http", "src=", "<script", "<i>", "w<3>"})
    EXPECT_FALSE(contains(page, outside)) << outside;
  EXPECT_EQ(count(page, "width=\"100%\""), count(page, "<svg"));
}

TEST(Scatter, PutsPointsByTheLogarithmOfTheirDivergence) {
  const std::string plot =
      scatter({{"a", 100, 0.1, 0, 0}, {"b", 50, 0.01, 0.005, 0.02}}, {"MiB", "KL"});
  // from 0.001 to 0.1 over 360 units above the axis at 375; x to 105 over 500 units from 70
  EXPECT_TRUE(contains(plot, "<circle cx=\"546.2\" cy=\"15.0\"")) << plot;
  EXPECT_TRUE(contains(plot, "<circle cx=\"308.1\" cy=\"195.0\"")) << plot;
  EXPECT_TRUE(contains(plot, "<line x1=\"308.1\" y1=\"249.2\" x2=\"308.1\" y2=\"140.8\"")) << plot;
  EXPECT_EQ(count(plot, "<circle"), 2u);
}

TEST(Scatter, LeavesOutWhatHasNoPlace) {
  EXPECT_EQ(scatter({{"a", 100, 0, 0, 0}, {"b", 5, std::nan(""), 0, 0}}, {"x", "y"}), "");
  EXPECT_EQ(scatter({}, {"x", "y"}), "");
  EXPECT_EQ(count(scatter({{"a", 1, 1, 0, 0}, {"b", 0, 1, 0, 0}}, {"x", "y"}), "<circle"), 1u);
}

}  // namespace
}  // namespace halftone
