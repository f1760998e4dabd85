#include "cli/container_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/json/documents.h"

namespace diatom::cli {
namespace {

constexpr int64_t second = 1'000'000'000;
constexpr int64_t now = 1'000'000 * second;

ContainerInfo in_state(const char* state, int64_t started_ns = 0, int64_t finished_ns = 0, int exit_code = 0) {
  ContainerInfo info;
  info.state = state;
  info.started_ns = started_ns;
  info.finished_ns = finished_ns;
  info.exit_code = exit_code;
  return info;
}

TEST(ContainerStatus, IsInDockersWords) {
  struct Case {
    ContainerInfo info;
    const char* health;
    const char* text;
  };
  int64_t begin = now - 7200 * second;
  for (Case one : {Case{in_state("running", now - 5 * second), "", "Up 5 seconds"},
                   Case{in_state("running", now - 5 * second), "healthy", "Up 5 seconds (healthy)"},
                   Case{in_state("running", now - 5 * second), "starting", "Up 5 seconds (health: starting)"},
                   Case{in_state("paused", now - 5 * second), "healthy", "Up 5 seconds (Paused)"},
                   Case{in_state("stopping", now - 120 * second), "", "Up 2 minutes (Stopping)"},
                   Case{in_state("created"), "", "Created"}, Case{in_state("starting"), "", "Starting"},
                   Case{in_state("restarting", begin, now - 3 * second, 1), "", "Restarting (1) 3 seconds ago"},
                   Case{in_state("exited", begin, now - 3600 * second), "", "Exited (0) About an hour ago"},
                   Case{in_state("exited", begin, now - 2 * second, 137), "", "Exited (137) 2 seconds ago"},
                   Case{in_state("failed", 0, now - 2 * second, 127), "", "Failed (127) 2 seconds ago"},
                   Case{in_state("failed", 0, 0, 125), "", "Failed"}}) {
    one.info.health.status = one.health;
    EXPECT_EQ(container_status(one.info, now), one.text);
  }
}

TEST(ContainerPorts, AreListedAsDockerDoes) {
  auto port = [](const char* address, uint16_t host, uint16_t guest, const char* protocol = "tcp") {
    return PortMapping{.host_address = address, .host_port = host, .container_port = guest, .protocol = protocol};
  };
  const std::tuple<std::vector<PortMapping>, const char*, const char*> cases[] = {
      {{}, "[]", ""},
      {{port("127.0.0.1", 8080, 80)}, "[]", "127.0.0.1:8080->80/tcp"},
      {{port("", 8080, 80)}, "[]", "127.0.0.1:8080->80/tcp"},
      {{port("::1", 53, 53, "udp")}, "[]", "[::1]:53->53/udp"},
      {{port("0.0.0.0", 81, 81), port("0.0.0.0", 80, 80)}, "[]", "0.0.0.0:80-81->80-81/tcp"},
      {{port("0.0.0.0", 80, 80), port("0.0.0.0", 82, 82)}, "[]", "0.0.0.0:80->80/tcp, 0.0.0.0:82->82/tcp"},
      {{port("127.0.0.1", 8080, 80)}, R"(["80/tcp", "443/tcp", "90/udp"])", "90/udp, 443/tcp, 127.0.0.1:8080->80/tcp"},
      {{}, R"(["8000/tcp", "8001/tcp"])", "8000-8001/tcp"},
      {{}, R"(["nonsense", 1])", ""},
  };
  for (const auto& [ports, exposed, text] : cases) {
    ContainerInfo info = in_state("running", 1);
    info.ports = ports;
    info.spec_json = std::string(R"({"ExposedPorts": )") + exposed + "}";
    EXPECT_EQ(container_ports(info), text);
  }
}

TEST(ContainerPorts, AreNotListedWhenItDoesNotRun) {
  ContainerInfo info = in_state("exited", 1, 2);
  info.spec_json = R"({"ExposedPorts": ["80/tcp"]})";
  EXPECT_EQ(container_ports(info), "");
  EXPECT_THAT(container_exposed(info), testing::ElementsAre("80/tcp"));
}

TEST(ContainerCommand, IsQuotedAndCut) {
  ContainerInfo info;
  info.command = {"sh", "-c", "echo 1234567890 1234567890"};
  EXPECT_EQ(container_command(info, false), "\"sh -c echo 12345678…\"");
  EXPECT_EQ(container_command(info, true), "\"sh -c echo 1234567890 1234567890\"");
}

}  // namespace
}  // namespace diatom::cli
