// Those who look at the program's output as it comes: any number of clients, each with a stream for stdout or stderr.
// What one of them does not take at once it gets from the log later: nobody waits for anybody, and nothing is lost.
//
// Only when the log is about to forget what a client has yet to see does it matter who that is: for the one who
// started the program it waits (a foreground `run` into a slow pipe loses nothing); others are let go.
#pragma once

#include <functional>
#include <list>
#include <optional>

#include "channel/agent_client.h"
#include "channel/connection.h"
#include "runtime/logs/reader.h"
#include "runtime/logs/writer.h"

namespace diatom {

class Attachments {
 public:
  struct Handlers {
    std::function<void(channel::Output, size_t)> consume;  // credit for bytes that were taken off the program's hands
    std::function<void(channel::Output)> refuse;           // the starter wants no more of it: a pipe that was closed
    std::function<void()> on_caught_up;                    // a client that was behind is so no more
  };
  Attachments(LogWriter& log, fs::path log_path, const LogOptions& kept, Handlers handlers)
      : log_(log), log_path_(std::move(log_path)), kept_(kept), handlers_(std::move(handlers)) {}
  Attachments(const Attachments&) = delete;
  Attachments& operator=(const Attachments&) = delete;
  Attachments(Attachments&&) = delete;
  Attachments& operator=(Attachments&&) = delete;
  ~Attachments() = default;

  // A client's GET of an output; from now on. `starter`: it must not lose anything.
  channel::StreamHandlers add(channel::Connection& client, channel::StreamId stream, channel::Output output,
                              bool starter);
  // What the program has written goes to the log and to everybody.
  void output(channel::Output output, std::span<const std::byte> data);
  void end(channel::Output output);  // nothing more comes of this run
  // From here on nobody is waited for: the program is to end. Whoever is behind gets the rest from files that are kept
  // open for it.
  void let_run();
  void begin_run() { let_run_ = false; }
  void hold_log();  // before it is removed: those who are behind get the rest of it all the same
  // Whether somebody has yet to get something.
  bool drained() const;

 private:
  struct Client {
    channel::Connection* connection;
    channel::StreamId stream;
    channel::Output output;
    bool starter;
    std::optional<LogReader> behind;  // set: what follows comes from the log
    std::string held;                 // comes before that, and was not taken yet
    bool ending = false;
    std::optional<LogPosition> until;  // set once it is ending: where the log ended
    bool gone = false;                 // closed while the list was gone through
  };
  // Sending may close any stream: a client stays in the list as long as somebody goes through it.
  class Walk {
   public:
    explicit Walk(Attachments& all) : all_(all) { ++all_.walks_; }
    Walk(const Walk&) = delete;
    Walk& operator=(const Walk&) = delete;
    Walk(Walk&&) = delete;
    Walk& operator=(Walk&&) = delete;
    ~Walk() {
      if (--all_.walks_ == 0) all_.clients_.remove_if([](const Client& client) { return client.gone; });
    }

   private:
    Attachments& all_;
  };
  void put(channel::Output output, std::span<const std::byte> data);
  void fall_behind(Client& client, std::span<const std::byte> left);
  void catch_up(Client& client);
  void give_credit();
  bool is_at_risk(const Client& client) const;

  LogWriter& log_;
  fs::path log_path_;
  LogOptions kept_;
  Handlers handlers_;
  std::list<Client> clients_;
  int walks_ = 0;
  bool let_run_ = false;
  size_t owed_[2] = {0, 0};  // not consumed yet: the starter is too far behind
};

}  // namespace diatom
