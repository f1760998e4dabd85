#include "vm/qemu/qemu_process.h"

#include <fcntl.h>

#include "base/platform/platform.h"
#include "vm/qemu/command_line.h"

namespace diatom::vm {

Result<QemuProcess> start_qemu(std::vector<std::string> argv, const fs::path& log,
                               const std::vector<std::pair<int, int>>& fds) {
  platform::SocketPair channel = TRY(platform::make_socket_pair());
  platform::SocketPair console = TRY(platform::make_socket_pair());
  platform::SocketPair monitor = TRY(platform::make_socket_pair());
  UniqueFd log_fd = TRY(open_file(log, O_WRONLY | O_CREAT | O_TRUNC));
  ChildOptions options;
  options.argv = std::move(argv);
  options.inherit_environment = false;
  options.fds = {{log_fd.get(), 1},
                 {log_fd.get(), 2},
                 {channel.theirs.get(), qemu_channel_fd},
                 {console.theirs.get(), qemu_console_fd},
                 {monitor.theirs.get(), qemu_monitor_fd}};
  options.fds.insert(options.fds.end(), fds.begin(), fds.end());
  options.new_process_group = true;
  Child child = TRY(Child::spawn(options));
  return QemuProcess{std::move(child), std::move(channel.ours), std::move(console.ours), std::move(monitor.ours)};
}

}  // namespace diatom::vm
