#include "tar/reader.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/file.h"

namespace diatom::tar {

namespace {

constexpr size_t buffer_size = 256 << 10;
constexpr uint64_t longest_records = 1 << 20;  // Linux gives a file 64 KiB of attributes
constexpr uint64_t longest_text = 64 << 10;
constexpr size_t most_extents = 1 << 20;
constexpr uint64_t largest_size = INT64_MAX;
constexpr std::string_view xattr_prefix = "SCHILY.xattr.";

template <class Number>
std::optional<Number> decimal(std::string_view text) {
  Number value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "-1.5" is a second and a half before 1970: as a second rounded down, and what is behind it.
bool read_time(std::string_view text, Entry& entry) {
  bool negative = text.starts_with('-');
  size_t dot = std::min(text.find('.'), text.size());
  auto seconds = decimal<int64_t>(text.substr(0, dot));
  if (!seconds || *seconds == INT64_MIN) return false;
  uint32_t nanoseconds = 0;
  std::string_view fraction = text.substr(std::min(dot + 1, text.size()));
  for (size_t i = 0; i < 9; ++i) {
    char digit = i < fraction.size() ? fraction[i] : '0';
    if (digit < '0' || digit > '9') return false;
    nanoseconds = nanoseconds * 10 + static_cast<uint32_t>(digit - '0');
  }
  entry.mtime_s = *seconds;
  entry.mtime_ns = nanoseconds;
  if (negative && nanoseconds > 0) {
    --entry.mtime_s;
    entry.mtime_ns = 1'000'000'000 - nanoseconds;
  }
  return true;
}

std::optional<Kind> kind_of(char type, std::string_view name) {
  switch (type) {
    case '0':
    case '\0':
    case '7':
    case 'S':
      return name.ends_with('/') ? Kind::directory : Kind::regular;  // of before there was a type for it
    case '1':
      return Kind::hard_link;
    case '2':
      return Kind::symlink;
    case '3':
      return Kind::char_device;
    case '4':
      return Kind::block_device;
    case '5':
    case 'D':
      return Kind::directory;
    case '6':
      return Kind::fifo;
    default:
      return std::nullopt;
  }
}

const std::string* find(const std::map<std::string, std::string, std::less<>>& records, std::string_view key) {
  auto found = records.find(key);
  return found == records.end() || found->second.empty() ? nullptr : &found->second;
}

}  // namespace

Reader::Reader(int fd)
    : Reader([fd, buffer = std::make_shared_for_overwrite<std::byte[]>(
                      buffer_size)]() -> Result<std::span<const std::byte>> {
        return std::span(buffer.get(), TRY(read_some(fd, std::span(buffer.get(), buffer_size))));
      }) {}

Reader::Reader(Source source) : source_(std::move(source)) {}

std::unexpected<Error> Reader::damaged(std::string_view why) const {
  return fail(Errc::invalid_argument, "read tar at byte " + std::to_string(position_) + ": " + std::string(why));
}

Result<bool> Reader::fill() {
  if (rest_.empty()) rest_ = TRY(source_());
  return !rest_.empty();
}

Result<std::span<const std::byte>> Reader::take(uint64_t most) {
  bool more = TRY(fill());
  if (!more) return damaged("it ends too early");
  auto data = rest_.first(std::min<uint64_t>(rest_.size(), most));
  rest_ = rest_.subspan(data.size());
  position_ += data.size();
  return data;
}

// False at an end between two blocks.
Result<bool> Reader::read_block(Block& block) {
  bool more = TRY(fill());
  if (!more) return false;
  for (size_t done = 0; done < block.size();) {
    auto part = TRY(take(block.size() - done));
    std::memcpy(block.data() + done, part.data(), part.size());
    done += part.size();
  }
  return true;
}

Result<> Reader::pass(uint64_t bytes) {
  while (bytes > 0) bytes -= TRY(take(bytes)).size();
  return {};
}

Result<std::string> Reader::read_text(uint64_t size, uint64_t most) {
  if (size > most) return damaged("a header is longer than " + std::to_string(most) + " bytes");
  std::string text;
  while (text.size() < size) {
    auto part = TRY(take(size - text.size()));
    text.append(reinterpret_cast<const char*>(part.data()), part.size());
  }
  TRY(pass(padded(size) - size));
  return text;
}

// "30 mtime=1700000000.123456789\n", one behind the other.
Result<> Reader::read_records(uint64_t size, Records& records) {
  std::string text = TRY(read_text(size, longest_records));
  std::string offsets;  // GNU's version 0.0 says the same key again and again
  for (std::string_view rest = text; !rest.empty();) {
    size_t blank = rest.find(' ');
    auto length = decimal<uint64_t>(rest.substr(0, std::min(blank, rest.size())));
    if (blank == std::string_view::npos || !length || *length > rest.size() || *length < blank + 3 ||
        rest[*length - 1] != '\n')
      return damaged("a pax header makes no sense");
    std::string_view record = rest.substr(blank + 1, *length - blank - 2);
    rest.remove_prefix(*length);
    size_t equals = record.find('=');
    if (equals == 0 || equals == std::string_view::npos) return damaged("a pax header has no key");
    std::string_view key = record.substr(0, equals);
    std::string_view value = record.substr(equals + 1);
    if (key == "GNU.sparse.offset" || key == "GNU.sparse.numbytes")
      offsets += (offsets.empty() ? "" : ",") + std::string(value);
    else
      records.insert_or_assign(std::string(key), std::string(value));
  }
  if (!offsets.empty()) records.insert_or_assign("GNU.sparse.map", std::move(offsets));
  return {};
}

Result<std::optional<Entry>> Reader::next() {
  if (ended_) return std::nullopt;
  TRY(pass(left_ + padding_));
  left_ = padding_ = 0;
  extents_.clear();
  Records records = global_;
  std::optional<std::string> long_name;
  std::optional<std::string> long_link;
  for (;;) {
    Block block{};
    bool more = TRY(read_block(block));
    bool zero = std::ranges::all_of(block, [](char c) { return c == 0; });
    if (!more || zero) {
      ended_ = true;
      if (long_name || long_link || records != global_) return damaged("a header belongs to no entry");
      return std::nullopt;
    }
    if (!checksum_is_right(block)) return damaged("this is no header (wrong checksum)");
    char type = block[type_offset];
    auto size = number_of(block, size_field);
    if (!size || *size < 0) return damaged("a size is no number");
    auto bytes = static_cast<uint64_t>(*size);
    if (type == 'x' || type == 'X') {
      TRY(read_records(bytes, records));
    } else if (type == 'g') {
      TRY(read_records(bytes, global_));
      records = global_;
    } else if (type == 'L' || type == 'K') {
      std::string text = TRY(read_text(bytes, longest_text));
      text.resize(std::min(text.find('\0'), text.size()));
      (type == 'L' ? long_name : long_link) = std::move(text);
    } else if (type == 'V') {  // a volume's label
      TRY(pass(padded(bytes)));
    } else {
      if (long_name) records.insert_or_assign("path", std::move(*long_name));
      if (long_link) records.insert_or_assign("linkpath", std::move(*long_link));
      return std::optional(TRY(make_entry(block, type, records)));
    }
  }
}

Result<Entry> Reader::make_entry(const Block& block, char type, const Records& records) {
  Entry entry;
  entry.name = text_of(block, name_field);
  std::string_view magic(block.data() + magic_field.offset, 6);
  if (magic == posix_magic.substr(0, 6))
    if (auto prefix = text_of(block, prefix_field); !prefix.empty())
      entry.name = std::string(prefix) + "/" + entry.name;
  entry.target = text_of(block, link_field);
  if (const auto* path = find(records, "path")) entry.name = *path;
  if (const auto* path = find(records, "linkpath")) entry.target = *path;
  if (const auto* path = find(records, "GNU.sparse.name")) entry.name = *path;
  auto kind = kind_of(type, entry.name);
  if (!kind) return damaged("an entry is of a kind that is not known");
  entry.kind = *kind;
  while (entry.name.size() > 1 && entry.name.ends_with('/')) entry.name.pop_back();
  if (entry.name.empty() || entry.name.find('\0') != std::string::npos) return damaged("an entry has no name");
  bool link = entry.kind == Kind::symlink || entry.kind == Kind::hard_link;
  if (!link) entry.target.clear();
  if (link && (entry.target.empty() || entry.target.find('\0') != std::string::npos))
    return damaged("a link has no target");

  auto number = [&](Field field, std::string_view key, uint64_t most) -> std::optional<uint64_t> {
    auto value = number_of(block, field);
    if (const auto* text = key.empty() ? nullptr : find(records, key)) value = decimal<int64_t>(*text);
    if (!value || *value < 0 || static_cast<uint64_t>(*value) > most) return std::nullopt;
    return static_cast<uint64_t>(*value);
  };
  auto mode = number(mode_field, "", UINT32_MAX);
  auto uid = number(uid_field, "uid", UINT32_MAX);
  auto gid = number(gid_field, "gid", UINT32_MAX);
  auto size = number(size_field, "size", largest_size);
  auto mtime = number_of(block, mtime_field);
  if (!mode || !uid || !gid || !size || !mtime) return damaged("a number of an entry makes no sense");
  entry.mode = static_cast<uint32_t>(*mode) & 07777;
  entry.uid = static_cast<uint32_t>(*uid);
  entry.gid = static_cast<uint32_t>(*gid);
  entry.mtime_s = *mtime;
  if (const auto* text = find(records, "mtime"); text != nullptr && !read_time(*text, entry))
    return damaged("a time makes no sense");
  if (entry.kind == Kind::char_device || entry.kind == Kind::block_device) {
    auto major = number(major_field, "", UINT32_MAX);
    auto minor = number(minor_field, "", UINT32_MAX);
    if (!major || !minor) return damaged("a device has no number");
    entry.major = static_cast<uint32_t>(*major);
    entry.minor = static_cast<uint32_t>(*minor);
  }
  for (auto at = records.lower_bound(xattr_prefix); at != records.end() && at->first.starts_with(xattr_prefix); ++at)
    entry.xattrs.emplace_back(at->first.substr(xattr_prefix.size()), at->second);
  if (entry.kind != Kind::regular) return entry;  // whatever it says: nothing else has data

  entry.size = left_ = *size;
  padding_ = padded(left_) - left_;
  in_extent_ = extent_ = 0;
  if (type == 'S')
    TRY(read_gnu_sparse(block, entry));
  else
    TRY(read_sparse_map(records, entry));
  if (entry.extents)
    extents_ = *entry.extents;
  else
    extents_.assign(1, {0, entry.size});
  return entry;
}

Result<> Reader::check_sparse(Entry& entry) const {
  uint64_t end = 0;
  uint64_t data = 0;
  for (const Extent& extent : *entry.extents) {
    if (extent.offset < end || extent.bytes > largest_size - extent.offset || extent.offset + extent.bytes > entry.size)
      return damaged("the map of a sparse file makes no sense");
    end = extent.offset + extent.bytes;
    data += extent.bytes;
  }
  std::erase_if(*entry.extents, [](const Extent& extent) { return extent.bytes == 0; });
  return data == left_ ? Result<>() : Result<>(damaged("the map of a sparse file does not fit its data"));
}

Result<> Reader::read_gnu_sparse(const Block& block, Entry& entry) {
  auto real = number_of(block, sparse_size_field);
  if (!real || *real < 0) return damaged("a sparse file has no size");
  entry.size = static_cast<uint64_t>(*real);
  entry.extents.emplace();
  auto parts = [&](const Block& of, size_t at, size_t count) -> Result<> {
    for (size_t i = 0; i < count; ++i, at += sparse_part_size) {
      auto offset = number_of(of, {at, 12});
      auto bytes = number_of(of, {at + 12, 12});
      if (!offset || !bytes || *offset < 0 || *bytes < 0 || entry.extents->size() >= most_extents)
        return damaged("the map of a sparse file makes no sense");
      if (*bytes > 0) entry.extents->push_back({static_cast<uint64_t>(*offset), static_cast<uint64_t>(*bytes)});
    }
    return {};
  };
  TRY(parts(block, sparse_offset, sparse_count));
  Block more = block;
  for (bool another = block[sparse_more_offset] != 0; another; another = more[sparse_block_more_offset] != 0) {
    bool there = TRY(read_block(more));
    if (!there) return damaged("it ends too early");
    TRY(parts(more, 0, sparse_block_count));
  }
  return check_sparse(entry);
}

Result<> Reader::read_sparse_map(const Records& records, Entry& entry) {
  const auto* map = find(records, "GNU.sparse.map");
  const auto* major = find(records, "GNU.sparse.major");
  if (map == nullptr && (major == nullptr || *major != "1")) return {};
  const auto* real = find(records, "GNU.sparse.realsize");
  if (real == nullptr) real = find(records, "GNU.sparse.size");
  auto size = real != nullptr ? decimal<uint64_t>(*real) : std::nullopt;
  if (!size || *size > largest_size) return damaged("a sparse file has no size");
  entry.size = *size;
  entry.extents.emplace();
  if (map == nullptr) return read_numbered_map(entry);
  std::optional<uint64_t> offset;
  for (size_t begin = 0; begin <= map->size();) {
    size_t end = std::min(map->find(',', begin), map->size());
    auto value = decimal<uint64_t>(std::string_view(*map).substr(begin, end - begin));
    begin = end + 1;
    if (!value || entry.extents->size() >= most_extents) return damaged("the map of a sparse file makes no sense");
    if (offset)
      entry.extents->push_back({*std::exchange(offset, std::nullopt), *value});
    else
      offset = value;
  }
  return check_sparse(entry);
}

// Version 1.0: the map comes before the data, as numbers in lines, up to the end of a block.
Result<> Reader::read_numbered_map(Entry& entry) {
  uint64_t used = 0;
  auto number = [&]() -> Result<uint64_t> {
    std::string digits;
    for (;;) {
      if (used >= left_) return damaged("the map of a sparse file makes no sense");
      auto byte = static_cast<char>(TRY(take(1)).front());
      ++used;
      if (byte == '\n') break;
      if (digits.size() > 20) return damaged("the map of a sparse file makes no sense");
      digits += byte;
    }
    auto value = decimal<uint64_t>(digits);
    if (!value) return damaged("the map of a sparse file makes no sense");
    return *value;
  };
  uint64_t count = TRY(number());
  if (count > most_extents) return damaged("the map of a sparse file is too long");
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t offset = TRY(number());
    uint64_t bytes = TRY(number());
    entry.extents->push_back({offset, bytes});
  }
  uint64_t rest = padded(used) - used;
  if (used + rest > left_) return damaged("the map of a sparse file makes no sense");
  TRY(pass(rest));
  left_ -= used + rest;
  return check_sparse(entry);
}

Result<Reader::Piece> Reader::read() {
  if (extent_ == extents_.size() || left_ == 0) return Piece{};
  const Extent& extent = extents_[extent_];
  Piece piece{.offset = extent.offset + in_extent_, .data = TRY(take(extent.bytes - in_extent_))};
  in_extent_ += piece.data.size();
  left_ -= piece.data.size();
  if (in_extent_ == extent.bytes) {
    ++extent_;
    in_extent_ = 0;
  }
  return piece;
}

Result<> Reader::drain() {
  for (;;) {
    bool more = TRY(fill());
    if (!more) return {};
    position_ += rest_.size();
    rest_ = {};
  }
}

}  // namespace diatom::tar
