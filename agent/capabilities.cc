#include "capabilities.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace diatom::agent {

namespace {

// By number: linux/capability.h.
constexpr std::array<std::string_view, 41> names = {"CHOWN",
                                                    "DAC_OVERRIDE",
                                                    "DAC_READ_SEARCH",
                                                    "FOWNER",
                                                    "FSETID",
                                                    "KILL",
                                                    "SETGID",
                                                    "SETUID",
                                                    "SETPCAP",
                                                    "LINUX_IMMUTABLE",
                                                    "NET_BIND_SERVICE",
                                                    "NET_BROADCAST",
                                                    "NET_ADMIN",
                                                    "NET_RAW",
                                                    "IPC_LOCK",
                                                    "IPC_OWNER",
                                                    "SYS_MODULE",
                                                    "SYS_RAWIO",
                                                    "SYS_CHROOT",
                                                    "SYS_PTRACE",
                                                    "SYS_PACCT",
                                                    "SYS_ADMIN",
                                                    "SYS_BOOT",
                                                    "SYS_NICE",
                                                    "SYS_RESOURCE",
                                                    "SYS_TIME",
                                                    "SYS_TTY_CONFIG",
                                                    "MKNOD",
                                                    "LEASE",
                                                    "AUDIT_WRITE",
                                                    "AUDIT_CONTROL",
                                                    "SETFCAP",
                                                    "MAC_OVERRIDE",
                                                    "MAC_ADMIN",
                                                    "SYSLOG",
                                                    "WAKE_ALARM",
                                                    "BLOCK_SUSPEND",
                                                    "AUDIT_READ",
                                                    "PERFMON",
                                                    "BPF",
                                                    "CHECKPOINT_RESTORE"};

// docker's default set, as /proc/PID/status prints it: chown, dac_override, fowner, fsetid, kill, setgid, setuid,
// setpcap, net_bind_service, net_raw, sys_chroot, mknod, audit_write, setfcap.
constexpr uint64_t default_capabilities = 0xa80425fb;

Result<uint64_t> bits_of(const std::vector<std::string>& wanted) {
  uint64_t bits = 0;
  for (const std::string& text : wanted) {
    std::string name = text;
    std::ranges::transform(name, name.begin(), [](char c) { return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c; });
    if (name == "ALL") return all_capabilities;
    if (name.starts_with("CAP_")) name.erase(0, 4);
    auto found = std::ranges::find(names, name);
    if (found == names.end())
      return fail(Errc::invalid_argument, "find capability \"" + text + "\": there is none of that name");
    bits |= uint64_t{1} << (found - names.begin());
  }
  return bits;
}

}  // namespace

Result<uint64_t> capability_set(const std::vector<std::string>& add, const std::vector<std::string>& drop) {
  uint64_t added = TRY(bits_of(add));
  uint64_t dropped = TRY(bits_of(drop));
  // "All but these" and "none but these" read as they are meant, whatever else is in the other list.
  if (added == all_capabilities) return dropped == all_capabilities ? 0 : all_capabilities & ~dropped;
  if (dropped == all_capabilities) return added;
  return (default_capabilities & ~dropped) | added;
}

}  // namespace diatom::agent
