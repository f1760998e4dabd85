#include "vm/qemu/qmp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/platform/platform.h"
#include "support/scratch.h"

namespace diatom::vm {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::string_view greeting = R"({"QMP": {"version": {}, "capabilities": []}})"
                                      "\n";

// What QEMU has said is in the socket already.
struct Qemu {
  platform::SocketPair sockets = std::move(*platform::make_socket_pair());
  CancelToken cancel;

  void say(std::string_view words) const { EXPECT_TRUE(write_all(sockets.theirs.get(), words)); }
  QmpClient client(std::chrono::milliseconds deadline = 20s) {
    return {std::move(sockets.ours), QmpClient::Clock::now() + deadline, &cancel};
  }
};

Result<bool> any(const Json&) { return true; }

TEST(Qmp, SendsACommandALine) {
  Qemu qemu;
  QmpClient client = qemu.client();
  ASSERT_TRUE(client.send("migrate", {{"uri", "fd:7"}}));
  std::array<std::byte, 256> read;
  size_t got = read_some(qemu.sockets.theirs.get(), read).value_or(0);
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(read.data()), got),
            "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"fd:7\"}}\n");
}

TEST(Qmp, WaitsForTheEventThatMatches) {
  Qemu qemu;
  qemu.say(greeting);
  qemu.say(
      "{\"return\": {}}\r\n{\"event\": \"OTHER\"}\n{\"event\": \"MIGRATION\", \"data\": {\"status\": \"active\"}}\n");
  qemu.say("{\"event\": \"MIGRATION\", \"data\": {\"status\": \"completed\"}}\n{\"event\": \"RESUME\"}\n");
  QmpClient client = qemu.client();
  int seen = 0;
  EXPECT_TRUE(client.await_event("MIGRATION", [&](const Json& data) -> Result<bool> {
    ++seen;
    return data.at("status") == "completed";
  }));
  EXPECT_EQ(seen, 2);
  EXPECT_TRUE(client.await_event("RESUME", any));
}

TEST(Qmp, FindsAnEventAmongWhatHasCome) {
  Qemu qemu;
  qemu.say(R"({"event": "RESUME", "timestamp": {"sec)");
  QmpClient client = qemu.client();
  EXPECT_FALSE(client.find_event("RESUME", any).value());
  qemu.say(R"(onds": 2}})"
           "\n");
  EXPECT_TRUE(client.find_event("RESUME", any).value());
  EXPECT_FALSE(client.find_event("RESUME", any).value());
}

TEST(Qmp, EndsWithTheErrorOfACommand) {
  Qemu qemu;
  qemu.say(greeting);
  qemu.say("{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such capability\"}}\n");
  auto waited = qemu.client().await_event("RESUME", any);
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, Errc::start_failed);
  EXPECT_THAT(waited.error().message, HasSubstr("no such capability"));
}

TEST(Qmp, EndsWhereQemuDoesOrTalksNonsense) {
  for (std::string words : {std::string(), std::string("{\"event\": \"RES"), std::string("[]\n"), std::string("\n"),
                            std::string("{\"error\": 1}\n"), std::string("{\"event\": 1, \"data\": []}\n")}) {
    Qemu qemu;
    qemu.say(words);
    qemu.sockets.theirs.reset();
    auto waited = qemu.client().await_event("RESUME", any);
    ASSERT_FALSE(waited) << words;
    EXPECT_EQ(waited.error().code, Errc::start_failed) << words;
  }
}

TEST(Qmp, TakesNoMessageWithoutAnEnd) {
  Qemu qemu;
  qemu.say(std::string(100 << 10, ' '));
  auto waited = qemu.client().await_event("RESUME", any);
  ASSERT_FALSE(waited);
  EXPECT_THAT(waited.error().message, HasSubstr("no end"));
}

TEST(Qmp, EndsAtItsDeadlineAndWhenItIsCancelled) {
  Qemu late;
  EXPECT_EQ(late.client(0ms).await_event("RESUME", any).error().code, Errc::timeout);
  Qemu cancelled;
  cancelled.cancel.cancel();
  EXPECT_EQ(cancelled.client().await_event("RESUME", any).error().code, Errc::cancelled);
}

TEST(Qmp, ReturnsTheAnswerToItsOwnQuestion) {
  Qemu qemu;
  qemu.say(greeting);
  qemu.say("{\"return\": {}}\n{\"return\": 7, \"id\": 7}\n{\"event\": \"STOP\"}\n{\"return\": \"yes\", \"id\": 1}\n");
  QmpClient client = qemu.client();
  auto answer = client.ask("human-monitor-command", {{"command-line", "x"}});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(*answer, "yes");
}

TEST(Qmp, HandsADescriptorOver) {
  Qemu qemu;
  qemu.say("{\"return\": {\"fdset-id\": 0, \"fd\": 23}, \"id\": 1}\n{\"return\": {}, \"id\": 2}\n");
  QmpClient client = qemu.client();
  auto over = client.hand_over(0);
  ASSERT_TRUE(over) << over.error().message;
  EXPECT_EQ(over->fd, 23);
  EXPECT_EQ(over->set, 0);
  EXPECT_FALSE(client.hand_over(0));  // that answer names none
}

TEST(Qmp, FailsWhereItsQuestionDoes) {
  Qemu qemu;
  qemu.say("{\"error\": {\"desc\": \"no such file\"}, \"id\": 1}\n");
  auto answer = qemu.client().ask("xen-save-devices-state", Json::object());
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message, HasSubstr("no such file"));
  EXPECT_EQ(Qemu().client(0ms).ask("stop", Json::object()).error().code, Errc::timeout);
}

}  // namespace
}  // namespace diatom::vm
