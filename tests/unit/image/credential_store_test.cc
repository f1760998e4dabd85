#include "image/registry/credential_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "image/registry/credential_helper.h"

namespace diatom::image {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A home of its own, with nothing in the environment that leads elsewhere.
class CredentialStoreTest : public testing::Test {
 protected:
  CredentialStoreTest() : home_(make_home()) {
    for (const char* name : {"REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "DOCKER_CONFIG"}) ::unsetenv(name);
    ::setenv("HOME", home_.path().c_str(), 1);
    ::setenv("XDG_RUNTIME_DIR", (home_.path() / "run").c_str(), 1);
    old_path_ = ::getenv("PATH");
    ::setenv("PATH", (home_.path().string() + "/bin:" + old_path_).c_str(), 1);
  }
  ~CredentialStoreTest() override { ::setenv("PATH", old_path_.c_str(), 1); }

  static fs::path make_home() {
    std::string name = testing::TempDir() + "diatom-home-XXXXXX";
    return ::mkdtemp(name.data());
  }
  fs::path write(const fs::path& name, std::string_view text) {
    fs::path path = home_.path() / name;
    EXPECT_TRUE(make_directories(path.parent_path()));
    EXPECT_TRUE(replace_file(path, text));
    return path;
  }
  static std::string auths(const std::string& user) {
    return R"({"auths": {"q.io": {"username": ")" + user + R"(", "password": "p"}}})";
  }
  std::string user(const std::string& auth_file = "") {
    auto found = CredentialStore(auth_file, token_).find("q.io", "org/app");
    if (!found) return found.error().message;
    return *found ? (*found)->username : "none";
  }
  // A helper that keeps one secret in a file, as the protocol has it.
  void install_helper(const std::string& name) {
    fs::path program = write("bin/docker-credential-" + name, R"(#!/bin/sh
state="$HOME/helper"
case "$1" in
  store) cat > "$state" ;;
  get) read -r server
       [ -f "$state" ] || { echo "credentials not found in native keychain"; exit 1; }
       cat "$state" ;;
  erase) rm -f "$state" ;;
esac
)");
    ::chmod(program.c_str(), 0755);
  }

  TemporaryPath home_;
  CancelToken token_;
  std::string old_path_;
};

TEST_F(CredentialStoreTest, AsksTheFilesInTheirOrder) {
  EXPECT_EQ(user(), "none");
  write(".docker/config.json", auths("docker"));
  EXPECT_EQ(user(), "docker");
  write(".config/containers/auth.json", auths("config"));
  EXPECT_EQ(user(), "config");
  write("run/containers/auth.json", auths("runtime"));
  EXPECT_EQ(user(), "runtime");
  ::setenv("REGISTRY_AUTH_FILE", write("named.json", auths("named")).c_str(), 1);
  EXPECT_EQ(user(), "named");
  EXPECT_EQ(user(write("given.json", auths("given"))), "given");
  EXPECT_EQ(user((home_.path() / "nothing").string()), "none");
}

TEST_F(CredentialStoreTest, FollowsTheVariablesOfDockerAndXdg) {
  ::setenv("DOCKER_CONFIG", write("d/config.json", auths("docker")).parent_path().c_str(), 1);
  EXPECT_EQ(user(), "docker");
  write("x/containers/auth.json", auths("xdg"));
  ::setenv("XDG_CONFIG_HOME", (home_.path() / "x").c_str(), 1);
  EXPECT_EQ(user(), "xdg");
}

TEST_F(CredentialStoreTest, NamesTheFileThatItCannotRead) {
  write(".docker/config.json", "[");
  EXPECT_THAT(user(), HasSubstr(".docker/config.json"));
}

TEST_F(CredentialStoreTest, StoresWhereTheAnswerComesFromAndElseInDockersFile) {
  CredentialStore store("", token_);
  fs::path docker = home_.path() / ".docker/config.json";
  EXPECT_EQ(*store.store("q.io", {"me", "p", ""}), docker);
  struct stat status{};
  ASSERT_EQ(::stat(docker.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_EQ(user(), "me");

  fs::path config = write(".config/containers/auth.json", auths("old"));
  EXPECT_EQ(*store.store("q.io", {"new", "p", ""}), config);
  EXPECT_EQ(user(), "new");
  EXPECT_THAT(*store.erase("q.io"), ElementsAre(config, docker));
  EXPECT_EQ(user(), "none");
  EXPECT_TRUE(store.erase("q.io")->empty());
}

TEST_F(CredentialStoreTest, ALinkedFileStaysALink) {
  fs::path real = write("dotfiles/docker.json", "{}");
  ASSERT_TRUE(make_directories(home_.path() / ".docker"));
  fs::create_symlink(real, home_.path() / ".docker/config.json");
  ASSERT_TRUE(CredentialStore("", token_).store("q.io", {"me", "p", ""}));
  EXPECT_TRUE(fs::is_symlink(home_.path() / ".docker/config.json"));
  EXPECT_THAT(*read_file(real), HasSubstr("q.io"));
}

// Processes, as logins are; all begin when the last of them is there.
TEST_F(CredentialStoreTest, LoginsAndLogoutsAtOnceLoseNothing) {
  constexpr int pairs = 10;
  CredentialStore store("", token_);
  auto server = [](const char* kind, int i) { return kind + std::to_string(i) + ".example"; };
  for (int i = 0; i < pairs; ++i) ASSERT_TRUE(store.store(server("goes", i), {"me", "p", ""}));
  ASSERT_TRUE(store.store("stays.example", {"me", "p", ""}));
  int gate[2];
  ASSERT_EQ(::pipe(gate), 0);
  std::vector<pid_t> children;
  for (int i = 0; i < 2 * pairs; ++i) {
    pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    children.push_back(pid);
    if (pid != 0) continue;
    ::close(gate[1]);
    char byte = 0;
    if (::read(gate[0], &byte, 1) != 0) ::_exit(2);
    bool done = i < pairs ? store.store(server("comes", i), {"me", "p", ""}).has_value()
                          : store.erase(server("goes", i - pairs)).has_value();
    ::_exit(done ? 0 : 1);
  }
  ::close(gate[1]);
  ::close(gate[0]);
  for (pid_t child : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  for (int i = 0; i < pairs; ++i) {
    EXPECT_TRUE(*store.find(server("comes", i), "")) << i;
    EXPECT_FALSE(*store.find(server("goes", i), "")) << i;
  }
  EXPECT_TRUE(*store.find("stays.example", ""));
  EXPECT_THAT(*list_directory(home_.path() / ".docker"), ElementsAre("config.json")) << "no lock is left";
}

TEST_F(CredentialStoreTest, UsesTheHelperThatTheFileNames) {
  install_helper("test");
  write(".docker/config.json", R"({"credHelpers": {"q.io": "test"}})");
  EXPECT_EQ(user(), "none");
  CredentialStore store("", token_);
  EXPECT_EQ(*store.store("q.io", {"me", "p", ""}), "docker-credential-test");
  EXPECT_EQ(user(), "me");
  EXPECT_THAT(*store.erase("q.io"), ElementsAre("docker-credential-test"));
  EXPECT_EQ(user(), "none");
}

TEST_F(CredentialStoreTest, AHelpersTokenIsAnIdentityToken) {
  install_helper("test");
  write("helper", R"({"ServerURL": "q.io", "Username": "<token>", "Secret": "refresh"})");
  auto found = CredentialHelper("test", token_).get("q.io");
  EXPECT_EQ((*found)->identity_token, "refresh");
  EXPECT_EQ((*found)->password, "");
}

TEST_F(CredentialStoreTest, SaysWhichHelperIsMissing) {
  write(".docker/config.json", R"({"credsStore": "absent-helper"})");
  EXPECT_THAT(user(), HasSubstr("docker-credential-absent-helper"));
  EXPECT_EQ(CredentialHelper("../../bin/sh", token_).get("q.io").error().code, Errc::invalid_argument);
}

TEST_F(CredentialStoreTest, AHelperThatHangsIsEndedByDeadlineAndToken) {
  fs::path program = write("bin/docker-credential-hangs", "#!/bin/sh\nexec tail -f /dev/null\n");
  ::chmod(program.c_str(), 0755);
  CredentialHelper helper("hangs", token_, std::chrono::milliseconds(50));
  EXPECT_EQ(helper.get("q.io").error().code, Errc::timeout);
  token_.cancel();
  EXPECT_EQ(CredentialHelper("hangs", token_).get("q.io").error().code, Errc::cancelled);
}

}  // namespace
}  // namespace diatom::image
