// The C API as its callers have it; what needs an image or a VM: tests/integration/library_test.py, tests/vm/.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "base/platform/platform.h"
#include "capi/call.h"
#include "capi/options.h"
#include "diatom/diatom.h"
#include "support/scratch.h"

namespace diatom::capi {
namespace {

using test::ScratchDirectory;
using testing::HasSubstr;

class CApi : public testing::Test {
 protected:
  CApi() {
    std::string options = print_json({{"home", (scratch_ / "home").string()}, {"run", (scratch_ / "run").string()}});
    EXPECT_EQ(diatom_open(options.c_str(), &runtime_, nullptr), DIATOM_OK);
  }
  ~CApi() override {
    diatom_close(runtime_);
    diatom_error_free(error_);
  }
  CApi(const CApi&) = delete;
  CApi& operator=(const CApi&) = delete;
  CApi(CApi&&) = delete;
  CApi& operator=(CApi&&) = delete;

  std::string message() {
    std::string text = diatom_error_message(error_);
    diatom_error_free(std::exchange(error_, nullptr));
    return text;
  }

  ScratchDirectory scratch_;
  diatom_runtime* runtime_ = nullptr;
  diatom_error* error_ = nullptr;
};

TEST_F(CApi, SaysItsVersions) {
  EXPECT_THAT(diatom_version(), testing::MatchesRegex("[0-9]+[.][0-9]+[.][0-9]+"));
  EXPECT_EQ(diatom_api_version(), DIATOM_API_VERSION);
}

TEST_F(CApi, GivesResultsAsJson) {
  char* json = nullptr;
  ASSERT_EQ(diatom_container_list(runtime_, R"({"all": true})", &json, &error_), DIATOM_OK);
  EXPECT_STREQ(json, "[]");
  diatom_free(json);
  ASSERT_EQ(diatom_disk_usage(runtime_, &json, &error_), DIATOM_OK);
  EXPECT_EQ(Json::parse(json)["Containers"]["TotalCount"], 0);
  diatom_free(json);
  EXPECT_EQ(diatom_image_list(runtime_, nullptr, nullptr), DIATOM_OK);
}

TEST_F(CApi, DescribesAnError) {
  char* json = reinterpret_cast<char*>(this);
  ASSERT_EQ(diatom_container_inspect(runtime_, "nobody", &json, &error_), DIATOM_NOT_FOUND);
  EXPECT_EQ(json, nullptr);
  EXPECT_EQ(diatom_error_status(error_), DIATOM_NOT_FOUND);
  EXPECT_STREQ(diatom_error_kind(error_), "not_found");
  EXPECT_EQ(diatom_error_exit_code(error_), 0);
  EXPECT_THAT(message(), HasSubstr("nobody"));
}

TEST_F(CApi, HasAnAnswerForNoError) {
  EXPECT_EQ(diatom_error_status(nullptr), DIATOM_OK);
  EXPECT_STREQ(diatom_error_kind(nullptr), "ok");
  EXPECT_STREQ(diatom_error_message(nullptr), "");
  EXPECT_STREQ(diatom_error_hint(nullptr), "");
  EXPECT_EQ(diatom_error_exit_code(nullptr), 0);
  diatom_error_free(nullptr);
  diatom_free(nullptr);
  diatom_close(nullptr);
  diatom_cancel(nullptr);
}

TEST_F(CApi, RefusesNullWhereSomethingMustBe) {
  const char* none[] = {nullptr};
  const std::pair<diatom_status, const char*> cases[] = {
      {diatom_open(nullptr, nullptr, nullptr), "open"},
      {diatom_info(nullptr, nullptr, nullptr), "runtime"},
      {diatom_events(runtime_, nullptr, nullptr, nullptr, nullptr), "callback"},
      {diatom_login(runtime_, nullptr, nullptr, nullptr, nullptr), "registry"},
      {diatom_image_pull(runtime_, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr), "pull"},
      {diatom_image_tag(runtime_, "a", nullptr, nullptr), "tag"},
      {diatom_image_save(runtime_, nullptr, 1, nullptr), "save"},
      {diatom_container_create(runtime_, nullptr, nullptr, nullptr, nullptr, nullptr), "create"},
      {diatom_container_start(runtime_, nullptr, nullptr), "start"},
      {diatom_container_rename(runtime_, "a", nullptr, nullptr), "rename"},
      {diatom_container_fork(runtime_, nullptr, 1, nullptr, nullptr, nullptr), "fork"},
      {diatom_snapshot_create(runtime_, nullptr, nullptr, nullptr, nullptr), "snapshot"},
      {diatom_snapshot_remove(runtime_, nullptr, nullptr, nullptr), "snapshot"},
      {diatom_snapshot_restore(runtime_, nullptr, nullptr, nullptr, nullptr), "snapshot"},
      {diatom_container_exec(runtime_, "a", nullptr, nullptr, -1, -1, -1, nullptr, nullptr, nullptr), "argv"},
      {diatom_container_stats(runtime_, nullptr, nullptr, nullptr, nullptr), "stats"},
      {diatom_container_read_logs(runtime_, "a", nullptr, nullptr, nullptr, nullptr), "callback"},
  };
  for (auto [status, name] : cases) EXPECT_EQ(status, DIATOM_INVALID_ARGUMENT) << name;
  ASSERT_EQ(diatom_container_kill(runtime_, nullptr, nullptr, &error_), DIATOM_INVALID_ARGUMENT);
  EXPECT_EQ(message(), "use container: it is NULL");
  EXPECT_EQ(diatom_container_stats(runtime_, none, nullptr, nullptr, nullptr), DIATOM_OK);
}

TEST_F(CApi, RefusesOptionsThatItDoesNotKnow) {
  ASSERT_EQ(diatom_container_remove(runtime_, "a", R"({"forced": true})", &error_), DIATOM_INVALID_ARGUMENT);
  EXPECT_THAT(message(), HasSubstr("\"forced\""));
  ASSERT_EQ(diatom_events(
                runtime_, R"({"filters": {"colour": ["a"]}})", [](void*, const char*) { return 0; }, nullptr, &error_),
            DIATOM_INVALID_ARGUMENT);
  EXPECT_THAT(message(), HasSubstr("\"filters.colour\""));
  EXPECT_EQ(diatom_container_list(runtime_, "", nullptr, nullptr), DIATOM_INVALID_ARGUMENT);
}

TEST_F(CApi, RefusesADescriptorThatIsNotOpen) {
  ASSERT_EQ(diatom_container_logs(runtime_, "a", nullptr, 9999, -1, &error_), DIATOM_INVALID_ARGUMENT);
  EXPECT_EQ(message(), "use stdout_fd 9999: it is not open");
}

TEST_F(CApi, RefusesASecondCallMeanwhile) {
  ASSERT_EQ(diatom_image_prune(runtime_, nullptr, nullptr, &error_), DIATOM_OK);  // an event, to be read
  struct Seen {
    diatom_runtime* runtime;
    diatom_status own = DIATOM_OK, others = DIATOM_OK;
  } seen{.runtime = runtime_};
  auto callback = [](void* user, const char*) {
    auto& told = *static_cast<Seen*>(user);
    told.own = diatom_container_list(told.runtime, nullptr, nullptr, nullptr);
    std::thread([&] { told.others = diatom_container_list(told.runtime, nullptr, nullptr, nullptr); }).join();
    return 1;
  };
  ASSERT_EQ(diatom_events(runtime_, nullptr, callback, &seen, &error_), DIATOM_OK);
  EXPECT_EQ(seen.own, DIATOM_INVALID_ARGUMENT);
  EXPECT_EQ(seen.others, DIATOM_INVALID_ARGUMENT);
  EXPECT_EQ(diatom_container_list(runtime_, nullptr, nullptr, nullptr), DIATOM_OK);
}

TEST_F(CApi, IsCancelledFromAnotherThreadForGood) {
  auto following = std::move(*platform::make_pipe());
  ASSERT_EQ(diatom_image_prune(runtime_, nullptr, nullptr, &error_), DIATOM_OK);
  std::thread other([&] {
    char byte;
    EXPECT_EQ(::read(following.read_end.get(), &byte, 1), 1);
    diatom_cancel(runtime_);
  });
  int fd = following.write_end.get();
  auto callback = [](void* user, const char*) { return ::write(*static_cast<int*>(user), "", 1) == 1 ? 0 : 1; };
  EXPECT_EQ(diatom_events(runtime_, R"({"follow": true})", callback, &fd, &error_), DIATOM_CANCELLED);
  other.join();
  EXPECT_EQ(diatom_container_list(runtime_, nullptr, nullptr, nullptr), DIATOM_CANCELLED);
}

TEST_F(CApi, LetsNoExceptionOut) {
  diatom_error* error = nullptr;
  EXPECT_EQ(guarded(&error, []() -> Result<> { throw std::runtime_error("odd"); }), DIATOM_INTERNAL);
  EXPECT_THAT(diatom_error_message(error), HasSubstr("odd"));
  diatom_error_free(error);
  EXPECT_EQ(guarded(&error, []() -> Result<> { throw std::bad_alloc(); }), DIATOM_INTERNAL);
  EXPECT_EQ(error, nullptr);
  EXPECT_EQ(guarded(nullptr, []() -> Result<> { throw 1; }), DIATOM_INTERNAL);
}

TEST_F(CApi, KeepsABrokenPipeFromItsCaller) {
  auto pipe = std::move(*platform::make_pipe());
  pipe.read_end.reset();
  EXPECT_EXIT(
      {
        ::signal(SIGPIPE, SIG_DFL);
        {
          QuietPipes quiet;
          if (::write(pipe.write_end.get(), "x", 1) != -1 || errno != EPIPE) ::_exit(1);
        }
        sigset_t mask;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        ::_exit(sigismember(&mask, SIGPIPE) == 1 ? 2 : 0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(CApiOptions, AreWhatTheirNamesSay) {
  EXPECT_EQ(parse_locations(R"({"home": "/h"})")->home, "/h");
  EventQuery query = *parse_event_query(R"({"since": "1", "only_new": true, "filters": {"label": ["a", "b"]}})");
  EXPECT_EQ(query.since_ns, 1'000'000'000);
  EXPECT_EQ(query.filters.at("label").size(), 2u);
  PullWish pull = *parse_pull(R"({"policy": "missing", "username": "u", "password": "p", "tls_verify": false})");
  EXPECT_EQ(pull.pull.policy, PullPolicy::missing);
  EXPECT_EQ(pull.pull.access.credentials->password, "p");
  EXPECT_FALSE(pull.pull.access.tls_verify);
  EXPECT_FALSE(parse_pull("{}")->pull.access.credentials);
  EXPECT_EQ(parse_image_prune(R"({"labels": ["a=b", "c"]})")->labels,
            (std::vector<std::pair<std::string, std::optional<std::string>>>{{"a", "b"}, {"c", std::nullopt}}));
  EXPECT_EQ(parse_exec(R"({"env": {"A": "1"}, "tty": true})")->spec.env, std::vector<std::string>{"A=1"});
  EXPECT_EQ(parse_stop(R"({"timeout": "1500ms"})")->timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ(parse_update(R"({"memory": "1g"})")->memory_bytes, 1ULL << 30);
  EXPECT_EQ(parse_logs(R"({"tail": 3, "stderr": false})")->tail, 3u);
  EXPECT_EQ(parse_stats("{}")->count(), 5000);
  EXPECT_EQ(parse_join("{}")->detach_keys, "ctrl-p,ctrl-q");
}

}  // namespace
}  // namespace diatom::capi
