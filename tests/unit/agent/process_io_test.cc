#include "process_io.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "../channel/run_loop.h"
#include "base/platform/platform.h"

namespace diatom::agent {
namespace {

using channel::Connection;
using channel::Request;
using channel::StreamHandlers;
using channel::StreamId;

// The agent's end serves "/0" and "/1" as outputs and "/in" as input; the test holds the program's ends of the pipes.
class ProcessIoTest : public testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);  // as main() does
    auto pair = platform::make_socket_pair().value();
    auto serve = [this](StreamId id, const Request& request) {
      return request.path == "/in" ? io_.attach_input(id) : io_.attach_output(id, request.path == "/0" ? 0 : 1);
    };
    server_ = Connection::open(*loop_, std::move(pair.ours), Connection::Role::server, serve, nullptr).value();
    server_pointer_ = server_.get();
    host_ = Connection::open(*loop_, std::move(pair.theirs), Connection::Role::client, nullptr, nullptr).value();
  }

  void start() {
    auto input = platform::make_pipe().value();
    auto output = platform::make_pipe().value();
    auto error = platform::make_pipe().value();
    stdin_ = std::move(input.read_end);
    stdout_ = std::move(output.write_end);
    stderr_ = std::move(error.write_end);
    for (int fd : {input.write_end.get(), output.read_end.get(), error.read_end.get()})
      ::fcntl(fd, F_SETFL, O_NONBLOCK);
    Spawned spawned;
    spawned.stdin_fd = std::move(input.write_end);
    spawned.stdout_fd = std::move(output.read_end);
    spawned.stderr_fd = std::move(error.read_end);
    io_.started(std::move(spawned));
  }

  // Reads an output to its end, then stops the loop.
  StreamId read_output(const char* path, std::string& out) {
    auto id = std::make_shared<StreamId>(0);
    StreamHandlers handlers;
    handlers.on_data = [this, id, &out](std::span<const std::byte> data) {
      out.append(reinterpret_cast<const char*>(data.data()), data.size());
      host_->consume(*id, data.size());
    };
    handlers.on_close = [this](bool) { loop_->stop(); };
    *id = host_->request({"GET", path}, std::move(handlers));
    host_->finish(*id);
    return *id;
  }

  void write_to_program_end(const UniqueFd& fd, std::string_view text) {
    ASSERT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  std::unique_ptr<Connection> server_;
  Connection* server_pointer_ = nullptr;
  ProcessIo io_{*loop_, server_pointer_};
  std::unique_ptr<Connection> host_;
  UniqueFd stdin_;
  UniqueFd stdout_;
  UniqueFd stderr_;
};

TEST_F(ProcessIoTest, OutputsReachStreamsOfTheirOwn) {
  std::string out;
  std::string err;
  read_output("/0", out);
  start();
  write_to_program_end(stdout_, "to stdout");
  write_to_program_end(stderr_, "to stderr");
  stdout_.reset();
  run_loop(*loop_);
  EXPECT_EQ(out, "to stdout");
  read_output("/1", err);  // asked for when it was long written
  stderr_.reset();
  run_loop(*loop_);
  EXPECT_EQ(err, "to stderr");
}

TEST_F(ProcessIoTest, WhatTheHostDoesNotReadStaysInTheProgramsPipe) {
  start();
  ::fcntl(stdout_.get(), F_SETFL, O_NONBLOCK);
  size_t received = 0;
  StreamHandlers handlers;
  handlers.on_data = [&](std::span<const std::byte> data) { received += data.size(); };  // never consumed
  host_->finish(host_->request({"GET", "/0"}, std::move(handlers)));
  const std::string block(64 << 10, 'x');
  size_t written = 0;
  for (int full = 0; full < 3; settle(*loop_)) {
    ssize_t put = ::write(stdout_.get(), block.data(), block.size());
    put > 0 ? static_cast<void>(written += static_cast<size_t>(put)) : static_cast<void>(++full);
    ASSERT_LT(written, size_t{8} << 20) << "it must end to take";
  }
  EXPECT_LE(received, channel::stream_window);
  EXPECT_LE(written, channel::stream_window + channel::send_buffer + (128 << 10)) << "and one pipe";
}

TEST_F(ProcessIoTest, AnOutputThatTheHostClosesBreaksThePipe) {
  std::string out;
  StreamId id = read_output("/0", out);
  start();
  settle(*loop_);
  host_->reset(id);
  io_.close_output(0);
  settle(*loop_);
  EXPECT_EQ(::write(stdout_.get(), "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
}

TEST_F(ProcessIoTest, AProgramWhoseReaderHasGoneWritesOn) {
  std::string out;
  StreamId id = read_output("/0", out);
  start();
  settle(*loop_);
  host_->reset(id);
  settle(*loop_);
  EXPECT_TRUE(io_.idle());
  ::fcntl(stdout_.get(), F_SETFL, O_NONBLOCK);
  const std::string block(32 << 10, 'x');
  size_t written = 0;
  for (int turn = 0; turn < 200 && written < (1 << 20); ++turn) {
    ssize_t put = ::write(stdout_.get(), block.data(), block.size());
    if (put > 0) written += static_cast<size_t>(put);
    settle(*loop_);
  }
  EXPECT_GE(written, size_t{1} << 20);

  out.clear();
  read_output("/0", out);  // another one comes to read what is written from now on
  settle(*loop_);
  write_to_program_end(stdout_, "later");
  stdout_.reset();
  run_loop(*loop_);
  EXPECT_EQ(out, "later");
}

TEST_F(ProcessIoTest, OutputsThatNobodyWillAskForAreThrownAway) {
  io_.discard_output();
  start();
  for (int block = 0; block < 8; ++block) {
    write_to_program_end(stderr_, std::string(32 << 10, 'x'));  // more than a pipe in all: it would hang
    settle(*loop_);
  }
}

TEST_F(ProcessIoTest, AStreamOfTheProgramHasOneReaderAtATime) {
  std::string out;
  StreamId id = read_output("/0", out);
  settle(*loop_);
  EXPECT_FALSE(io_.can_attach_output(0));
  EXPECT_TRUE(io_.can_attach_output(1));
  EXPECT_TRUE(io_.can_attach_input());
  StreamId input = host_->request({"PUT", "/in"}, {});
  settle(*loop_);
  EXPECT_FALSE(io_.can_attach_input());
  EXPECT_FALSE(io_.idle());
  int detached = 0;
  io_.on_detached([&] { ++detached; });
  host_->reset(id);
  host_->reset(input);
  settle(*loop_);
  EXPECT_TRUE(io_.idle());
  EXPECT_EQ(detached, 1);
  EXPECT_FALSE(io_.can_attach_input()) << "its end has been said";
}

TEST_F(ProcessIoTest, InputOfAProgramThatHasEndedIsTakenBack) {
  bool closed = false;
  StreamHandlers handlers;
  handlers.on_close = [&](bool) { closed = true; };
  host_->request({"PUT", "/in"}, std::move(handlers));  // left open
  start();
  settle(*loop_);
  io_.ended();
  settle(*loop_);
  EXPECT_TRUE(closed);
  EXPECT_TRUE(io_.idle());
}

TEST_F(ProcessIoTest, InputThatCameBeforeTheProgramIsKeptForIt) {
  StreamId id = host_->request({"PUT", "/in"}, {});
  host_->send_all(id, "early");
  host_->finish(id);
  settle(*loop_);
  start();
  settle(*loop_);
  char block[64];
  EXPECT_EQ(::read(stdin_.get(), block, sizeof block), 5);
  EXPECT_EQ(std::string_view(block, 5), "early");
  EXPECT_EQ(::read(stdin_.get(), block, sizeof block), 0) << "and its end";
}

TEST_F(ProcessIoTest, MuchInputWaitsForASlowProgram) {
  start();
  std::string much(1 << 20, 'i');
  size_t sent = 0;
  StreamId id = 0;
  auto pump = [&] {
    for (size_t put = 1; put > 0 && sent < much.size(); sent += put)
      put = host_->send(id, std::as_bytes(std::span(much)).subspan(sent));
    if (sent == much.size()) host_->finish(id);
  };
  StreamHandlers handlers;
  handlers.on_writable = pump;
  id = host_->request({"PUT", "/in"}, std::move(handlers));
  pump();
  settle(*loop_);
  EXPECT_LT(sent, much.size());
  size_t got = 0;
  loop_->on_readable(stdin_.get(), [&] {
    char block[8192];
    ssize_t part = ::read(stdin_.get(), block, sizeof block);
    if (part > 0) return static_cast<void>(got += static_cast<size_t>(part));
    loop_->forget(stdin_.get());
    loop_->stop();
  });
  run_loop(*loop_);
  EXPECT_EQ(got, much.size());
}

TEST_F(ProcessIoTest, InputForAProgramThatHasClosedItsStdinIsTakenAndDropped) {
  start();
  stdin_.reset();
  StreamHandlers handlers;
  handlers.on_end = [this] { loop_->stop(); };  // the agent's way to say so
  StreamId id = host_->request({"PUT", "/in"}, std::move(handlers));
  host_->send_all(id, std::string(100000, 'x'));
  run_loop(*loop_);
}

TEST_F(ProcessIoTest, AProgramThatDidNotStartHasEmptyOutputs) {
  std::string out;
  read_output("/0", out);
  settle(*loop_);
  io_.not_started();
  run_loop(*loop_);
  EXPECT_EQ(out, "");
}

}  // namespace
}  // namespace diatom::agent
