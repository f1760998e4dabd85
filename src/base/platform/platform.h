// What Linux and macOS do differently. One folder per system beside this header implements it; nothing above base/
// may ask which system it runs on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace diatom::platform {

// fdatasync (Linux) or F_FULLFSYNC (macOS). -1 and errno on failure.
int sync_data(int fd);

// Begins to write out what memory holds of that part of the file (0 bytes: all to its end), where the system can be
// asked to. It does not wait for the disk, but finding room on it takes time: better a part at a time than all at the
// end.
void start_writeback(int fd, uint64_t offset = 0, uint64_t bytes = 0);

// Holds so much of the disk for the file's beginning, without making it longer. A wish: no failure is told.
void reserve_room(int fd, uint64_t bytes);

// Copies a file that may be sparse: by reflink or clonefile where the file system can, else data extents only.
// `to` must not exist; it is removed again when the copy fails.
Result<> clone_file(const std::filesystem::path& from, const std::filesystem::path& to);

// The file that this code was loaded from: the program's own, or libdiatom's in a program of somebody else's.
Result<std::filesystem::path> code_path();

// How the loader finds version `version` of lib`name`: "libcurl.so.4", "libcurl.4.dylib".
std::string library_file(const std::string& name, int version);

// Where libraries lie that packages have brought, in the order in which the loader looks.
std::vector<std::filesystem::path> library_directories();

// A pid's exit as a pollable descriptor (pidfd; kqueue). Readable once the process has exited.
Result<UniqueFd> open_exit_event(pid_t pid);

// Sends a signal to the process whose exit event this is: never to another that has its pid by now. -1 and errno on
// failure.
int send_signal(const UniqueFd& exit_event, int signal);

// Whether the process has locked (flock) the file that `path` names. False, too, when we may not look.
bool holds_lock(pid_t pid, const std::filesystem::path& path);

// Called between fork and exec: the kernel kills this process when its parent ends. False when the parent
// (`parent`) has already gone. Async-signal-safe.
bool die_with_parent(pid_t parent);

// Both ends close-on-exec and blocking.
struct SocketPair {
  UniqueFd ours;
  UniqueFd theirs;
};
Result<SocketPair> make_socket_pair();
// A Unix stream socket, close-on-exec and blocking.
Result<UniqueFd> make_socket();
struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};
Result<Pipe> make_pipe();
// As much as so many bytes, where the system can be asked to; never less than it had.
void widen_pipe(int fd, size_t bytes);
// Moves up to so many bytes from a pipe to a pipe, a socket or a device, without copying them and without waiting:
// how many, or -1 and errno. EINVAL: not with such a descriptor, or not on this system.
ssize_t splice(int from_pipe, int to, size_t bytes);

// Of open(2): for a directory that is only gone through, and need not be readable.
int search_flag();

// The extended attributes of an open file or directory, in no order: those that may be read. None where the file system
// has none.
std::vector<std::pair<std::string, std::string>> read_xattrs(int fd);
// -1 and errno on failure.
int write_xattr(int fd, const std::string& name, std::string_view value);

// What a process costs. Zeros when it has gone, or may not be looked at.
struct ProcessUsage {
  uint64_t rss_bytes = 0;
  uint64_t pss_bytes = 0;  // what it shares counts in parts; 0 where the system does not know it
  uint64_t cpu_us = 0;
};
ProcessUsage process_usage(pid_t pid);

struct HostInfo {
  std::string os;       // "linux", "darwin": GOOS names, as OCI uses them
  std::string arch;     // "amd64", "arm64": GOARCH names
  std::string kernel;   // uname -r
  std::string machine;  // uname -m
  unsigned cpus = 1;    // that this process may use
  uint64_t memory_bytes = 0;
};
HostInfo host_info();

// Files and folders (with all that is in them); what is not there is left out.
struct FileAccess {
  std::vector<std::filesystem::path> read;
  std::vector<std::filesystem::path> write;  // and read
};
// From now on this thread, and the threads that it starts, can open these and nothing else; what is open stays so. It
// cannot be undone. False where the system has no such thing.
Result<bool> confine_files(const FileAccess& access);
// Likewise: it can listen at no other TCP port of the host. Error: unsupported where the system cannot see to that.
Result<> confine_listening(std::span<const uint16_t> ports);

// Whether hardware virtualisation really works here: the CPU has it (svm/vmx flag; the hypervisor sysctl) and this
// user may use it. `reason` is empty when usable.
struct Virtualisation {
  bool usable = false;
  std::string name;    // "kvm", "hvf"
  std::string reason;  // why not, and what to do
};
Virtualisation probe_virtualisation();

}  // namespace diatom::platform
