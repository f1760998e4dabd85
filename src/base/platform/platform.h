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

struct stat;
struct timespec;

namespace diatom::platform {

// fdatasync (Linux) or F_FULLFSYNC (macOS). -1 and errno on failure.
int sync_data(int fd);
// The same for a directory: the names in it.
int sync_names(int fd);

// Begins to write out what memory holds of that part of the file (0 bytes: all to its end), where the system can be
// asked to. It does not wait for the disk, but finding room on it takes time: better a part at a time than all at the
// end.
void start_writeback(int fd, uint64_t offset = 0, uint64_t bytes = 0);

// Holds so much of the disk for the file's beginning, without making it longer. A wish: no failure is told.
void reserve_room(int fd, uint64_t bytes);

// From now on the calling thread gets 0.4 of the CPU time of an ordinary one where there is too little for both, and
// does not take the CPU from one (Linux; macOS gives a thread no priority of its own below the process's without moving
// it to slow cores: nothing happens).
void lower_thread_priority();

// Copies a file that may be sparse: by reflink or clonefile where the file system can, else data extents only.
// `to` must not exist; it is removed again when the copy fails.
Result<> clone_file(const std::filesystem::path& from, const std::filesystem::path& to);

// The file that this code was loaded from: the program's own, or libdiatom's in a program of somebody else's.
Result<std::filesystem::path> code_path();

// How the loader finds version `version` of lib`name`: "libcurl.so.4", "libcurl.4.dylib".
std::string library_file(const std::string& name, int version);

// Where libraries lie that packages have brought, in the order in which the loader looks.
std::vector<std::filesystem::path> library_directories();

// The variables of this process, "K=V", and a null behind them. A library has no `environ` on macOS.
char** environment();

// A pid's exit as a pollable descriptor (pidfd; kqueue). Readable once the process has exited.
Result<UniqueFd> open_exit_event(pid_t pid);

// Sends a signal to the process `pid`, whose exit event this is: never to another that has its pid by now (macOS:
// unless it came to have it within microseconds). -1 and errno on failure; ESRCH once it has been reaped.
int send_signal(const UniqueFd& exit_event, pid_t pid, int signal);

// Whether the process has locked (flock) the file that `path` names. False, too, when we may not look. On macOS locks
// show no owner: it is whether the process has the file open.
bool holds_lock(pid_t pid, const std::filesystem::path& path);

// Called between fork and exec: this process is killed when its parent ends, by the kernel or (macOS) by a small
// process that waits for both. False when the parent (`parent`) has already gone. Async-signal-safe.
bool die_with_parent(pid_t parent);

// Both ends close-on-exec and blocking.
struct SocketPair {
  UniqueFd ours;
  UniqueFd theirs;
};
Result<SocketPair> make_socket_pair();
// A Unix stream socket, close-on-exec and blocking.
Result<UniqueFd> make_socket();
// Likewise, of another family and type.
Result<UniqueFd> make_socket(int family, int type);
// accept(2): close-on-exec and blocking. Empty and errno on failure.
UniqueFd accept_connection(const UniqueFd& listener);
// send(2) without a SIGPIPE, on a socket that one of the above has made, here or in the process that handed it down.
ssize_t send_quietly(int fd, const void* data, size_t size, int flags = 0);
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

// Of stat(2): when the content was last changed.
timespec modified_at(const struct stat& status);
// The same, or what is said of the file. Nobody can set it.
timespec changed_at(const struct stat& status);
struct DeviceNumber {
  uint32_t major = 0;
  uint32_t minor = 0;
};
DeviceNumber device_number(dev_t device);
dev_t make_device(DeviceNumber number);

// Of open(2): for a directory that is only gone through, and need not be readable.
int search_flag();

// The extended attributes of an open file or directory, in no order: those that may be read. None where the file system
// has none. Without macOS's own (com.apple.*), which say something to it only.
std::vector<std::pair<std::string, std::string>> read_xattrs(int fd);
// -1 and errno on failure.
int write_xattr(int fd, const std::string& name, std::string_view value);

// What a process costs. Zeros when it has gone, or may not be looked at.
struct ProcessUsage {
  uint64_t rss_bytes = 0;
  uint64_t pss_bytes = 0;  // what it shares counts in parts; on macOS its footprint, without what it shares
  uint64_t cpu_us = 0;
};
ProcessUsage process_usage(pid_t pid);

// Makes the file `to` of what `bytes` of that process hold from `address` on: a whole number of pages, privately mapped
// from the beginning of the file `base` (-1: from none). What has never been written to is as in `base`; where there is
// none, zeros are holes. The process must stand still. Errors: unsupported, where the system has no such thing;
// internal, where this user may not, or it has gone.
Result<> copy_process_memory(pid_t pid, uint64_t address, uint64_t bytes, int base, const std::filesystem::path& to);

// Has that process, whose main thread waits in a system call, map `bytes` of its own descriptor `fd` at `address`,
// privately, in the place of what is mapped there. False: it cannot be done here (another CPU or system, a policy), and
// nothing has happened. Errors: the process has gone, or is not to be trusted any more.
Result<bool> map_in_process(pid_t pid, uint64_t address, uint64_t bytes, int fd);

struct HostInfo {
  std::string os;       // "linux", "darwin": GOOS names, as OCI uses them
  std::string arch;     // "amd64", "arm64": GOARCH names
  std::string kernel;   // uname -r
  std::string machine;  // uname -m
  unsigned cpus = 1;    // that this process may use
  uint64_t memory_bytes = 0;
};
HostInfo host_info();

// Differs from one start of the host to the next. Empty where it is not to be known.
std::string host_start_id();

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
