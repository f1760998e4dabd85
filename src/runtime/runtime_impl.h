#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "diatom/runtime.h"
#include "runtime/logs/print.h"
#include "runtime/saved_container.h"
#include "runtime/session.h"
#include "runtime/tool.h"
#include "runtime/waiter.h"
#include "store/store.h"
#include "vm/engine.h"

namespace diatom {

struct Runtime::Impl {
  std::unique_ptr<store::Store> store;
  std::unique_ptr<Interrupt> interrupt;
  std::filesystem::path monitor_program;  // empty: what is installed

  Result<store::ContainerRecord> find(std::string_view reference) { return store->containers().find(reference); }
  // The record as it is true now: a dead monitor has been noticed.
  Result<store::ContainerRecord> find_true(std::string_view reference);
  // Where its monitor listens; empty when there is none, and the record has been put right.
  Result<std::optional<UniqueFd>> try_connect(const std::string& id);
  // The same; no monitor is an error. `verb` is for its message.
  Result<UniqueFd> connect(const store::ContainerRecord& container, std::string_view verb);
  // One question to a container's monitor.
  Result<std::string> ask(const store::ContainerRecord& container, std::string_view verb, const std::string& method,
                          const std::string& path, std::string_view body = {});
  Result<> start_detached(const std::string& id, const StartOptions& options);
  Result<AttachResult> start_attached(const store::ContainerRecord& container, const StartOptions& options,
                                      const ProcessStreams& streams, bool tty, HeldSignals& signals);
  Result<> logs(std::string_view reference, const LogQuery& query, const LogSink& sink);
  // Runs one of the agent's tools, wherever the container is; returns its warnings. `what`, for messages: "copy from".
  Result<std::vector<std::string>> run_tool(const store::ContainerRecord& container, const std::string& what,
                                            ToolCall call);
  Result<std::vector<std::string>> run_tool_beside(const store::ContainerRecord& container, ToolCall call);
  Result<std::vector<std::string>> run_tool_alone(const store::ContainerRecord& container, ToolCall call);
  void remove_failed(const std::string& id);
  // Saves the container's VM, and records it in the same folder.
  Result<SavedContainer> save(const store::ContainerRecord& container, const vm::SaveTarget& target,
                              const std::string& name);
  // A new container that goes on from there; its id.
  Result<std::string> go_on(const SavedContainer& saved, const std::filesystem::path& folder, ContainerSpec spec);
};

Error not_running(std::string_view verb, const store::ContainerRecord& container);
std::function<void(std::string_view)> stage_clock(const StageHandler& handler);

}  // namespace diatom
