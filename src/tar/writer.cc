#include "tar/writer.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "tar/header.h"

namespace diatom::tar {

namespace {

constexpr size_t buffer_size = 256 << 10;

char type_of(Kind kind) {
  switch (kind) {
    case Kind::regular:
      return '0';
    case Kind::hard_link:
      return '1';
    case Kind::symlink:
      return '2';
    case Kind::char_device:
      return '3';
    case Kind::block_device:
      return '4';
    case Kind::directory:
      return '5';
    case Kind::fifo:
      return '6';
  }
  return '0';
}

// "30 mtime=1700000000.123456789\n": the number counts its own digits, too.
std::string record(std::string_view key, std::string_view value) {
  size_t rest = key.size() + value.size() + 3;
  size_t size = rest + std::to_string(rest).size();
  size = rest + std::to_string(size).size();
  return std::to_string(size) + " " + std::string(key) + "=" + std::string(value) + "\n";
}

// Rounded down to a second the rest counts forward; as a decimal it belongs to the sign.
std::string time_text(int64_t seconds, uint32_t nanoseconds) {
  bool negative = seconds < 0 && nanoseconds > 0;
  if (negative) {
    ++seconds;
    nanoseconds = 1'000'000'000 - nanoseconds;
  }
  std::string text = std::to_string(seconds);
  if (negative && seconds == 0) text = "-0";
  if (nanoseconds == 0) return text;
  std::string fraction = std::to_string(nanoseconds);
  fraction.insert(0, 9 - fraction.size(), '0');
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return text + "." + fraction;
}

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// What the header behind it has no room for.
std::string pax_records(const Entry& entry, const std::string& name) {
  std::string records;
  // Names are bytes. pax has them as UTF-8 unless it says otherwise, and some readers refuse what is none.
  if (name.size() > name_field.size || !is_ascii(name)) records += record("path", name);
  if (entry.target.size() > link_field.size || !is_ascii(entry.target)) records += record("linkpath", entry.target);
  if (entry.uid > largest_octal(uid_field)) records += record("uid", std::to_string(entry.uid));
  if (entry.gid > largest_octal(gid_field)) records += record("gid", std::to_string(entry.gid));
  if (entry.mtime_ns != 0 || entry.mtime_s < 0 || static_cast<uint64_t>(entry.mtime_s) > largest_octal(mtime_field))
    records += record("mtime", time_text(entry.mtime_s, entry.mtime_ns));
  for (const auto& [key, value] : entry.xattrs)
    if (key.find('=') == std::string::npos) records += record("SCHILY.xattr." + key, value);
  return records;
}

std::string sparse_map(const std::vector<Extent>& extents) {
  std::string map = std::to_string(extents.size()) + "\n";
  for (const Extent& extent : extents)
    map += std::to_string(extent.offset) + "\n" + std::to_string(extent.bytes) + "\n";
  map.resize(padded(map.size()), '\0');
  return map;
}

Block header(char type, std::string_view name, uint64_t size) {
  Block block{};
  put_text(block, name_field, name);
  put_octal(block, mode_field, 0644);
  put_octal(block, uid_field, 0);
  put_octal(block, gid_field, 0);
  put_octal(block, size_field, std::min(size, largest_octal(size_field)));
  put_octal(block, mtime_field, 0);
  block[type_offset] = type;
  put_text(block, magic_field, posix_magic);
  return block;
}

std::span<const std::byte> bytes_of(const Block& block) { return std::as_bytes(std::span(block)); }

}  // namespace

Writer::Writer(int fd) : Writer([fd](std::span<const std::byte> data) { return write_all(fd, data); }) {}

Writer::Writer(Sink sink) : sink_(std::move(sink)), buffer_(std::make_unique_for_overwrite<std::byte[]>(buffer_size)) {}

Result<> Writer::add(const Entry& entry) {
  assert(left_ == 0);
  bool regular = entry.kind == Kind::regular;
  std::string name = entry.name;
  if (entry.kind == Kind::directory && !name.ends_with('/')) name += '/';
  std::string records = pax_records(entry, name);
  std::string map;
  uint64_t data = regular ? entry.size : 0;
  if (regular && entry.extents) {
    map = sparse_map(*entry.extents);
    data = map.size();
    for (const Extent& extent : *entry.extents) data += extent.bytes;
    records += record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") +
               record("GNU.sparse.name", entry.name) + record("GNU.sparse.realsize", std::to_string(entry.size));
  }
  if (data > largest_octal(size_field)) records += record("size", std::to_string(data));
  if (!records.empty()) {
    Block pax = header('x', "pax", records.size());
    put_checksum(pax);
    TRY(put(bytes_of(pax)));
    TRY(put(std::as_bytes(std::span(records))));
    TRY(put_zeros(padded(records.size()) - records.size()));
  }
  Block block = header(type_of(entry.kind), std::string_view(name).substr(0, name_field.size), data);
  put_octal(block, mode_field, entry.mode & 07777);
  put_octal(block, uid_field, std::min<uint64_t>(entry.uid, largest_octal(uid_field)));
  put_octal(block, gid_field, std::min<uint64_t>(entry.gid, largest_octal(gid_field)));
  put_octal(block, mtime_field,
            std::min(static_cast<uint64_t>(std::max<int64_t>(entry.mtime_s, 0)), largest_octal(mtime_field)));
  put_text(block, link_field, std::string_view(entry.target).substr(0, link_field.size));
  if (entry.kind == Kind::char_device || entry.kind == Kind::block_device) {
    put_octal(block, major_field, entry.major & largest_octal(major_field));
    put_octal(block, minor_field, entry.minor & largest_octal(minor_field));
  }
  put_checksum(block);
  TRY(put(bytes_of(block)));
  TRY(put(std::as_bytes(std::span(map))));
  left_ = data - map.size();
  padding_ = padded(data) - data;
  return {};
}

Result<> Writer::write(std::span<const std::byte> data) {
  assert(data.size() <= left_);
  TRY(put(data));
  left_ -= data.size();
  return left_ == 0 ? put_zeros(std::exchange(padding_, 0)) : Result<>();
}

Result<uint64_t> Writer::copy(int fd, uint64_t offset, uint64_t bytes) {
  assert(bytes <= left_);
  uint64_t copied = 0;
  while (copied < bytes) {
    if (used_ == buffer_size) TRY(flush());
    size_t room = std::min<uint64_t>(buffer_size - used_, bytes - copied);
    ssize_t got = ::pread(fd, buffer_.get() + used_, room, static_cast<off_t>(offset + copied));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read");
    if (got == 0) break;  // it has become shorter
    used_ += static_cast<size_t>(got);
    copied += static_cast<uint64_t>(got);
  }
  TRY(put_zeros(bytes - copied));
  left_ -= bytes;
  if (left_ == 0) TRY(put_zeros(std::exchange(padding_, 0)));
  return copied;
}

Result<> Writer::finish() {
  assert(left_ == 0);
  TRY(put_zeros(2 * block_size));
  return flush();
}

Result<> Writer::put(std::span<const std::byte> data) {
  while (!data.empty()) {
    if (used_ == buffer_size) TRY(flush());
    size_t part = std::min(buffer_size - used_, data.size());
    std::memcpy(buffer_.get() + used_, data.data(), part);
    used_ += part;
    data = data.subspan(part);
  }
  return {};
}

Result<> Writer::put_zeros(uint64_t bytes) {
  while (bytes > 0) {
    if (used_ == buffer_size) TRY(flush());
    size_t part = std::min<uint64_t>(buffer_size - used_, bytes);
    std::memset(buffer_.get() + used_, 0, part);
    used_ += part;
    bytes -= part;
  }
  return {};
}

Result<> Writer::flush() {
  TRY(sink_(std::span(buffer_.get(), used_)));
  written_ += used_;
  used_ = 0;
  return {};
}

}  // namespace diatom::tar
