#include "report/task_table.h"

#include <gtest/gtest.h>

#include "report/evaluation_report.h"
#include "report/own_report.h"

namespace halftone {
namespace {

nlohmann::json evaluation() {
  return nlohmann::json::parse(R"({
    "model": "m", "reference": "r", "text": null, "compute": "float32",
    "tasks": {
      "piqa": {"items": 200, "metric": "acc_norm", "acc": 0.6, "stderr": 0.0347, "acc_norm": 0.62,
               "acc_norm_stderr": 0.0344, "reference": {"acc": 0.61, "stderr": 0.03,
               "acc_norm": 0.65, "acc_norm_stderr": 0.0338},
               "flips": {"right_to_wrong": 10, "wrong_to_right": 4, "p": 0.1796}},
      "winogrande": {"items": 1, "metric": "acc", "acc": 1, "stderr": null,
               "reference": {"acc": 0, "stderr": null},
               "flips": {"right_to_wrong": 0, "wrong_to_right": 1, "p": 1}}},
    "tasks_mean": {"value": 0.81, "reference": 0.325}})");
}

TEST(TaskTable, HasARowATaskAndTheirMean) {
  const std::string rule(112, '-');
  EXPECT_EQ(task_table(evaluation()),
            "task        items                acc           acc_norm   of the reference  right to "
            "wrong  wrong to right     p\n" +
                rule +
                "\npiqa          200  60.00 % +- 3.47 %  62.00 % +- 3.44 %  65.00 % +- 3.38 %      "
                "        10               4  0.18\n"
                "winogrande      1           100.00 %                  -             0.00 %      "
                "         0               1     1\n" +
                rule +
                "\nmean                                            81.00 %            32.50 %\n");
}

TEST(TaskTable, IsEmptyWithoutTasks) {
  EXPECT_EQ(task_table(nlohmann::json::parse(R"({"perplexity": {"value": 3}})")), "");
}

TEST(TaskTable, GeneratedAnswersHaveARowASearch) {
  nlohmann::json with = evaluation();
  with["tasks"] = nlohmann::json::parse(R"({
      "gsm8k": {"items": 50, "metric": "strict_match", "strict_match": 0.1,
                "strict_match_stderr": 0.0429, "flexible_extract": 0.12,
                "flexible_extract_stderr": 0.0464,
                "reference": {"strict_match": 0.2, "strict_match_stderr": 0.0571,
                              "flexible_extract": 0.2, "flexible_extract_stderr": 0.0571},
                "flips": {"right_to_wrong": 5, "wrong_to_right": 0, "p": 0.0625}},
      "winogrande": {"items": 1, "metric": "acc", "acc": 1, "stderr": null,
                     "reference": {"acc": 0, "stderr": null},
                     "flips": {"right_to_wrong": 0, "wrong_to_right": 1, "p": 1}}})");
  const std::string text = task_table(with);
  EXPECT_NE(text.find("acc_norm        exact match"), std::string::npos) << text;
  EXPECT_NE(text.find("gsm8k                  50         -         -  10.00 % +- 4.29 %  "
                      "20.00 % +- 5.71 %               5               0  0.0625\n"
                      "  flexible_extract                             12.00 % +- 4.64 %  "
                      "20.00 % +- 5.71 %\n"
                      "winogrande              1  100.00 %         -                  -"),
            std::string::npos)
      << text;
}

TEST(EvaluationText, SaysHowManyTextsEndInLoops) {
  const auto json = nlohmann::json::parse(R"({"model": "m", "text": "t", "perplexity": {"value": 3},
      "generation": {"texts": 8, "tokens": 96, "loops": {"value": 0.25}, "json": {"value": 1},
                     "reference": {"loops": {"value": 0}, "json": {"value": 0.75}},
                     "samples": [{"prompt": "One", "text": " two\n"}]}})");
  const std::string text = evaluation_text(json);
  EXPECT_NE(text.find("8 texts of 96 tokens, greedy"), std::string::npos) << text;
  EXPECT_NE(text.find("end in a loop               25.00 %, of the reference 0.00 %"),
            std::string::npos);
  EXPECT_NE(text.find("rows of JSON that are JSON  100.00 %, of the reference 75.00 %"),
            std::string::npos);
  EXPECT_NE(text.find("for example                 One |  two"), std::string::npos);
}

TEST(TaskTable, StandsBelowAnEvaluationWithoutText) {
  const std::string text = evaluation_text(evaluation());
  EXPECT_NE(text.find("compute"), std::string::npos);
  EXPECT_EQ(text.find("perplexity"), std::string::npos);
  EXPECT_NE(text.find("\n\ntask "), std::string::npos);
}

TEST(OwnReport, MayBeOfTasksAlone) {
  EXPECT_TRUE(is_own_report(evaluation().dump()));
  EXPECT_FALSE(is_own_report(R"({"tasks": {}, "model": "m"})"));
}

}  // namespace
}  // namespace halftone
