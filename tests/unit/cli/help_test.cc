// What every verb says of itself, compared with tests/golden/help/. `DIATOM_ACCEPT=1 ctest -R unit.cli` writes what it
// says now; the change is reviewed as a diff.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/command.h"
#include "support/scratch.h"

namespace diatom::cli {
namespace {

using Words = std::vector<std::string>;

struct Said {
  int code = 0;
  std::string out;
  std::string err;
};

Said say(Words words) {
  words.insert(words.begin(), "diatom");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Said said;
  said.code = main(static_cast<int>(words.size()), argv.data());
  std::fflush(nullptr);
  said.err = testing::internal::GetCapturedStderr();
  said.out = testing::internal::GetCapturedStdout();
  return said;
}

const Words verbs[] = {{},
                       {"run"},
                       {"create"},
                       {"start"},
                       {"stop"},
                       {"restart"},
                       {"kill"},
                       {"pause"},
                       {"unpause"},
                       {"wait"},
                       {"rename"},
                       {"update"},
                       {"exec"},
                       {"attach"},
                       {"logs"},
                       {"stats"},
                       {"top"},
                       {"port"},
                       {"cp"},
                       {"diff"},
                       {"commit"},
                       {"export"},
                       {"ps"},
                       {"rm"},
                       {"inspect"},
                       {"container"},
                       {"container", "ls"},
                       {"container", "rm"},
                       {"container", "inspect"},
                       {"container", "prune"},
                       {"image"},
                       {"image", "load"},
                       {"image", "ls"},
                       {"image", "inspect"},
                       {"image", "rm"},
                       {"load"},
                       {"images"},
                       {"rmi"},
                       {"events"},
                       {"info"},
                       {"system"},
                       {"system", "df"},
                       {"system", "prune"},
                       {"template"},
                       {"template", "ls"},
                       {"template", "rm"},
                       {"template", "build"},
                       {"doctor"},
                       {"version"}};

TEST(Help, IsAsItWasAccepted) {
  bool accept = std::getenv("DIATOM_ACCEPT") != nullptr;
  for (const Words& verb : verbs) {
    std::string name = "diatom";
    Words words = verb;
    for (const auto& word : verb) name += "-" + word;
    words.emplace_back("--help");
    Said said = say(words);
    EXPECT_EQ(said.code, 0) << name;
    EXPECT_EQ(said.err, "") << name;
    fs::path golden = fs::path(DIATOM_GOLDEN) / "help" / (name + ".txt");
    if (accept) {
      ASSERT_TRUE(replace_file(golden, said.out));
    }
    EXPECT_EQ(read_file(golden).value_or("(there is no " + golden.string() + ")"), said.out)
        << "if this is meant to be: DIATOM_ACCEPT=1";
  }
}

TEST(Help, NamesEveryVerbAtTheTop) {
  std::string top = say({"--help"}).out;
  for (const Words& verb : verbs) EXPECT_THAT(top, testing::HasSubstr(verb.empty() ? "diatom" : verb[0]));
}

TEST(CommandLine, SaysWhatIsWrongWithItAndFails) {
  const std::pair<Words, int> cases[] = {{{}, 2},
                                         {{"no-such-verb"}, 2},
                                         {{"image"}, 2},
                                         {{"image", "load", "--no-such-option"}, 2},
                                         {{"run", "--cpus"}, 125},
                                         {{"run", "--memory=12zz", "x"}, 125},
                                         {{"run", "--cpus=0", "x"}, 125},
                                         {{"run", "--cpus=many", "x"}, 125},
                                         {{"run", "-e", "=x", "x"}, 125},
                                         {{"run", "--env-file", "/no/such/file", "x"}, 125},
                                         {{"run"}, 125},
                                         {{"container"}, 2},
                                         {{"container", "run"}, 125},
                                         {{"container", "no-such-verb"}, 2},
                                         {{"rm"}, 2},
                                         {{"rm", "--link", "x"}, 1},
                                         {{"system"}, 2},
                                         {{"top"}, 1},
                                         {{"top", "x", "--sort=pid"}, 1}};
  for (const auto& [words, code] : cases) {
    Said said = say(words);
    EXPECT_EQ(said.code, code) << testing::PrintToString(words);
    EXPECT_EQ(said.out, "") << testing::PrintToString(words);
    EXPECT_NE(said.err, "") << testing::PrintToString(words);
  }
}

TEST(CommandLine, TellsItsVersion) {
  Said said = say({"version"});
  EXPECT_EQ(said.code, 0);
  EXPECT_THAT(said.out, testing::HasSubstr("0."));
}

}  // namespace
}  // namespace diatom::cli
