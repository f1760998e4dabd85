// The program diatom-monitor: one for each container that runs.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "channel/body.h"
#include "runtime/monitor/monitor.h"

namespace diatom {

namespace {

using namespace std::chrono_literals;

constexpr int starter_fd = 3;
constexpr auto last_words_deadline = 5s;

// Whoever waits for a word on this start gets it over the protocol that all use.
Result<> refuse_starter(EventLoop& loop, UniqueFd starter, const Error& error) {
  auto route = [&](channel::Connection& client, channel::StreamId stream, const channel::Request& request) {
    bool start = request.path == "/monitor/start";
    channel::answer(client, stream, start ? 200 : 500,
                    start ? encode_start_line({.stage = "failed", .error = error}) : encode_error(error));
    return channel::StreamHandlers();
  };
  ControlServer server(loop, route, [&] { loop.stop(); });
  TRY(server.adopt(std::move(starter)));
  loop.after(last_words_deadline, [&] { loop.stop(); });
  return loop.run();
}

Result<int> run_monitor(int argc, char** argv) {
  if (argc != 2) return fail(Errc::invalid_argument, "run monitor: it is started by diatom, with a container's id");
  UniqueFd starter(::fcntl(starter_fd, F_DUPFD_CLOEXEC, starter_fd + 1));
  ::close(starter_fd);
  auto loop = TRY(EventLoop::create());
  store::Paths paths = TRY(store::find_paths());
  auto monitor = Monitor::open(std::move(paths), argv[1], *loop);
  Result<int> ended = monitor ? (*monitor)->run(starter) : std::unexpected(monitor.error());
  if (ended) return ended;
  if (monitor) monitor->reset();  // and its lock with it: who is told can try again at once
  if (starter) TRY(refuse_starter(*loop, std::move(starter), ended.error()));
  return ended;
}

}  // namespace

int monitor_main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  auto result = run_monitor(argc, argv);
  if (result) return *result;
  std::string text = "diatom-monitor: " + result.error().message + "\n";
  [[maybe_unused]] ssize_t ignored = ::write(2, text.data(), text.size());
  return 125;
}

}  // namespace diatom
