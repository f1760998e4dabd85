// A hostile guest against the host's client: whatever it says, the host hears an end of everything that it asked for,
// once, and of the channel.
#include <csignal>

#include "channel/agent_client.h"
#include "hostile_peer.h"

using namespace diatom;
using namespace diatom::channel;

namespace {

// The first byte of the input.
struct Choices {
  bool raw;
  bool tty;
  bool open_stdin;
  bool consume;
  bool close_output;
  bool ask_on;  // ask for more from within the handlers
};

Choices choose(uint8_t byte) {
  auto bit = [byte](int i) { return (byte >> i & 1) != 0; };
  return {bit(0), bit(1), bit(2), bit(3), bit(4), bit(5)};
}

struct Heard {
  int started = 0;
  bool runs = false;
  int exits = 0;
  int ends[2] = {0, 0};
  int asked = 0;
  int answers = 0;
  int lost = 0;
};

class Host {
 public:
  Host(EventLoop& loop, UniqueFd channel, Choices choices) : choices_(choices) {
    auto client = AgentClient::connect(loop, std::move(channel), [this, &loop](const Error&) {
      ++heard_.lost;
      loop.stop();
    });
    REQUIRE(client);
    client_ = std::move(*client);
    client_->cork();
    ++heard_.asked;
    client_->start_container(ContainerConfig{}, answer());
    start_process();
    client_->uncork();
  }

  void check() const {
    REQUIRE(heard_.lost == 1 && client_->lost());
    REQUIRE(heard_.started == 1);
    REQUIRE(heard_.exits == (heard_.runs ? 1 : 0));
    REQUIRE(heard_.ends[0] == 1 && heard_.ends[1] == (choices_.tty ? 0 : 1));
    REQUIRE(heard_.answers == heard_.asked);
  }

 private:
  std::function<void(Result<>)> answer() {
    return [this](const Result<>& result) {
      ++heard_.answers;
      if (!result) REQUIRE(result.error().code == Errc::guest && result.error().message.size() < (128 << 10));
    };
  }

  void start_process() {
    ProcessConfig config;
    config.argv = {"true"};
    config.tty = choices_.tty;
    config.open_stdin = choices_.open_stdin;
    ProcessHandlers handlers;
    handlers.on_started = [this](std::expected<void, StartFailure> started) {
      ++heard_.started;
      heard_.runs = started.has_value();
      if (!started) REQUIRE(started.error().exit_code >= 125 && started.error().exit_code <= 127);
      ask_on();
    };
    handlers.on_output = [this](Output output, std::span<const std::byte> data) {
      REQUIRE(!data.empty() && heard_.ends[static_cast<int>(output)] == 0);
      if (choices_.consume) client_->consumed("main", output, data.size());
      if (choices_.close_output) client_->close_output("main", output);
    };
    handlers.on_output_end = [this](Output output) {
      ++heard_.ends[static_cast<int>(output)];
      ask_on();
    };
    handlers.on_stdin_writable = [this] { write_stdin(); };
    handlers.on_exit = [this](const Result<ExitReport>& report) {
      ++heard_.exits;
      if (report) REQUIRE(report->code >= 0 && report->code <= 255 && report->signal >= 0 && report->signal <= 64);
      ask_on();
    };
    client_->start_process("main", config, std::move(handlers));
    write_stdin();
  }

  void write_stdin() {
    static const std::string block(64 << 10, 'i');
    while (client_->write_stdin("main", std::as_bytes(std::span(block))) == block.size() && choices_.open_stdin &&
           ++stdin_blocks_ < 64) {
    }
    if (stdin_blocks_ >= 64) client_->close_stdin("main");
  }

  void ask_on() {
    if (!choices_.ask_on || heard_.asked > 16) return;
    heard_.asked += 2;
    client_->kill("main", SIGTERM, answer());
    client_->resize("main", 24, 80);
    client_->shutdown(answer());
  }

  Choices choices_;
  Heard heard_;
  int stdin_blocks_ = 0;
  std::unique_ptr<AgentClient> client_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool ignored = ::signal(SIGPIPE, SIG_IGN) != SIG_ERR;  // as main() does
  if (size < 1 || !ignored) return 0;
  Choices choices = choose(data[0]);
  std::string_view input = fuzz::as_text(data + 1, size - 1);
  auto loop = EventLoop::create();
  REQUIRE(loop);
  std::string settings("\0\0\0\4\0\0\0\0\0", 9);
  fuzz::HostilePeer guest(**loop, choices.raw ? std::string(input) : settings + fuzz::http2_frames(input));
  Host host(**loop, guest.take_victims_end(), choices);
  guest.run_to_its_end();
  host.check();
  return 0;
}
