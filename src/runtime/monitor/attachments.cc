#include "runtime/monitor/attachments.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"

namespace diatom {

using channel::Output;

namespace {

// A record of the log is at most so many times as long as what it tells of: an empty line is one of some 90 bytes.
constexpr uint64_t most_bytes_a_byte = 128;

}  // namespace

channel::StreamHandlers Attachments::add(channel::Connection& connection, channel::StreamId stream, Output output,
                                         bool starter) {
  auto client = clients_.insert(clients_.end(), Client{.connection = &connection,
                                                       .stream = stream,
                                                       .output = output,
                                                       .starter = starter,
                                                       .behind = {},
                                                       .held = {},
                                                       .ending = false,
                                                       .until = {},
                                                       .gone = false});
  connection.widen(stream);
  connection.respond(stream, 200);
  channel::StreamHandlers handlers;
  handlers.on_writable = [this, client] { catch_up(*client); };
  handlers.on_close = [this, client](bool) {
    Walk walk(*this);
    client->gone = true;
    client->behind.reset();
    if (client->starter && !client->ending && !client->connection->lost()) handlers_.refuse(client->output);
    give_credit();
  };
  return handlers;
}

// In pieces of which none can fill more than one of the log's files: somebody who is behind must be able to keep up
// with them, if not with what is in them.
void Attachments::output(Output output, std::span<const std::byte> data) {
  owed_[static_cast<size_t>(output)] += data.size();
  size_t most = kept_.max_bytes > 0 ? std::max<uint64_t>(kept_.max_bytes / most_bytes_a_byte, 1) : data.size();
  while (!data.empty()) {
    auto piece = data.first(std::min(most, data.size()));
    put(output, piece);
    data = data.subspan(piece.size());
  }
  give_credit();
}

void Attachments::put(Output output, std::span<const std::byte> data) {
  log_.append(output, data, wall_clock_ns());
  Walk walk(*this);
  for (Client& client : clients_) {
    // The program is told to wait, but some of what it has written is under way.
    if (is_at_risk(client) && !client.behind->hold_rest()) client.connection->reset(client.stream);
    if (client.gone || client.output != output || client.behind || client.ending) continue;
    size_t taken = client.connection->send(client.stream, data);
    if (taken < data.size() && !client.gone) fall_behind(client, data.subspan(taken));
  }
}

// What follows comes from the log.
void Attachments::fall_behind(Client& client, std::span<const std::byte> left) {
  auto reader = LogReader::open(log_path_);
  if (!reader || !reader->seek(log_.position())) return client.connection->reset(client.stream);
  client.behind = std::move(*reader);
  client.held.assign(reinterpret_cast<const char*>(left.data()), left.size());
}

void Attachments::catch_up(Client& client) {
  Walk walk(*this);
  while (client.behind) {
    if (!client.held.empty()) {
      size_t taken = client.connection->send(client.stream, std::as_bytes(std::span(client.held)));
      client.held.erase(0, taken);
      if (!client.held.empty()) break;
    }
    // What another run appends later is not this client's.
    bool over = client.until && !(client.behind->position() < *client.until);
    auto record = over ? Result<std::optional<LogRecord>>(std::nullopt) : client.behind->next();
    if (!record || (*record && (*record)->gap)) return client.connection->reset(client.stream);
    if (!*record) {  // everything that there is
      client.behind.reset();
      if (client.ending) client.connection->finish(client.stream);
      handlers_.on_caught_up();
      break;
    }
    if ((*record)->stream != client.output) continue;
    client.held = std::move((*record)->bytes);
  }
  give_credit();
}

void Attachments::end(Output output) {
  Walk walk(*this);
  for (Client& client : clients_) {
    if (client.gone || client.output != output || client.ending) continue;
    client.ending = true;
    client.until = log_.position();
    if (!client.behind) client.connection->finish(client.stream);
  }
}

void Attachments::let_run() {
  hold_log();
  let_run_ = true;
  give_credit();
}

void Attachments::hold_log() {
  Walk walk(*this);
  for (Client& client : clients_)
    if (client.behind && !client.behind->hold_rest()) client.connection->reset(client.stream);
}

bool Attachments::drained() const {
  return std::ranges::none_of(clients_, [](const Client& client) { return client.behind.has_value(); });
}

bool Attachments::is_at_risk(const Client& client) const {
  if (!client.starter || !client.behind || kept_.max_bytes == 0) return false;
  return log_.position().generation - client.behind->position().generation + 1 >= kept_.max_files;
}

void Attachments::give_credit() {
  if (!let_run_ && std::ranges::any_of(clients_, [this](const Client& client) { return is_at_risk(client); })) return;
  for (Output output : {Output::stdout_stream, Output::stderr_stream})
    if (size_t bytes = std::exchange(owed_[static_cast<size_t>(output)], 0); bytes > 0)
      handlers_.consume(output, bytes);
}

}  // namespace diatom
