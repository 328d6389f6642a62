#include "task/items.h"

#include <gtest/gtest.h>

#include <fstream>

#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;
using Texts = std::vector<std::string>;

constexpr const char* kPiqa = R"({"goal": "g", "sol1": "one", "sol2": "zw\u00f6lf"})";

class Items : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name) << content;
  }
  TaskItems read(const std::string& task, int64_t limit = 0, int64_t shots = 0) {
    return read_items(locate_task(find_task(task), folder_.path(), shots), limit);
  }
  std::string refusal(const std::string& task, int64_t shots = 0) {
    return message_of([&] { read(task, 0, shots); });
  }
  std::string place(const std::string& name) { return (folder_ / name).string(); }

  TemporaryFolder folder_;
};

TEST_F(Items, OfPiqaHaveTheirLabelsInAFileBeside) {
  write("piqa_valid.jsonl", std::string(kPiqa) + "\n" + kPiqa + "\n");
  write("piqa_valid_labels.lst", "1\n0\n");
  const TaskItems all = read("piqa");
  ASSERT_EQ(all.items.size(), 2u);
  EXPECT_EQ(all.items[0].contexts, Texts(2, "Question: g\nAnswer:"));
  EXPECT_EQ(all.items[0].continuations, (Texts{" one", " zw\u00f6lf"}));
  EXPECT_EQ(all.items[0].lengths, (std::vector<int64_t>{3, 5}));
  EXPECT_EQ(all.items[0].gold, 1u);
  EXPECT_EQ(all.items[1].gold, 0u);
  EXPECT_EQ(all.items[1].line, 2);
  EXPECT_EQ(read("piqa", 1).items.size(), 1u);
  EXPECT_EQ(read("piqa", 5).items.size(), 2u);
}

TEST_F(Items, OfWinograndeDifferBeforeTheBlank) {
  write("dev.jsonl",
        R"({"sentence": "A met B and _ 's _.", "option1": "A", "option2": "B", "answer": "2"})");
  const TaskItem item = read("winogrande").items.at(0);
  EXPECT_EQ(item.contexts, (Texts{"A met B and A", "A met B and B"}));
  EXPECT_EQ(item.continuations, Texts(2, " 's _."));
  EXPECT_EQ(item.gold, 1u);
}

TEST_F(Items, OfArcAreReadAsTheyArePublishedAndAsTheyAreSpread) {
  const char* layouts[] = {
      R"({"question": "q", "choices": ["x", "y", "z"], "gold": 2})",
      R"({"question": "q", "choices": {"text": ["x", "y", "z"], "label": ["1", "2", "3"]}, "answerKey": "3"})",
      R"({"id": "7", "question": {"stem": "q", "choices": [{"text": "x", "label": "A"}, {"text": "y", "label": "B"}, {"text": "z", "label": "C"}]}, "answerKey": "C"})"};
  for (const char* layout : layouts) {
    write("arc_easy_test.jsonl", layout);
    const TaskItem item = read("arc_easy").items.at(0);
    EXPECT_EQ(item.contexts, Texts(3, "Question: q\nAnswer:"));
    EXPECT_EQ(item.continuations, (Texts{" x", " y", " z"}));
    EXPECT_EQ(item.gold, 2u);
  }
}

// As the harness's templates fill the same rows (lm_eval 0.4.13).
TEST_F(Items, OfOpenbookqaAreTheQuestionAlone) {
  const char* layouts[] = {
      R"({"question_stem": "Ice is", "choices": {"text": ["hot", "cold"], "label": ["A", "B"]}, "answerKey": "B"})",
      R"({"question": {"stem": "Ice is", "choices": [{"text": "hot", "label": "A"}, {"text": "cold", "label": "B"}]}, "answerKey": "B"})"};
  for (const char* layout : layouts) {
    write("openbookqa_test.jsonl", layout);
    const TaskItem item = read("openbookqa").items.at(0);
    EXPECT_EQ(item.contexts, Texts(2, "Ice is"));
    EXPECT_EQ(item.continuations, (Texts{" hot", " cold"}));
    EXPECT_EQ(item.gold, 1u);
  }
}

TEST_F(Items, OfBoolqAreAnsweredByNoAndYes) {
  for (const char* answer : {R"("label": 1)", R"("answer": true)"}) {
    write(
        "boolq_val.jsonl",
        std::string(R"({"passage": "Ice floats.", "question": "does ice float", )") + answer + "}");
    const TaskItem item = read("boolq").items.at(0);
    EXPECT_EQ(item.contexts, Texts(2, "Ice floats.\nQuestion: does ice float?\nAnswer:"));
    EXPECT_EQ(item.continuations, (Texts{" no", " yes"}));
    EXPECT_EQ(item.gold, 1u);
  }
}

TEST_F(Items, OfSocialIqaCountTheirAnswersFromOne) {
  write(
      "dev.jsonl",
      R"({"context": "Sam fell.", "question": "How does Sam feel?", "answerA": "a", "answerB": "b", "answerC": "c"})");
  write("dev-labels.lst", "3\n");
  const TaskItem item = read("social_iqa").items.at(0);
  EXPECT_EQ(item.contexts, Texts(3, "Q: Sam fell. How does Sam feel?\nA:"));
  EXPECT_EQ(item.continuations, (Texts{" a", " b", " c"}));
  EXPECT_EQ(item.gold, 2u);
}

TEST_F(Items, OfSciqHaveTheRightAnswerLast) {
  write(
      "sciq_test.jsonl",
      R"({"support": "  Ice is solid. ", "question": "What is ice?", "distractor1": "a", "distractor2": "b", "distractor3": "c", "correct_answer": "d"})");
  const TaskItem item = read("sciq").items.at(0);
  EXPECT_EQ(item.contexts, Texts(4, "Ice is solid. \nQuestion: What is ice?\nAnswer:"));
  EXPECT_EQ(item.continuations, (Texts{" a", " b", " c", " d"}));
  EXPECT_EQ(item.gold, 3u);
}

TEST_F(Items, OfLambadaAreTheLastWordAlone) {
  write("lambada_openai_test.jsonl", R"({"text": "He said \"yes\" and  left"})");
  const TaskItem item = read("lambada_openai").items.at(0);
  EXPECT_EQ(item.contexts, Texts{"He said \"yes\" and "});
  EXPECT_EQ(item.continuations, Texts{" left"});
  EXPECT_EQ(item.gold, 0u);
  write("lambada_openai_test.jsonl", R"({"text": "Yes"})");
  EXPECT_NE(refusal("lambada_openai").find("line 1: "), std::string::npos);
  EXPECT_NE(refusal("lambada_openai").find("expected two words or more, found \"Yes\""),
            std::string::npos);
}

TEST_F(Items, OfACleanedHellaswagFileAreTakenAsTheyStandAndSaySo) {
  write("hellaswag_val.jsonl", R"({"ctx": "A: b. c", "endings": ["x", "y"], "label": 0})");
  const TaskItems all = read("hellaswag");
  EXPECT_EQ(all.items.at(0).contexts, Texts(2, "A: b. c"));
  EXPECT_NE(all.note.find("as they stand in the file"), std::string::npos);
}

TEST_F(Items, ErrorsNameFileAndLine) {
  const auto piqa = [&](const std::string& second) {
    write("piqa_valid.jsonl", R"({"goal": "g", "sol1": "a", "sol2": "b", "label": 0})"
                              "\n\n" +
                                  second + "\n");
    const std::string message = refusal("piqa");
    const std::string begin = place("piqa_valid.jsonl") + ": line 3: ";
    EXPECT_EQ(message.substr(0, begin.size()), begin);
    return message.substr(std::min(message.size(), begin.size()));
  };
  EXPECT_EQ(piqa(R"({"goal": "g", "sol1": "a", "label": 0})"),
            "piqa.toml line 31: no field \"sol2\" (did you mean sol1?); found goal, label, sol1");
  EXPECT_EQ(piqa(R"({"goal": "g", "sol1": "a", "sol2": "b", "label": 2})"),
            "answer \"2\": expected one of 0, 1");
  EXPECT_EQ(piqa(R"({"goal": "g", "sol1": "a", "sol2": "b", "label": -1})"),
            "answer \"-1\": expected one of 0, 1");
  EXPECT_NE(piqa(R"({"goal": ["g"], "sol1": "a", "sol2": "b", "label": 0})").find("found a list"),
            std::string::npos);
  EXPECT_NE(piqa(R"({"goal": 1.5, "sol1": "a", "sol2": "b", "label": 0})").find("found number"),
            std::string::npos);
  EXPECT_EQ(piqa("[1]"), "expected a JSON object, found array");
  EXPECT_NE(piqa("{\"goal\": ").find("not valid JSON"), std::string::npos);
  EXPECT_NE(piqa("{\"goal\": \"\xff\"}").find("not valid JSON"), std::string::npos);
}

TEST_F(Items, AFileOfOtherFieldsIsRefusedAtItsFirstLine) {
  write("arc_easy_test.jsonl", R"({"question": "q", "options": ["x", "y"], "gold": 0})");
  EXPECT_EQ(refusal("arc_easy"), place("arc_easy_test.jsonl") +
                                     ": line 1: arc_easy.toml line 20: no field \"choices\"; found "
                                     "gold, options, question");
}

TEST_F(Items, ChoicesAndTheirAnswersBelongTogether) {
  write("arc_easy_test.jsonl", R"({"question": "q", "choices": ["x"], "gold": 0})");
  EXPECT_NE(refusal("arc_easy").find("expected two choices or more, found 1"), std::string::npos);
  write("arc_easy_test.jsonl", R"({"question": "q", "choices": [], "gold": 0})");
  EXPECT_NE(refusal("arc_easy").find("expected two choices or more, found 0"), std::string::npos);
  write("arc_easy_test.jsonl",
        R"({"question": "q", "choices": {"text": ["x", "y"], "label": ["A"]}, "answerKey": "A"})");
  EXPECT_NE(refusal("arc_easy").find("expected an answer for each of 2 choices, found 1"),
            std::string::npos);
  write("dev.jsonl", R"({"sentence": "no blank", "option1": "A", "option2": "B", "answer": "2"})");
  EXPECT_NE(refusal("winogrande").find("expected \"_\" in \"no blank\""), std::string::npos);
}

TEST_F(Items, LabelsAreOneAnItem) {
  write("piqa_valid.jsonl", std::string(kPiqa) + "\n" + kPiqa + "\n");
  write("piqa_valid_labels.lst", "1\n");
  EXPECT_EQ(refusal("piqa"), place("piqa_valid_labels.lst") +
                                 ": expected 2 labels, one an item of piqa_valid.jsonl, found 1");
  write("piqa_valid_labels.lst", "1\nx\n");
  EXPECT_NE(refusal("piqa").find("line 2: answer \"x\": expected one of 0, 1"), std::string::npos);
  write("piqa_valid.jsonl", R"({"goal": "g", "sol1": "a", "sol2": "b", "label": 0})");
  write("piqa_valid_labels.lst", "1\n");
  EXPECT_NE(refusal("piqa").find("expected an item without a label"), std::string::npos);
}

TEST_F(Items, DataThatIsNotThereIsNamed) {
  EXPECT_EQ(refusal("piqa"),
            folder_.path().string() +
                ": task piqa: expected piqa_valid.jsonl and piqa_valid_labels.lst, or valid.jsonl "
                "and valid-labels.lst, or piqa_valid.jsonl (JSON lines), found none of them");
  const Task task = find_task("winogrande");
  EXPECT_EQ(message_of([&] { locate_task(task, "", 0); }),
            "task winogrande: expected --task-data DIR, a folder with winogrande_dev.jsonl, or "
            "dev.jsonl");
  EXPECT_EQ(message_of([&] { locate_task(task, folder_ / "none", 0); }),
            place("none") + ": expected a folder with the data of task winogrande, found nothing");
  write("dev.jsonl", "\n \n");
  EXPECT_EQ(refusal("winogrande"), place("dev.jsonl") + ": expected an item a line, found none");
}

TEST_F(Items, ExamplesStandBeforeEachItemWithTheirAnswers) {
  write("ARC-Easy-Test.jsonl", R"({"question": "q", "choices": ["x", "y"], "gold": 0})");
  write("ARC-Easy-Train.jsonl", R"({"question": "1", "choices": ["a", "b"], "gold": 0})"
                                "\n"
                                R"({"question": "2", "choices": ["c", "d"], "gold": 1})");
  const TaskItem item = read("arc_easy", 0, 2).items.at(0);
  const std::string first = "Question: 1\nAnswer: a\n\n", second = "Question: 2\nAnswer: d\n\n";
  // Python: random.Random(1234).sample(range(2), 2) == [1, 0]
  EXPECT_EQ(item.contexts, Texts(2, second + first + "Question: q\nAnswer:"));
  EXPECT_EQ(item.continuations, (Texts{" x", " y"}));
  EXPECT_NE(read("arc_easy", 0, 1).sha256, read("arc_easy", 0, 2).sha256);
}

TEST_F(Items, ExamplesOfPartialItemsAreFilledIn) {
  const char* row =
      R"({"sentence": "A met _ again.", "option1": "B", "option2": "C", "answer": "2"})";
  write("dev.jsonl", row);
  write("train_xl.jsonl",
        R"({"sentence": "D saw _ .", "option1": "E", "option2": "F", "answer": "1"})"
        "\n" +
            std::string(row));
  // one more is drawn, and the item itself left out
  const TaskItem item = read("winogrande", 0, 1).items.at(0);
  EXPECT_EQ(item.contexts, (Texts{"D saw E .\n\nA met B", "D saw E .\n\nA met C"}));
  EXPECT_EQ(item.continuations, Texts(2, " again."));
}

TEST_F(Items, AnItemThatIsThereTwiceLeavesOthersToDrawFrom) {
  const std::string row = R"({"goal": "g", "sol1": "a", "sol2": "b", "label": 0})";
  write("piqa_valid.jsonl", row);
  write("piqa_train.jsonl", row + "\n" + row + "\n");
  EXPECT_NE(refusal("piqa", 1).find("expected 1 other items for --shots, found 0"),
            std::string::npos);
  const std::string other = R"({"goal": "h", "sol1": "a", "sol2": "b", "label": 1})";
  write("piqa_train.jsonl", row + "\n" + row + "\n" + other);
  EXPECT_EQ(read("piqa", 0, 1).items.at(0).contexts.at(0),
            "Question: h\nAnswer: b\n\nQuestion: g\nAnswer:");
}

TEST_F(Items, ExamplesNeedTheirFile) {
  write("dev.jsonl", R"({"sentence": "A met _ .", "option1": "B", "option2": "C", "answer": "2"})");
  EXPECT_NE(refusal("winogrande", 5).find("expected winogrande_train.jsonl, or train_xl.jsonl"),
            std::string::npos);
  write("train_xl.jsonl",
        R"({"sentence": "A met _ .", "option1": "B", "option2": "C", "answer": "3"})"
        "\n{}\n");
  EXPECT_NE(refusal("winogrande", 5).find("expected more items than the 5 examples"),
            std::string::npos);
  EXPECT_NE(refusal("winogrande", 1).find("train_xl.jsonl: line "), std::string::npos);
  Task task = find_task("winogrande");
  task.train.clear();
  EXPECT_EQ(message_of([&] { locate_task(task, folder_.path(), 5); }),
            "--shots 5: task winogrande names no [[train]] files");
}

}  // namespace
}  // namespace halftone
