#include "vm/qemu/qmp.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "base/platform/platform.h"

namespace diatom::vm {

namespace {

using namespace std::chrono_literals;

constexpr size_t longest_line = 64 << 10;
constexpr auto look_at_cancel = 100ms;

std::string text_of(const Json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

Result<> QmpClient::send(std::string_view command, const Json& arguments) {
  return write(print_json({{"execute", std::string(command)}, {"arguments", arguments}}) + "\n");
}

Result<> QmpClient::write(const std::string& line) {
  for (size_t sent = 0; sent < line.size();) {
    ssize_t put = platform::send_quietly(socket_.get(), line.data() + sent, line.size() - sent);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("talk to QEMU");
    sent += static_cast<size_t>(put);
  }
  return {};
}

Result<> QmpClient::give(std::string_view name, int fd) {
  return write_with(print_json({{"execute", "getfd"}, {"arguments", {{"fdname", std::string(name)}}}}) + "\n", fd);
}

Result<QmpClient::HandedOver> QmpClient::hand_over(int fd) {
  int64_t id = ++asked_;
  TRY(write_with(print_json({{"execute", "add-fd"}, {"id", id}}) + "\n", fd));
  Json answer = TRY(await_answer(id));
  auto number = [&](const char* name) {
    auto found = answer.is_object() ? answer.find(name) : answer.end();
    return found != answer.end() && found->is_number_integer() ? found->get<int64_t>() : -1;
  };
  HandedOver over{.fd = static_cast<int>(number("fd")), .set = number("fdset-id")};
  if (over.fd < 0 || over.set < 0) return fail(Errc::start_failed, "talk to QEMU: it did not take a descriptor");
  return over;
}

Result<> QmpClient::write_with(std::string line, int fd) {
  iovec part{line.data(), line.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
  if (::sendmsg(socket_.get(), &message, 0) != static_cast<ssize_t>(line.size())) return fail_errno("talk to QEMU");
  return {};
}

Result<bool> QmpClient::find_event(std::string_view name, const EventMatch& matches) {
  while (auto message = TRY(next_message())) {
    if (text_of(*message, "event") != name) continue;  // its greeting, the answer to a command, or another event
    auto data = message->find("data");
    if (TRY(matches(data != message->end() && data->is_object() ? *data : Json::object()))) return true;
  }
  return false;
}

Result<Json> QmpClient::ask(std::string_view command, const Json& arguments) {
  int64_t id = ++asked_;
  TRY(write(print_json({{"execute", std::string(command)}, {"arguments", arguments}, {"id", id}}) + "\n"));
  return await_answer(id);
}

Result<Json> QmpClient::await_answer(int64_t id) {
  for (;;) {
    while (auto message = TRY(next_message()))
      if (auto answer = message->find("id"); answer != message->end() && *answer == id)
        return message->value("return", Json());
    TRY(wait());
  }
}

Result<> QmpClient::await_event(std::string_view name, const EventMatch& matches) {
  while (!TRY(find_event(name, matches))) TRY(wait());
  return {};
}

// Empty: it has not come yet.
Result<std::optional<Json>> QmpClient::next_message() {
  auto line = TRY(next_line());
  if (!line) return std::nullopt;
  Json message = parse_foreign_json(*line);
  if (!message.is_object()) return fail(Errc::start_failed, "talk to QEMU: what it says is no JSON object");
  if (auto error = message.find("error"); error != message.end())
    return fail(Errc::start_failed, "talk to QEMU: " + (error->is_object() ? text_of(*error, "desc") : ""));
  return message;
}

Result<std::optional<std::string>> QmpClient::next_line() {
  for (;;) {
    if (size_t end = unread_.find('\n'); end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    if (unread_.size() > longest_line) return fail(Errc::start_failed, "talk to QEMU: a message has no end");
    std::array<char, 4096> block;
    ssize_t got = ::recv(socket_.get(), block.data(), block.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::nullopt;
    if (got == 0 || (got < 0 && errno == ECONNRESET)) return fail(Errc::start_failed, "talk to QEMU: it has ended");
    if (got < 0) return fail_errno("talk to QEMU");
    unread_.append(block.data(), static_cast<size_t>(got));
  }
}

Result<> QmpClient::wait() {
  if (cancel_ != nullptr) TRY(cancel_->check());
  auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now());
  if (left <= 0ms) return fail(Errc::timeout, "talk to QEMU: it does not get on");
  if (cancel_ != nullptr) left = std::min<std::chrono::milliseconds>(left, look_at_cancel);
  pollfd event{socket_.get(), POLLIN, 0};
  if (::poll(&event, 1, static_cast<int>(left.count())) < 0 && errno != EINTR) return fail_errno("talk to QEMU");
  return {};
}

}  // namespace diatom::vm
