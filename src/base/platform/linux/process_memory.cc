#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/platform/platform.h"

namespace diatom::platform {

namespace {

// Documentation/admin-guide/mm/pagemap.rst
constexpr uint64_t is_present = 1ULL << 63;
constexpr uint64_t is_swapped = 1ULL << 62;
constexpr uint64_t is_of_file = 1ULL << 61;
constexpr size_t most_at_once = 256;  // pages

// A private mapping's own page: it has been written to.
bool is_own(uint64_t entry) { return (entry & (is_present | is_swapped)) != 0 && (entry & is_of_file) == 0; }

bool is_zero(std::span<const std::byte> page) {
  return page.front() == std::byte{0} && std::ranges::equal(page.first(page.size() - 1), page.subspan(1));
}

struct Copy {
  pid_t pid;
  uint64_t address;
  int to;
  bool has_base;
  size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<std::byte> buffer = std::vector<std::byte>(most_at_once * page);

  // Neighbours, most_at_once of them at most.
  Result<> pages(size_t first, size_t count) {
    std::span<std::byte> data = std::span(buffer).first(count * page);
    iovec ours{data.data(), data.size()};
    iovec theirs{reinterpret_cast<void*>(address + first * page), data.size()};
    ssize_t got = ::process_vm_readv(pid, &ours, 1, &theirs, 1, 0);
    if (got < 0) return fail_errno("read the memory of process " + std::to_string(pid));
    if (static_cast<size_t>(got) != data.size())
      return fail(Errc::internal, "read the memory of process " + std::to_string(pid) + ": it is not all there");
    for (size_t begin = 0; begin < count;) {
      bool hole = is_skipped(data.subspan(begin * page, page));
      size_t end = begin + 1;
      while (end < count && is_skipped(data.subspan(end * page, page)) == hole) ++end;
      if (!hole) TRY(pwrite_all(to, data.subspan(begin * page, (end - begin) * page), (first + begin) * page));
      begin = end;
    }
    return {};
  }

  bool is_skipped(std::span<const std::byte> one) const { return !has_base && is_zero(one); }
};

}  // namespace

Result<> copy_process_memory(pid_t pid, uint64_t address, uint64_t bytes, int base, const std::filesystem::path& to) {
  if (base >= 0) TRY(clone_file("/proc/self/fd/" + std::to_string(base), to));  // its name may have gone
  UniqueFd file = TRY(open_file(to, O_WRONLY | O_CREAT));
  Copy copy{.pid = pid, .address = address, .to = file.get(), .has_base = base >= 0};
  if (::ftruncate(file.get(), static_cast<off_t>(bytes)) < 0) return fail_errno("make a file of memory");
  UniqueFd map = TRY(open_file("/proc/" + std::to_string(pid) + "/pagemap", O_RDONLY));
  std::vector<uint64_t> entries(bytes / copy.page);
  TRY(pread_all(map.get(), std::as_writable_bytes(std::span(entries)), address / copy.page * sizeof(uint64_t)));
  for (size_t first = 0; first < entries.size();) {
    size_t count = 0;
    while (first + count < entries.size() && count < most_at_once && is_own(entries[first + count])) ++count;
    if (count > 0) TRY(copy.pages(first, count));
    first += std::max<size_t>(count, 1);
  }
  return {};
}

}  // namespace diatom::platform
