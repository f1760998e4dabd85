#include "runtime/console_log.h"

#include <fcntl.h>

#include <algorithm>

namespace diatom {

namespace {
constexpr size_t tail_bytes = 4096;
}

Result<ConsoleLog> ConsoleLog::create(const fs::path& path) {
  return ConsoleLog(TRY(open_file(path, O_WRONLY | O_CREAT | O_TRUNC)));
}

void ConsoleLog::append(std::span<const std::byte> data) {
  last_.append(reinterpret_cast<const char*>(data.data()), data.size());
  if (last_.size() > tail_bytes) last_.erase(0, last_.size() - tail_bytes);
  while (!data.empty()) {
    // The first half fills once; the second is a ring.
    uint64_t at = written_ < half_bytes ? written_ : half_bytes + (written_ - half_bytes) % half_bytes;
    uint64_t room = (at < half_bytes ? half_bytes : 2 * half_bytes) - at;
    size_t part = std::min<size_t>(data.size(), room);
    [[maybe_unused]] auto ignored = pwrite_all(fd_.get(), data.first(part), at);
    written_ += part;
    data = data.subspan(part);
  }
}

std::string ConsoleLog::tail(size_t count) const {
  std::string clean;
  for (char c : last_)
    if (c == '\n' || (c >= ' ' && c < 127)) clean += c;
  while (!clean.empty() && clean.back() == '\n') clean.pop_back();
  // What a kernel says at its end begins here, and goes on for pages.
  if (size_t panic = clean.rfind("Kernel panic"); panic != std::string::npos)
    return clean.substr(panic, clean.find('\n', panic) - panic);
  if (count == 0) return "";
  for (size_t i = clean.size(); i > 0; --i)
    if (clean[i - 1] == '\n' && --count == 0) return clean.substr(i);
  return clean;
}

}  // namespace diatom
