#include "base/place.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>

#include "base/files.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;

// /proc takes no new file from anyone, root included.
const fs::path kTakesNothing = "/proc/self";

void make_file(const fs::path& path, const std::string& content = "x") {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << content;
}

// Ends the scope of a folder in which the test runs.
class RunIn {
 public:
  explicit RunIn(const fs::path& folder) : before_(fs::current_path()) { fs::current_path(folder); }
  ~RunIn() { fs::current_path(before_); }

 private:
  fs::path before_;
};

void make_socket(const fs::path& path) {
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.string().copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(descriptor);
}

TEST(PlaceOf, IsOneNameHoweverThePathIsWritten) {
  for (const char* path : {"a/b", "a/b/", "a/b///", "a//b", "./a/./b/."})
    EXPECT_EQ(place_of(path), "a/b") << path;
  EXPECT_EQ(place_of(""), "");
  EXPECT_EQ(place_of("/"), "/");
  EXPECT_EQ(place_of("///"), "/");
  EXPECT_EQ(parent_of("a/b/"), "a");
  EXPECT_EQ(parent_of("b/"), ".");
}

TEST(PlaceOf, TheFolderThatACommandRunsInHasItsWholeName) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "a/b");
  const RunIn here(folder / "a/b");
  for (const char* path : {".", "./", "../b", "../../a/b/"})
    EXPECT_EQ(place_of(path), fs::canonical(folder / "a/b")) << path;
  EXPECT_EQ(place_of(".."), fs::canonical(folder / "a"));
}

TEST(LastName, IsThatOfThePathAsItIsWritten) {
  const TemporaryFolder folder;
  fs::create_directory_symlink("elsewhere", folder / "link");
  EXPECT_EQ(last_name("models/llama/"), "llama");
  EXPECT_EQ(last_name("llama"), "llama");
  EXPECT_EQ(last_name("/"), "/");
  EXPECT_EQ(last_name(folder / "link/"), "link");
}

TEST(PlaceOf, FollowsLinksToTheirEnd) {
  const TemporaryFolder folder;
  make_file(folder / "real/out/file");
  fs::create_directory(folder / "links");
  fs::create_symlink("../real/out", folder / "links/one");
  fs::create_symlink(folder / "links/one", folder / "links/two");
  fs::create_symlink("../real/none/", folder / "links/dangling");
  const fs::path real = fs::canonical(folder / "real");
  EXPECT_EQ(place_of(folder / "links/one/"), real / "out");
  EXPECT_EQ(place_of(folder / "links/two"), real / "out");
  EXPECT_EQ(place_of(folder / "links/dangling"), real / "none");
  EXPECT_EQ(place_of(folder / "links/one/../x"), real / "x");  // not links/x
}

TEST(IsThere, IsTrueOfALinkThatLeadsNowhere) {
  const TemporaryFolder folder;
  EXPECT_FALSE(is_there(folder / "link"));
  fs::create_symlink("nothing", folder / "link");
  EXPECT_TRUE(is_there(folder / "link"));
  EXPECT_TRUE(is_there(folder.path()));
  EXPECT_FALSE(is_there(folder / "link" / "below"));
}

TEST(PlaceOf, LinksInARingAreAnError) {
  const TemporaryFolder folder;
  fs::create_symlink("b", folder / "a");
  fs::create_symlink("a", folder / "b");
  EXPECT_NE(message_of([&] { place_of(folder / "a"); }).find("symbolic links"), std::string::npos);
}

TEST(KindAt, TellsWhatIsReplacedFromWhatIsWrittenThrough) {
  const TemporaryFolder folder;
  make_file(folder / "file");
  fs::create_symlink("file", folder / "link");
  fs::create_symlink("none", folder / "dangling");
  ::mkfifo((folder / "pipe").c_str(), 0600);
  make_socket(folder / "socket");
  EXPECT_EQ(kind_at(folder / "file"), PlaceKind::kFile);
  EXPECT_EQ(kind_at(folder / "link"), PlaceKind::kFile);
  EXPECT_EQ(kind_at(folder / "none"), PlaceKind::kNothing);
  EXPECT_EQ(kind_at(folder / "file/none"), PlaceKind::kNothing);
  EXPECT_EQ(kind_at(folder / "dangling"), PlaceKind::kNothing);
  EXPECT_EQ(kind_at(folder.path()), PlaceKind::kFolder);
  EXPECT_EQ(kind_at(folder / "pipe"), PlaceKind::kStream);
  EXPECT_EQ(kind_at("/dev/null"), PlaceKind::kStream);
  EXPECT_EQ(kind_at(folder / "socket"), PlaceKind::kOther);
}

TEST(KindAt, AnOpenDescriptorIsAStreamWhateverItLeadsTo) {
  const TemporaryFolder folder;
  make_file(folder / "log", "before\n");
  const int log = ::open((folder / "log").c_str(), O_WRONLY);
  const std::string name = "/dev/fd/" + std::to_string(log);
  EXPECT_EQ(kind_at(name), PlaceKind::kStream);
  fs::create_symlink(name, folder / "link");
  EXPECT_EQ(kind_at(folder / "link"), PlaceKind::kStream);
  write_through(name, "after\n");
  EXPECT_EQ(read_file(folder / "log"), "before\nafter\n");
  ::close(log);
}

TEST(LiesWithin, SeesThroughEveryName) {
  const TemporaryFolder folder;
  make_file(folder / "models/llama/config.json");
  fs::create_directory(folder / "modelsandmore");
  fs::create_symlink("models/llama", folder / "link");
  fs::create_symlink("models", folder / "above");
  const fs::path model = folder / "models/llama";
  for (const char* same : {"models/llama", "models/llama/", "models/./llama", "link", "link/",
                           "link/../llama", "above/llama", "modelsandmore/../models/llama"}) {
    EXPECT_TRUE(lies_within(folder / same, model)) << same;
    EXPECT_TRUE(lies_within(model, folder / same)) << same;
    EXPECT_TRUE(lies_within(folder / same / "new/er", model)) << same;
    EXPECT_FALSE(lies_within(model, folder / same / "new")) << same;
  }
  EXPECT_TRUE(lies_within(model, folder / "above"));
  EXPECT_FALSE(lies_within(folder / "modelsandmore", folder / "models"));
  EXPECT_FALSE(lies_within(folder / "models", folder / "modelsandmore"));
  const RunIn here(folder / "models");
  EXPECT_TRUE(lies_within("llama", model));
  EXPECT_TRUE(lies_within(model, "."));
  EXPECT_TRUE(lies_within("llama/..", "."));
}

TEST(LiesWithin, WhatDoesNotExistYetHasItsNameOnly) {
  const TemporaryFolder folder;
  EXPECT_TRUE(lies_within(folder / "x.json", folder / "./x.json"));
  EXPECT_TRUE(lies_within(folder / "out/x.json", folder / "out/"));
  EXPECT_FALSE(lies_within(folder / "x.json", folder / "y.json"));
  EXPECT_FALSE(lies_within(folder / "x.json", ""));
}

TEST(RequireCreatable, TriesAndLeavesNothing) {
  const TemporaryFolder folder;
  require_creatable(folder / "out/");
  EXPECT_TRUE(fs::is_empty(folder.path()));
  EXPECT_NE(message_of([&] { require_creatable(folder / "none/out"); }).find("does not exist"),
            std::string::npos);
  for (const char* unnamed : {"", "/"})
    EXPECT_NE(message_of([&] { require_creatable(unnamed); }).find("expected the name"),
              std::string::npos);
}

TEST(RequireCreatable, SaysWhyNothingCanBeWritten) {
  const std::string message = message_of([&] { require_creatable(kTakesNothing / "out"); });
  EXPECT_NE(message.find("nothing can be written into"), std::string::npos) << message;
  EXPECT_EQ(message.find("Success"), std::string::npos) << message;
  const TemporaryFolder folder;
  EXPECT_NE(message_of([&] {
              require_creatable(folder / std::string(240, 'x'));
            }).find("File name too long"),
            std::string::npos);
}

TEST(WriteThrough, ForgivesAReaderThatHasGone) {
  ::signal(SIGPIPE, SIG_IGN);  // as the program does
  int ends[2] = {};
  ASSERT_EQ(::pipe(ends), 0);
  const std::string name = "/dev/fd/" + std::to_string(ends[1]);
  write_through(name, "text");
  ::close(ends[0]);
  write_through(name, "text");
  ::close(ends[1]);
}

TEST(WriteThrough, FillsAPipe) {
  const TemporaryFolder folder;
  const fs::path pipe = folder / "pipe";
  ::mkfifo(pipe.c_str(), 0600);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  write_through(pipe, "text");
  char got[8] = {};
  EXPECT_EQ(::read(reader, got, sizeof got), 4);
  EXPECT_STREQ(got, "text");
  ::close(reader);
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_NE(message_of([&] { write_through("/dev/full", "text"); }).find("No space left"),
            std::string::npos);
}

TEST(WithPath, NamesAPathOnce) {
  const auto message = [](const fs::path& path, const std::string& text) {
    return message_of([&] { with_path(path, [&] { fail("{}", text); }); });
  };
  EXPECT_EQ(message("m", "not JSON"), "m: not JSON");
  EXPECT_EQ(message("m", "m: cannot be opened"), "m: cannot be opened");
  EXPECT_EQ(message("m", "m/config.json: not JSON"), "m/config.json: not JSON");
  EXPECT_EQ(message("m/", "m/config.json: not JSON"), "m/config.json: not JSON");
  EXPECT_EQ(message("m", "model.norm.weight: missing"), "m: model.norm.weight: missing");
}

TEST(PendingOutput, SaysWhyItCannotBeCreated) {
  errno = 0;
  const std::string message = message_of(
      [&] { PendingOutput(kTakesNothing / "out", PendingOutput::Kind::kFolder, false); });
  EXPECT_NE(message.find("cannot be created: "), std::string::npos) << message;
  EXPECT_EQ(message.find("Success"), std::string::npos) << message;
}

TEST(PendingOutput, ReplacesTheTargetOfALink) {
  const TemporaryFolder folder;
  make_file(folder / "disk/out/old");
  fs::create_directory_symlink("disk/out", folder / "link");
  PendingOutput pending(folder / "link/", PendingOutput::Kind::kFolder, true);
  EXPECT_TRUE(fs::equivalent(pending.staging().parent_path(), folder / "disk"));
  make_file(pending.staging() / "new");
  pending.commit();
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_TRUE(fs::exists(folder / "disk/out/new"));
  EXPECT_FALSE(fs::exists(folder / "disk/out/old"));
  make_file(folder / "real.json");
  fs::create_symlink("real.json", folder / "link.json");
  write_file_atomically(folder / "link.json", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link.json"));
  EXPECT_EQ(read_file(folder / "real.json"), "new");
}

TEST(PendingOutput, ReplacesOnlyItsOwnKind) {
  const TemporaryFolder folder;
  make_file(folder / "file");
  ::mkfifo((folder / "pipe").c_str(), 0600);
  const auto message = [&](const fs::path& path, PendingOutput::Kind kind) {
    return message_of([&] { PendingOutput(path, kind, true); });
  };
  EXPECT_NE(message(folder / "file", PendingOutput::Kind::kFolder).find("found a file"),
            std::string::npos);
  EXPECT_NE(message(folder.path(), PendingOutput::Kind::kFile).find("found a folder"),
            std::string::npos);
  EXPECT_NE(message(folder / "pipe", PendingOutput::Kind::kFile).find("found a device or a pipe"),
            std::string::npos);
  EXPECT_TRUE(fs::exists(folder / "file"));
}

TEST(OutputFile, SaysWhyItCannotBeSynced) {
  const TemporaryFolder folder;
  ::mkfifo((folder / "pipe").c_str(), 0600);
  const int reader = ::open((folder / "pipe").c_str(), O_RDONLY | O_NONBLOCK);
  OutputFile file(folder / "pipe");
  errno = 0;
  EXPECT_NE(message_of([&] { file.close(); }).find("Invalid argument"), std::string::npos);
  ::close(reader);
}

}  // namespace
}  // namespace halftone
