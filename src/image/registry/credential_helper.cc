#include "image/registry/credential_helper.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/child.h"
#include "base/platform/platform.h"
#include "base/text.h"

namespace diatom::image {

namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr size_t most_output = 1 << 20;
constexpr int look_at_token_ms = 100;  // a signal handler sets it and cannot wake us

// Sends all of `input` to the helper's stdin, a socket: a helper that does not read it costs us an error, not a
// SIGPIPE. What is sent is far smaller than the socket's buffer.
void give_input(UniqueFd socket, std::string_view input) {
  while (!input.empty()) {
    ssize_t sent = platform::send_quietly(socket.get(), input.data(), input.size(), MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return;  // the helper will say what is missing
    input.remove_prefix(static_cast<size_t>(sent));
  }
}

bool is_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
}

std::string first_line(std::string_view text) { return printable(text.substr(0, text.find_first_of("\r\n"))); }

}  // namespace

CredentialHelper::CredentialHelper(std::string name, const CancelToken& cancel, std::chrono::milliseconds deadline)
    : name_(std::move(name)), cancel_(cancel), deadline_(deadline) {}

Result<CredentialHelper::Answer> CredentialHelper::run(const std::string& verb, const std::string& input) const {
  if (!is_name(name_))
    return fail(Errc::invalid_argument, "run credential helper \"" + printable(name_) + "\": no name");
  platform::SocketPair in = TRY(platform::make_socket_pair());
  platform::Pipe out = TRY(platform::make_pipe());
  ChildOptions options;
  options.argv = {program(), verb};
  options.fds = {{in.theirs.get(), 0}, {out.write_end.get(), 1}};
  auto child = Child::spawn(options);
  if (!child) {
    Error error = child.error();
    error.hint = "install " + program() + ", or take it out of credHelpers and credsStore of the configuration";
    return std::unexpected(error);
  }
  in.theirs.reset();
  out.write_end.reset();
  give_input(std::move(in.ours), input);

  Answer answer;
  auto end = Clock::now() + deadline_;
  char buffer[4096];
  for (;;) {
    TRY(cancel_.check());
    if (Clock::now() >= end) return fail(Errc::timeout, "run " + program() + ": no answer within the deadline");
    pollfd event{out.read_end.get(), POLLIN, 0};
    int ready = ::poll(&event, 1, look_at_token_ms);
    if (ready < 0 && errno != EINTR) return fail_errno("poll");
    if (ready <= 0) continue;
    ssize_t got = ::read(out.read_end.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (answer.output.size() < most_output) answer.output.append(buffer, static_cast<size_t>(got));
  }
  auto status = TRY(child->wait_for(std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now())));
  if (!status) return fail(Errc::timeout, "run " + program() + ": no end within the deadline");
  answer.exit_code = status->code;
  return answer;
}

Result<std::optional<Credentials>> CredentialHelper::get(const std::string& server) const {
  Answer answer = TRY(run("get", server + "\n"));
  if (answer.exit_code != 0) {
    if (answer.output.find("credentials not found") != std::string::npos) return std::optional<Credentials>();
    return fail(Errc::image_pull, "get credentials of " + server + " from " + program() + ": " +
                                      (answer.output.empty() ? "it failed" : first_line(answer.output)));
  }
  json document = json::parse(answer.output, nullptr, false);
  auto text = [&document](const char* field) {
    auto found = document.is_object() ? document.find(field) : document.end();
    return found != document.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  std::string username = text("Username");
  std::string secret = text("Secret");
  if (username.empty() && secret.empty())
    return fail(Errc::image_pull,
                "get credentials of " + server + " from " + program() + ": it answers no credentials");
  if (username == "<token>") return std::optional(Credentials{"", "", secret});
  return std::optional(Credentials{username, secret, ""});
}

Result<> CredentialHelper::store(const std::string& server, const Credentials& credentials) const {
  bool token = !credentials.identity_token.empty();
  json document = {{"ServerURL", server},
                   {"Username", token ? "<token>" : credentials.username},
                   {"Secret", token ? credentials.identity_token : credentials.password}};
  Answer answer = TRY(run("store", document.dump(-1, ' ', false, json::error_handler_t::replace)));
  if (answer.exit_code == 0) return {};
  return fail(Errc::internal,
              "store credentials of " + server + " with " + program() + ": " + first_line(answer.output));
}

Result<> CredentialHelper::erase(const std::string& server) const {
  Answer answer = TRY(run("erase", server + "\n"));
  if (answer.exit_code == 0 || answer.output.find("credentials not found") != std::string::npos) return {};
  return fail(Errc::internal,
              "erase credentials of " + server + " with " + program() + ": " + first_line(answer.output));
}

}  // namespace diatom::image
