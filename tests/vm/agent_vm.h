// A real microVM with the busybox image, driven through AgentClient alone: the guest's side of everything.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/child.h"
#include "channel/agent_client.h"
#include "diatom/images.h"
#include "rootfs/upper.h"
#include "support/scratch.h"
#include "vm/engine.h"

namespace diatom::test {

using namespace std::chrono_literals;

// The image, unpacked once for all VMs of this program.
class BusyboxImage {
 public:
  static const BusyboxImage& get() {
    static BusyboxImage image;
    return image;
  }
  const std::vector<ImageExtent>& extents() const { return extents_; }
  const fs::path& directory() const { return scratch_.path(); }

 private:
  BusyboxImage() {
    ::setenv("DIATOM_HOME", (scratch_ / "home").c_str(), 1);
    ::setenv("DIATOM_RUN", (scratch_ / "run").c_str(), 1);
    fs::path tar = scratch_ / "busybox.tar";
    auto made = run_command({BUSYBOX_IMAGE_TOOL, tar, "busybox"}, 60s);
    auto images = Images::open();
    if (!made || !images || !images->load(tar)) std::abort();
    extents_ = images->resolve("busybox").value().root_device;
  }
  ScratchDirectory scratch_;
  std::vector<ImageExtent> extents_;
};

inline channel::ProcessConfig program(std::vector<std::string> argv) {
  channel::ProcessConfig config;
  config.argv = std::move(argv);
  config.env = {"PATH=/bin:/usr/bin"};
  return config;
}
inline channel::ProcessConfig shell(std::string script) { return program({"sh", "-c", std::move(script)}); }

// One process, as it is heard of.
struct GuestProcess {
  std::string id;
  bool started = false;
  std::optional<channel::StartFailure> failure;
  std::string out;
  std::string err;
  std::string input;  // to be written
  bool keep_stdin_open = false;
  bool reads = true;  // false: what comes is not consumed
  std::optional<Result<channel::ExitReport>> exit;

  bool over() const { return failure || exit; }
  int code() const { return failure ? failure->exit_code : exit && *exit ? (**exit).code : -1; }
};

class AgentVm {
 public:
  struct Options {
    channel::ContainerConfig container = {};
    channel::ProcessConfig main = program({"sleep", "1000000"});
    uint64_t memory_bytes = 256 << 20;
  };

  AgentVm() : AgentVm(Options{}) {}
  explicit AgentVm(Options options) : scratch_(BusyboxImage::get().directory()), loop_(EventLoop::create().value()) {
    vm::MachineSpec spec;
    spec.id = "agent-vm-test";
    spec.memory_bytes = options.memory_bytes;
    spec.kernel = vm::find_guest_kernel(scratch_ / "kernels").value();
    spec.directory = scratch_.path();
    vm::Disk root{.serial = "root", .extents = {}};
    for (const ImageExtent& extent : BusyboxImage::get().extents()) root.extents.push_back({extent.path, extent.bytes});
    fs::path upper = scratch_ / "upper.ext4";
    constexpr uint64_t upper_bytes = 1ULL << 30;
    auto created = rootfs::create_upper(BusyboxImage::get().directory() / "templates", upper_bytes, upper);
    EXPECT_TRUE(created) << error_of(created);
    spec.disks = {root, {.serial = "upper", .extents = {{upper, upper_bytes}}, .read_only = false, .ephemeral = true}};

    engines_ = vm::all_engines();
    machine_ = vm::select_engine(engines_, "qemu").value().engine->boot(spec).value();
    console_ = machine_->take_console();
    ::fcntl(console_.get(), F_SETFL, O_NONBLOCK);
    loop_->on_readable(console_.get(), [this] { read_console(); });
    agent_ = channel::AgentClient::connect(*loop_, machine_->take_channel().fd, [this](const Error& error) {
               lost_ = error.message;
               loop_->stop();
             }).value();
    options.container.hostname = "guest";
    agent_->start_container(options.container, [](const Result<>& result) { EXPECT_TRUE(result) << error_of(result); });
    main_ = &start("main", options.main);
    wait_for([this] { return main_->started || main_->failure; }, 60s);
  }
  AgentVm(const AgentVm&) = delete;
  AgentVm& operator=(const AgentVm&) = delete;
  ~AgentVm() {
    if (console_) loop_->forget(console_.get());
    agent_.reset();
    machine_->kill();
    EXPECT_TRUE(machine_->reap());
    if (testing::Test::HasFailure()) std::fprintf(stderr, "the guest's console:\n%s\n", console_text_.c_str());
  }

  channel::AgentClient& agent() { return *agent_; }
  EventLoop& loop() { return *loop_; }
  GuestProcess& main() { return *main_; }

  // Runs the loop until something has made it true. The test fails when nothing has.
  void wait_for(const std::function<bool()>& done, std::chrono::seconds patience = 30s) {
    bool late = false;
    auto deadline = loop_->after(patience, [&] {
      late = true;
      loop_->stop();
    });
    while (!done() && !late && lost_.empty()) ASSERT_TRUE(loop_->run());
    loop_->cancel(deadline);
    ASSERT_FALSE(late) << "what the test waits for does not come";
    ASSERT_EQ(lost_, "");
  }

  // For what nobody tells of: asks the guest again and again.
  void ask_until(const std::function<bool()>& answer_is_yes) {
    auto deadline = std::chrono::steady_clock::now() + 30s;
    while (!answer_is_yes())
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "what the test asks for does not come";
  }

  GuestProcess& start(const std::string& id, channel::ProcessConfig config, std::string input = {},
                      const std::function<void(GuestProcess&)>& prepare = {}) {
    GuestProcess& process = processes_.emplace_back();
    process.id = id;
    process.input = std::move(input);
    config.open_stdin = config.open_stdin || !process.input.empty();
    if (prepare) prepare(process);
    channel::ProcessHandlers handlers;
    handlers.on_started = [this, &process](std::expected<void, channel::StartFailure> result) {
      result ? static_cast<void>(process.started = true) : static_cast<void>(process.failure = result.error());
      loop_->stop();
    };
    handlers.on_output = [this, &process](channel::Output output, std::span<const std::byte> data) {
      std::string& text = output == channel::Output::stdout_stream ? process.out : process.err;
      text.append(reinterpret_cast<const char*>(data.data()), data.size());
      if (process.reads) agent_->consumed(process.id, output, data.size());
      loop_->stop();
    };
    handlers.on_stdin_writable = [this, &process] { write_stdin(process); };
    handlers.on_exit = [this, &process](Result<channel::ExitReport> report) {
      process.exit = std::move(report);
      loop_->stop();
    };
    agent_->start_process(id, config, std::move(handlers));
    if (config.open_stdin) write_stdin(process);
    return process;
  }

  // Beside the first process, to its end.
  GuestProcess& exec(channel::ProcessConfig config, std::string input = {}) {
    GuestProcess& process = start(next_id(), std::move(config), std::move(input));
    wait_for([&] { return process.over(); });
    return process;
  }
  std::string output_of(const std::string& script) {
    GuestProcess& process = exec(shell(script));
    EXPECT_EQ(process.code(), 0) << script << "\n" << process.err << (process.failure ? process.failure->message : "");
    return process.out;
  }

  std::string next_id() { return "exec-" + std::to_string(++last_id_); }

  Result<> kill(const std::string& id, int signal) {
    return result_of([&](auto done) { agent_->kill(id, signal, done); });
  }
  Result<> freeze() {
    return result_of([&](auto done) { agent_->freeze(done); });
  }
  Result<> thaw() {
    return result_of([&](auto done) { agent_->thaw(done); });
  }
  Result<> limit(const channel::Limits& limits) {
    return result_of([&](auto done) { agent_->set_limits(limits, done); });
  }
  Result<> shutdown() {
    return result_of([&](auto done) { agent_->shutdown(done); });
  }
  Result<channel::Stats> stats() {
    return answer_of<channel::Stats>([&](auto done) { agent_->stats(done); });
  }
  Result<channel::ProcessList> list() {
    return answer_of<channel::ProcessList>([&](auto done) { agent_->list_processes(done); });
  }

 private:
  template <class Message>
  Result<Message> answer_of(auto ask) {
    std::optional<Result<Message>> answer;
    ask([&, this](Result<Message> result) {
      answer = std::move(result);
      loop_->stop();
    });
    wait_for([&] { return answer.has_value(); });
    return answer ? std::move(*answer) : fail(Errc::timeout, "no answer");
  }
  Result<> result_of(auto ask) { return answer_of<void>(ask); }

  void write_stdin(GuestProcess& process) {
    while (!process.input.empty()) {
      size_t taken = agent_->write_stdin(process.id, bytes_of(process.input));
      if (taken == 0) return;
      process.input.erase(0, taken);
    }
    if (!process.keep_stdin_open) agent_->close_stdin(process.id);
  }

  void read_console() {
    char block[4096];
    ssize_t got = ::read(console_.get(), block, sizeof block);
    if (got > 0) return static_cast<void>(console_text_.append(block, static_cast<size_t>(got)));
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    loop_->forget(console_.get());
    console_.reset();
  }

  ScratchDirectory scratch_;
  std::unique_ptr<EventLoop> loop_;
  std::vector<std::unique_ptr<vm::Engine>> engines_;
  std::unique_ptr<vm::Machine> machine_;
  UniqueFd console_;
  std::string console_text_;
  std::deque<GuestProcess> processes_;
  GuestProcess* main_ = nullptr;
  int last_id_ = 0;
  std::string lost_;
  std::unique_ptr<channel::AgentClient> agent_;
};

}  // namespace diatom::test
