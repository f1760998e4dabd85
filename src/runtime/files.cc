// What goes in and out of a container's file system. A tool of the agent's works in the guest, and what it reads or
// writes is read or written here; of a container that does not run, in a VM that is booted for it.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/file.h"
#include "diatom/runtime.h"
#include "runtime/changes.h"
#include "runtime/container_events.h"
#include "runtime/maintenance.h"
#include "runtime/runtime_impl.h"
#include "runtime/spec_record.h"
#include "runtime/tool.h"
#include "tar/copy.h"

namespace diatom {

namespace {

constexpr size_t block_size = 256 << 10;
constexpr uint64_t most_change_bytes = 256 << 20;       // of a list of changes
constexpr auto longest_use = std::chrono::seconds(10);  // of the container's files by somebody else

// In a container every path begins at its root. As docker: ".." is taken out of the text, and "/" or "/." at its end
// stay.
std::string container_path(const std::string& path) {
  std::string clean = fs::path("/" + path).lexically_normal().string();
  if (path == "." || path.ends_with("/.")) clean += clean.ends_with('/') ? "." : "/.";
  return clean;
}

// The same of a path on this host, from the working directory.
Result<std::string> host_path_of(const std::string& path) {
  if (path.empty()) return fail(Errc::invalid_argument, "copy: the path on this host is empty");
  std::error_code error;
  fs::path absolute = fs::absolute(path, error);
  if (error) return fail_errno("copy: find " + path, error.value());
  std::string clean = absolute.lexically_normal().string();
  bool contents = path == "." || path.ends_with("/.");
  while (clean.size() > 1 && clean.ends_with('/')) clean.pop_back();
  if (contents) return clean == "/" ? clean + "." : clean + "/.";
  return path.ends_with('/') && clean != "/" ? clean + "/" : clean;
}

Result<> check_path(const std::string& path) {
  if (!path.empty() && path.find('\0') == std::string::npos) return {};
  return fail(Errc::invalid_argument, "copy: a path in the container is empty, or has a NUL byte");
}

// Waits for a descriptor of the caller's, or for the end of the call.
Result<> await(int fd, short events, const Interrupt& interrupt, int peer) {
  pollfd polled[] = {{fd, events, 0}, {interrupt.pollable(), POLLIN, 0}, {peer, 0, 0}};
  while (::poll(polled, std::size(polled), -1) < 0)
    if (errno != EINTR) return fail_errno("poll");
  return interrupt.check();
}

// From a pipe of ours to a descriptor of the caller's, which may be a pipe that nobody empties. `bytes`: that went
// over.
Result<> pass_out(int from, int to, const Interrupt& interrupt, uint64_t& bytes) {
  bool whole = never_blocks(to);
  std::vector<std::byte> block(block_size);
  for (;;) {
    size_t got = TRY(read_some(from, block));
    if (got == 0) return {};
    bytes += got;
    std::span<const std::byte> left = std::span(block).first(got);
    while (!left.empty()) {
      if (!whole) TRY(await(to, POLLOUT, interrupt, -1));
      size_t part = whole ? left.size() : std::min(left.size(), unblocking_write);
      ssize_t put = ::write(to, left.data(), part);
      if (put < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (put < 0) return fail_errno("write the tar");
      left = left.subspan(static_cast<size_t>(put));
    }
  }
}

Result<> pass_in(int from, int to, const Interrupt& interrupt, uint64_t& bytes) {
  std::vector<std::byte> block(block_size);
  for (;;) {
    TRY(await(from, POLLIN, interrupt, to));
    ssize_t got = ::read(from, block.data(), block.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return fail_errno("read the tar");
    if (got == 0) return {};
    TRY(write_all(to, std::span(block).first(static_cast<size_t>(got))));
    bytes += static_cast<uint64_t>(got);
  }
}

Result<> read_entry(int fd, std::optional<tar::Entry>& entry) {
  tar::Reader reader(fd);
  entry = TRY(reader.next());
  return reader.drain();
}

Result<> read_text(int fd, std::string& text) {
  std::vector<std::byte> block(block_size);
  for (;;) {
    size_t got = TRY(read_some(fd, block));
    if (got == 0) return {};
    if (text.size() + got > most_change_bytes) return fail(Errc::guest, "there are too many of them to be listed");
    text.append(reinterpret_cast<const char*>(block.data()), got);
  }
}

std::string_view kind_word(tar::Kind kind) {
  switch (kind) {
    case tar::Kind::directory:
      return "directory";
    case tar::Kind::symlink:
      return "symlink";
    case tar::Kind::char_device:
      return "character device";
    case tar::Kind::block_device:
      return "block device";
    case tar::Kind::fifo:
      return "fifo";
    default:
      return "file";
  }
}

std::vector<std::string> tool_words(const std::string& path, const CopyOptions& options) {
  std::vector<std::string> words{path};
  if (options.follow_link) words.emplace_back("follow");
  return words;
}

// Which container, and what was to be done to it.
std::unexpected<Error> named(const Error& error, const std::string& what, const std::string& name) {
  return std::unexpected(
      Error{error.code, what + " container \"" + name + "\": " + error.message, error.hint, error.exit_code});
}

}  // namespace

// ---- Where a tool works.

Result<std::vector<std::string>> Runtime::Impl::run_tool(const store::ContainerRecord& container,
                                                         const std::string& what, ToolCall call) {
  TRY(interrupt->check());
  auto result = TRY(try_connect(container.id)) ? run_tool_beside(container, std::move(call))
                                               : run_tool_alone(container, std::move(call));
  if (!result) return named(result.error(), what, container.name);
  return result;
}

// The container runs.
Result<std::vector<std::string>> Runtime::Impl::run_tool_beside(const store::ContainerRecord& container,
                                                                ToolCall call) {
  auto loop = TRY(EventLoop::create());
  UniqueFd socket = TRY(connect(container, "reach"));
  Result<> result;
  auto client = TRY(ControlClient::connect(*loop, std::move(socket), [](const Error&) {}));
  Tool tool(*loop, client->agent(), std::move(call), [&](Result<> done) {
    result = std::move(done);
    loop->stop();
  });
  TRY(tool.start());
  loop->on_readable(interrupt->pollable(), [&] {
    loop->forget(interrupt->pollable());
    tool.cancel();
  });
  TRY(loop->run());
  TRY(result);
  return tool.warnings();
}

// It does not, and must not be started meanwhile.
Result<std::vector<std::string>> Runtime::Impl::run_tool_alone(const store::ContainerRecord& container, ToolCall call) {
  auto lock = TRY(store->containers().lock_files(container.id, longest_use));
  if (!lock)
    return fail(Errc::already_exists, "it is being started or removed, or somebody else is at its files",
                "try again when that is done");
  store::ContainerRecord now = TRY(find(container.id));
  ContainerSpec spec = TRY(decode_spec(now.wanted));
  if (call.send && spec.read_only) return fail(Errc::invalid_argument, "its root file system is read-only");
  auto loop = TRY(EventLoop::create());
  Result<> result = fail(Errc::internal, "its VM ended");
  std::optional<Tool> tool;
  std::unique_ptr<MaintenanceVm> vm;
  bool asked = false;  // the tool has been started: its result counts
  vm = TRY(MaintenanceVm::start(*loop, *store, now, std::move(*lock),
                                {.on_ready =
                                     [&](channel::AgentClient& agent) {
                                       asked = true;
                                       tool.emplace(*loop, agent, std::move(call), [&](Result<> done) {
                                         result = std::move(done);
                                         vm->finish();
                                       });
                                       if (auto started = tool->start(); !started) vm->abort(started.error());
                                     },
                                 .on_end =
                                     [&](Result<> ended) {
                                       if (!ended && (!asked || result)) result = std::move(ended);
                                       loop->stop();
                                     }}));
  loop->on_readable(interrupt->pollable(), [&] {
    loop->forget(interrupt->pollable());
    tool ? tool->cancel() : vm->abort({Errc::cancelled, "interrupted", "", 0});
  });
  TRY(loop->run());
  std::vector<std::string> warnings;
  if (tool) warnings = tool->warnings();
  tool.reset();
  vm.reset();
  TRY(result);
  return warnings;
}

// ---- Copies.

Result<CopyResult> Runtime::copy_from(std::string_view reference, const std::string& path, const std::string& host_path,
                                      const CopyOptions& options) {
  TRY(check_path(path));
  store::ContainerRecord container = TRY(impl_->find(reference));
  std::string from = container_path(path);
  std::string to = TRY(host_path_of(host_path));
  CopyResult result;
  tar::UnpackOptions unpack{.owner = {},
                            .set_owner = options.archive,
                            .change_directories = options.archive,
                            .keep_privileges = options.archive,
                            .make_devices = false,
                            .follow_links = false,
                            .on_warning = [&](const std::string& what) { result.warnings.push_back(what); }};
  auto warnings = TRY(impl_->run_tool(container, "copy from",
                                      {.tool = "pack",
                                       .words = tool_words(from, options),
                                       .receive =
                                           [&](int fd) {
                                             tar::Reader reader(fd);
                                             auto unpacked = tar::unpack_copy(reader, to, tar::top_name(from), unpack);
                                             result.bytes = reader.bytes();
                                             return unpacked;
                                           },
                                       .send = {}}));
  result.warnings.insert(result.warnings.begin(), warnings.begin(), warnings.end());
  record_container_event(*impl_->store, "archive-path", container);
  return result;
}

Result<CopyResult> Runtime::copy_to(std::string_view reference, const std::string& host_path, const std::string& path,
                                    const CopyOptions& options) {
  TRY(check_path(path));
  store::ContainerRecord container = TRY(impl_->find(reference));
  std::string from = TRY(host_path_of(host_path));
  std::string to = container_path(path);
  // What is not there needs no VM to be said.
  static_cast<void>(TRY(tar::describe_path(from, options.follow_link)));
  CopyResult result;
  std::vector<std::string> words{to, "top=" + tar::top_name(from)};
  if (options.archive) words.emplace_back("archive");
  tar::PackOptions pack{.enters = {}, .on_warning = [&](const std::string& what) { result.warnings.push_back(what); }};
  auto warnings =
      TRY(impl_->run_tool(container, "copy to", {.tool = "unpack", .words = words, .receive = {}, .send = [&](int fd) {
                                                   tar::Writer writer(fd);
                                                   auto packed =
                                                       tar::pack_path(writer, from, options.follow_link, pack);
                                                   result.bytes = writer.bytes();
                                                   return packed;
                                                 }}));
  result.warnings.insert(result.warnings.end(), warnings.begin(), warnings.end());
  record_container_event(*impl_->store, "extract-to-dir", container);
  return result;
}

Result<CopyResult> Runtime::read_archive(std::string_view reference, const std::string& path, int out_fd,
                                         const CopyOptions& options) {
  TRY(check_path(path));
  store::ContainerRecord container = TRY(impl_->find(reference));
  CopyResult result;
  result.warnings =
      TRY(impl_->run_tool(container, "copy from",
                          {.tool = "pack",
                           .words = tool_words(container_path(path), options),
                           .receive = [&](int fd) { return pass_out(fd, out_fd, *impl_->interrupt, result.bytes); },
                           .send = {}}));
  record_container_event(*impl_->store, "archive-path", container);
  return result;
}

Result<CopyResult> Runtime::write_archive(std::string_view reference, int in_fd, const std::string& path) {
  TRY(check_path(path));
  store::ContainerRecord container = TRY(impl_->find(reference));
  CopyResult result;
  result.warnings = TRY(impl_->run_tool(
      container, "copy to", {.tool = "unpack", .words = {container_path(path)}, .receive = {}, .send = [&](int fd) {
                               return pass_in(in_fd, fd, *impl_->interrupt, result.bytes);
                             }}));
  record_container_event(*impl_->store, "extract-to-dir", container);
  return result;
}

Result<PathStat> Runtime::stat_path(std::string_view reference, const std::string& path, bool follow_link) {
  TRY(check_path(path));
  store::ContainerRecord container = TRY(impl_->find(reference));
  std::optional<tar::Entry> entry;
  TRY(impl_->run_tool(container, "look into",
                      {.tool = "stat",
                       .words = tool_words(container_path(path), {.follow_link = follow_link}),
                       .receive = [&](int fd) { return read_entry(fd, entry); },
                       .send = {}}));
  if (!entry) return fail(Errc::guest, "look into container \"" + container.name + "\": the guest says nothing");
  return PathStat{.name = entry->name,
                  .kind = std::string(kind_word(entry->kind)),
                  .size_bytes = entry->size,
                  .mode = entry->mode,
                  .uid = entry->uid,
                  .gid = entry->gid,
                  .modified_ns = entry->mtime_s * 1'000'000'000 + entry->mtime_ns,
                  .link_target = entry->target};
}

Result<CopyResult> Runtime::export_root(std::string_view reference, int out_fd) {
  store::ContainerRecord container = TRY(impl_->find(reference));
  CopyResult result;
  result.warnings =
      TRY(impl_->run_tool(container, "export",
                          {.tool = "export",
                           .words = {"/"},
                           .receive = [&](int fd) { return pass_out(fd, out_fd, *impl_->interrupt, result.bytes); },
                           .send = {}}));
  record_container_event(*impl_->store, "export", container);
  return result;
}

// ---- Changes.

Result<std::vector<FileChange>> Runtime::diff(std::string_view reference) {
  store::ContainerRecord container = TRY(impl_->find(reference));
  std::string text;
  TRY(impl_->run_tool(
      container, "read the changes of",
      {.tool = "changes", .words = {"/"}, .receive = [&](int fd) { return read_text(fd, text); }, .send = {}}));
  return decode_changes(text);
}

}  // namespace diatom
