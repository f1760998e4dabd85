#include "channel/connection.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

#include "base/platform/platform.h"
#include "run_loop.h"

namespace diatom::channel {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// Two ends of one channel, on one loop.
class ConnectionTest : public testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);  // as main() does
    loop_ = EventLoop::create().value();
    auto pair = platform::make_socket_pair().value();
    auto serve = [this](StreamId id, const Request& request) { return on_request_(id, request); };
    server_ = Connection::open(*loop_, std::move(pair.ours), Connection::Role::server, serve, [this](const Error&) {
                ++server_lost_;
              }).value();
    client_ =
        Connection::open(*loop_, std::move(pair.theirs), Connection::Role::client, nullptr, [this](const Error& error) {
          ++client_lost_;
          EXPECT_EQ(error.code, Errc::guest);
          loop_->stop();
        }).value();
  }

  // The stop of the loop as a handler.
  std::function<void(bool)> stop_on_close() {
    return [this](bool) { loop_->stop(); };
  }
  void answer(StreamId id, int status, std::string_view body) {
    server_->respond(id, status);
    server_->send_all(id, body);
    server_->finish(id);
  }

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Connection> server_;
  std::unique_ptr<Connection> client_;
  std::function<StreamHandlers(StreamId, const Request&)> on_request_;
  int server_lost_ = 0;
  int client_lost_ = 0;
};

TEST_F(ConnectionTest, CarriesARequestItsBodyAndTheAnswer) {
  std::string asked;
  on_request_ = [&](StreamId id, const Request& request) {
    asked = request.method + " " + request.path + " ";
    StreamHandlers handlers;
    handlers.on_data = [&, id](std::span<const std::byte> data) {
      asked.append(reinterpret_cast<const char*>(data.data()), data.size());
      server_->consume(id, data.size());
    };
    handlers.on_end = [&, id] { answer(id, 404, "no"); };
    return handlers;
  };
  int status = 0;
  std::string body;
  bool clean = false;
  StreamHandlers handlers;
  handlers.on_status = [&](int code) { status = code; };
  handlers.on_data = [&](std::span<const std::byte> data) {
    body.append(reinterpret_cast<const char*>(data.data()), data.size());
  };
  handlers.on_close = [&](bool how) {
    clean = how;
    loop_->stop();
  };
  StreamId id = client_->request({"PUT", "/v1/x?y=z"}, std::move(handlers));
  client_->send_all(id, "some body");
  client_->finish(id);
  run_loop(*loop_);
  EXPECT_EQ(asked, "PUT /v1/x?y=z some body");
  EXPECT_EQ(status, 404);
  EXPECT_EQ(body, "no");
  EXPECT_TRUE(clean);
}

TEST_F(ConnectionTest, AReaderThatDoesNotConsumeStallsItsOwnStreamAndNoOther) {
  constexpr size_t total = 8 << 20;
  size_t stalled = 0;
  size_t flowing = 0;
  StreamId stalled_id = 0;
  on_request_ = [&](StreamId id, const Request& request) {
    StreamHandlers handlers;
    if (request.path == "/stalled") {
      stalled_id = id;
      handlers.on_data = [&](std::span<const std::byte> data) { stalled += data.size(); };
    } else {
      handlers.on_data = [&, id](std::span<const std::byte> data) {
        flowing += data.size();
        server_->consume(id, data.size());
      };
      handlers.on_end = [&] { loop_->stop(); };
    }
    return handlers;
  };
  const std::string block(64 << 10, 'x');
  size_t taken[2] = {0, 0};
  StreamId ids[2];
  std::function<void(int)> pump = [&](int which) {
    for (size_t put = 1; put > 0 && taken[which] < total; taken[which] += put)
      put = client_->send(ids[which], bytes_of(block).first(std::min(block.size(), total - taken[which])));
    if (taken[which] == total) client_->finish(ids[which]);
  };
  for (int which : {0, 1}) {
    StreamHandlers handlers;
    handlers.on_writable = [&pump, which] { pump(which); };
    ids[which] = client_->request({"PUT", which == 0 ? "/stalled" : "/flowing"}, std::move(handlers));
    pump(which);
  }
  run_loop(*loop_);
  EXPECT_EQ(flowing, total);
  EXPECT_LE(stalled, stream_window) << "the receiver holds no more than this";
  EXPECT_LE(taken[0], stream_window + 2 * send_buffer) << "nor the sender";
  EXPECT_LT(client_->room(ids[0]), send_buffer);

  // Once it is consumed, the rest comes.
  on_request_ = nullptr;
  auto consume_rest = [&] { server_->consume(stalled_id, stalled); };
  size_t before = stalled;
  consume_rest();
  settle(*loop_);
  EXPECT_GT(stalled, before);
  EXPECT_LE(stalled, before + stream_window);
}

TEST_F(ConnectionTest, AWideStreamHoldsMoreOnBothSides) {
  settle(*loop_);  // the ends know each other's settings
  // In either direction: what the host sends on it, and what the other end answers.
  size_t received[2] = {0, 0};
  size_t taken[2] = {0, 0};
  const std::string much(2 << 20, 'x');
  StreamId served = 0;
  auto fill = [&](Connection& connection, StreamId id, size_t& count) { count += connection.send(id, bytes_of(much)); };
  on_request_ = [&](StreamId id, const Request&) {
    served = id;
    server_->widen(id);
    server_->respond(id, 200);
    fill(*server_, id, taken[1]);
    StreamHandlers handlers;
    handlers.on_data = [&](std::span<const std::byte> data) { received[0] += data.size(); };  // never consumed
    handlers.on_writable = [&] { fill(*server_, served, taken[1]); };
    return handlers;
  };
  StreamHandlers handlers;
  handlers.on_data = [&](std::span<const std::byte> data) { received[1] += data.size(); };
  StreamId id = 0;
  handlers.on_writable = [&] { fill(*client_, id, taken[0]); };
  id = client_->request({"PUT", "/wide"}, std::move(handlers));
  client_->widen(id);
  fill(*client_, id, taken[0]);
  settle(*loop_);
  settle(*loop_);
  for (size_t side : {0UZ, 1UZ}) {
    EXPECT_GT(received[side], stream_window) << side;
    EXPECT_LE(received[side], wide_stream_window) << side;
    EXPECT_GT(taken[side], received[side] + send_buffer) << side;
    EXPECT_LE(taken[side], wide_stream_window + 2 * wide_send_buffer) << side;
  }
  EXPECT_EQ(client_->room(-1), 0U);
}

TEST_F(ConnectionTest, TellsBothEndsOfAReset) {
  int served_closes = 0;
  on_request_ = [&](StreamId id, const Request&) {
    StreamHandlers handlers;
    handlers.on_close = [&](bool clean) {
      EXPECT_FALSE(clean);
      ++served_closes;
    };
    loop_->post([this, id] { server_->reset(id); });
    return handlers;
  };
  bool clean = true;
  StreamHandlers handlers;
  handlers.on_close = [&](bool how) {
    clean = how;
    loop_->stop();
  };
  StreamId id = client_->request({"GET", "/"}, std::move(handlers));
  run_loop(*loop_);
  EXPECT_FALSE(clean);
  EXPECT_EQ(served_closes, 1);
  EXPECT_EQ(client_->send(id, bytes_of("late")), 4U) << "nobody is there to take it: it counts as taken";
  EXPECT_EQ(client_lost_ + server_lost_, 0);
}

TEST_F(ConnectionTest, TheOtherEndsDepartureClosesEveryStreamThenTheConnection) {
  on_request_ = [](StreamId, const Request&) { return StreamHandlers{}; };
  int closed = 0;
  for (int i = 0; i < 3; ++i) {
    StreamHandlers handlers;
    handlers.on_close = [&](bool clean) {
      EXPECT_FALSE(clean);
      EXPECT_EQ(client_lost_, 0) << "streams come first";
      ++closed;
    };
    client_->request({"GET", "/"}, std::move(handlers));
  }
  settle(*loop_);
  server_.reset();
  run_loop(*loop_);
  EXPECT_EQ(closed, 3);
  EXPECT_EQ(client_lost_, 1);
  EXPECT_TRUE(client_->lost());

  bool refused = false;
  StreamHandlers handlers;
  handlers.on_close = [&](bool) { refused = true; };
  EXPECT_LT(client_->request({"GET", "/"}, std::move(handlers)), 0);
  EXPECT_TRUE(refused) << "what is asked of a lost connection ends at once";
}

TEST_F(ConnectionTest, WhatThePeerSaidBeforeItWentIsHeardEvenIfItIsWrittenToFirst) {
  std::string heard;
  StreamId open_stream = 0;
  on_request_ = [&](StreamId id, const Request&) {
    open_stream = id;
    StreamHandlers handlers;
    handlers.on_data = [&](std::span<const std::byte> data) {
      heard.append(reinterpret_cast<const char*>(data.data()), data.size());
    };
    handlers.on_close = stop_on_close();
    return handlers;
  };
  StreamId id = client_->request({"PUT", "/"}, {});
  settle(*loop_);
  server_->respond(open_stream, 200);
  client_->send_all(id, "last words");
  client_.reset();
  server_->send_all(open_stream, "too late");
  EXPECT_FALSE(server_->lost());
  run_loop(*loop_);
  EXPECT_EQ(heard, "last words");
  EXPECT_TRUE(server_->lost());
}

// What a program writes into a pipe, faster than it is read, and in pieces small and large: all of it in its order.
TEST_F(ConnectionTest, SendsWhatAPipeHolds) {
  constexpr size_t total = 4 << 20;
  auto pipe = platform::make_pipe().value();
  platform::widen_pipe(pipe.write_end.get(), 256 << 10);
  for (int fd : {pipe.read_end.get(), pipe.write_end.get()}) ::fcntl(fd, F_SETFL, O_NONBLOCK);
  size_t written = 0;
  size_t read = 0;
  size_t spliced = 0;
  auto byte_at = [](size_t at) { return static_cast<std::byte>(at * 2654435761U >> 13); };
  loop_->on_writable(pipe.write_end.get(), [&] {
    std::vector<std::byte> block(std::min<size_t>(total - written, 1 + written % (300 << 10)));
    for (size_t i = 0; i < block.size(); ++i) block[i] = byte_at(written + i);
    ssize_t put = ::write(pipe.write_end.get(), block.data(), block.size());
    if (put > 0) written += static_cast<size_t>(put);
    if (written < total) return;
    loop_->forget(pipe.write_end.get());
    pipe.write_end.reset();
  });
  StreamId id = 0;
  std::function<void()> pump = [&] {
    std::array<std::byte, 4096> block;
    auto moved = server_->send_from(id, pipe.read_end.get());
    if (!moved && server_->room(id) == 0) {
      server_->await_room(id);
      moved = 0;
    }
    if (moved == 0) return loop_->forget(pipe.read_end.get());
    loop_->on_readable(pipe.read_end.get(), pump);
    spliced += moved.value_or(0);
    if (moved) return;
    ssize_t got = ::read(pipe.read_end.get(), block.data(), std::min(block.size(), server_->room(id)));
    if (got > 0) server_->send(id, std::span(block).first(static_cast<size_t>(got)));
    if (got != 0) return;
    loop_->forget(pipe.read_end.get());
    server_->finish(id);
  };
  on_request_ = [&](StreamId stream, const Request&) {
    id = stream;
    server_->widen(id);
    server_->respond(id, 200);
    loop_->on_readable(pipe.read_end.get(), pump);
    StreamHandlers handlers;
    handlers.on_writable = pump;
    return handlers;
  };
  StreamHandlers handlers;
  StreamId asked = 0;
  handlers.on_data = [&](std::span<const std::byte> data) {
    for (std::byte byte : data) ASSERT_EQ(byte, byte_at(read++));
    client_->consume(asked, data.size());
  };
  handlers.on_close = stop_on_close();
  asked = client_->request({"GET", "/"}, std::move(handlers));
  client_->widen(asked);
  client_->finish(asked);
  run_loop(*loop_);
  EXPECT_EQ(read, total);
  EXPECT_GT(spliced, total / 2);
}

TEST_F(ConnectionTest, NothingGoesOutWhileItIsCorked) {
  auto pair = platform::make_socket_pair().value();
  auto client = Connection::open(*loop_, std::move(pair.ours), Connection::Role::client, nullptr, nullptr).value();
  char block[65536];
  auto read_now = [&] { return ::recv(pair.theirs.get(), block, sizeof block, MSG_DONTWAIT); };
  EXPECT_GT(read_now(), 0) << "the preface";
  client->cork();
  client->cork();
  for (int i = 0; i < 3; ++i) client->finish(client->request({"GET", "/"}, {}));
  client->uncork();
  EXPECT_EQ(read_now(), -1);
  client->uncork();
  EXPECT_GT(read_now(), 0);
  EXPECT_EQ(read_now(), -1) << "one write";
}

TEST_F(ConnectionTest, GivesUpOnAPeerThatSpeaksSomethingElse) {
  for (std::string_view noise : {"SSH-2.0-OpenSSH\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n"}) {
    auto pair = platform::make_socket_pair().value();
    std::optional<Error> why;
    auto client = Connection::open(*loop_, std::move(pair.ours), Connection::Role::client, nullptr, [&](Error error) {
                    why = std::move(error);
                    loop_->stop();
                  }).value();
    ASSERT_EQ(::send(pair.theirs.get(), noise.data(), noise.size(), 0), static_cast<ssize_t>(noise.size()));
    ::shutdown(pair.theirs.get(), SHUT_WR);
    run_loop(*loop_);
    ASSERT_TRUE(why) << noise;
    EXPECT_EQ(why->code, Errc::guest);
  }
}

// nghttp2 closes a stream while it sends: when the answer came before the request had ended.
TEST_F(ConnectionTest, MoreCanBeAskedWhileAStreamCloses) {
  constexpr int rounds = 20;
  on_request_ = [&](StreamId id, const Request&) {
    answer(id, 200, "early");
    return StreamHandlers{};
  };
  int closed = 0;
  std::function<void()> ask = [&] {
    auto id = std::make_shared<StreamId>(0);
    StreamHandlers handlers;
    handlers.on_data = [&, id](std::span<const std::byte> data) { client_->consume(*id, data.size()); };
    handlers.on_end = [&, id] { loop_->post([this, id] { client_->finish(*id); }); };
    handlers.on_close = [&](bool clean) {
      EXPECT_TRUE(clean);
      if (++closed == rounds) return loop_->stop();
      ask();
    };
    *id = client_->request({"PUT", "/"}, std::move(handlers));
    client_->send_all(*id, "the beginning of a body");
  };
  ask();
  run_loop(*loop_);
  EXPECT_EQ(closed, rounds);
}

TEST_F(ConnectionTest, TellsOfRoomThatIsThereAlready) {
  on_request_ = [](StreamId, const Request&) { return StreamHandlers{}; };
  StreamHandlers handlers;
  int told = 0;
  handlers.on_writable = [&] {
    ++told;
    loop_->stop();
  };
  StreamId id = client_->request({"PUT", "/"}, std::move(handlers));
  settle(*loop_);
  client_->await_room(id);
  EXPECT_EQ(told, 0) << "not from within the call";
  run_loop(*loop_);
  settle(*loop_);
  EXPECT_EQ(told, 1);
}

TEST_F(ConnectionTest, NothingIsSaidOfAStreamThatHasClosed) {
  on_request_ = [](StreamId, const Request&) { return StreamHandlers{}; };
  bool closed = false;
  StreamHandlers handlers;
  handlers.on_writable = [&] { EXPECT_FALSE(closed); };
  handlers.on_close = [&](bool) { closed = true; };
  StreamId id = client_->request({"PUT", "/"}, std::move(handlers));
  settle(*loop_);
  client_->await_room(id);  // on_writable is due at the next turn
  client_->reset(id);
  settle(*loop_);
  EXPECT_TRUE(closed);
}

TEST_F(ConnectionTest, NothingIsSaidByAConnectionThatIsGone) {
  on_request_ = [](StreamId, const Request&) { return StreamHandlers{}; };
  StreamHandlers handlers;
  handlers.on_writable = [] { ADD_FAILURE() << "its connection has been destroyed"; };
  StreamId id = client_->request({"PUT", "/"}, std::move(handlers));
  client_->await_room(id);
  client_.reset();
  settle(*loop_);
}

// A server that answers each request with its path, but for "/rest", behind which it says nothing until go_on().
class RestTest : public ConnectionTest {
 protected:
  void SetUp() override {
    ConnectionTest::SetUp();
    on_request_ = [this](StreamId id, const Request& request) {
      StreamHandlers handlers;
      handlers.on_close = [this, path = request.path](bool clean) {
        closed_.push_back(path + (clean ? "" : " broken"));
      };
      if (request.path == "/open") {
        server_->respond(id, 200);
        open_ = id;
        return handlers;
      }
      if (request.path == "/rest") server_->hold_after(id, [this] { ++renewed_; });
      answer(id, 200, request.path);
      return handlers;
    };
  }
  // What comes of a request by then; empty: nothing has.
  std::shared_ptr<std::string> ask(Connection& client, const std::string& path) {
    auto text = std::make_shared<std::string>();
    StreamHandlers handlers;
    handlers.on_data = [text](std::span<const std::byte> data) {
      text->append(reinterpret_cast<const char*>(data.data()), data.size());
    };
    StreamId id = client.request({"GET", path}, std::move(handlers));
    client.finish(id);
    return text;
  }

  StreamId open_ = 0;
  int renewed_ = 0;
  std::vector<std::string> closed_;
};

TEST_F(RestTest, NothingIsSaidBehindTheAnswerUntilItGoesOn) {
  auto open = ask(*client_, "/open");
  auto rest = ask(*client_, "/rest");
  settle(*loop_);
  EXPECT_EQ(*rest, "/rest");
  server_->send_all(open_, "later");
  auto more = ask(*client_, "/more");
  settle(*loop_);
  EXPECT_EQ(*open + *more, "");
  server_->go_on();
  settle(*loop_);
  EXPECT_EQ(*open, "later");
  EXPECT_EQ(*more, "/more");
  EXPECT_EQ(renewed_ + server_lost_ + client_lost_, 0);
}

TEST_F(RestTest, AClientSaysNothingBehindItsQuestion) {
  client_->cork();
  StreamHandlers handlers;
  StreamId last = client_->request({"GET", "/first"}, std::move(handlers));
  client_->hold_after(last);
  client_->finish(last);
  client_->uncork();
  auto later = ask(*client_, "/later");
  settle(*loop_);
  EXPECT_EQ(*later, "");
  EXPECT_THAT(closed_, testing::ElementsAre("/first"));
  client_->go_on();
  settle(*loop_);
  EXPECT_EQ(*later, "/later");
}

// As when a VM was copied: the agent's end of the channel is the old one, and somebody new speaks to it.
TEST_F(RestTest, SomebodyNewBeginsAConversationOfHisOwn) {
  client_.reset();
  auto pair = platform::make_socket_pair().value();
  int theirs = ::fcntl(pair.theirs.get(), F_DUPFD_CLOEXEC, 0);
  server_ = Connection::open(
                *loop_, std::move(pair.ours), Connection::Role::server,
                [this](StreamId id, const Request& request) { return on_request_(id, request); },
                [this](const Error&) { ++server_lost_; })
                .value();
  auto first =
      Connection::open(*loop_, std::move(pair.theirs), Connection::Role::client, nullptr, [](const Error&) {}).value();
  auto open = ask(*first, "/open");
  auto rest = ask(*first, "/rest");
  settle(*loop_);
  ASSERT_EQ(*rest, "/rest");
  server_->send_all(open_, "what nobody will read");
  first.reset();
  auto second = Connection::open(*loop_, UniqueFd(theirs), Connection::Role::client, nullptr, [this](const Error&) {
                  ++client_lost_;
                }).value();
  auto again = ask(*second, "/again");
  settle(*loop_);
  EXPECT_EQ(*again, "/again");
  EXPECT_EQ(renewed_, 1);
  EXPECT_EQ(server_lost_ + client_lost_, 0);
  EXPECT_THAT(closed_, testing::ElementsAre("/rest", "/open broken", "/again"));
}

}  // namespace
}  // namespace diatom::channel
