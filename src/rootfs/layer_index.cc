#include "rootfs/layer_index.h"

#include <array>

#include "base/file.h"
#include "base/hash.h"
#include "rootfs/little_endian.h"
#include "rootfs/path.h"

namespace diatom::rootfs {

namespace {

constexpr std::string_view magic = "DIATLYR2";
constexpr size_t smallest_entry = 55;  // one without any string
constexpr size_t lengths_offset = 47;
constexpr size_t longest_target = 4095;
constexpr size_t largest_xattrs = 12 + 4 * (UINT16_MAX - 1);
constexpr size_t longest_strings = 2 * 4095 + largest_xattrs;  // path, target, attributes

std::unexpected<Error> damaged(std::string_view why) {
  return fail(Errc::internal, "read layer index: " + std::string(why), "load or pull the image again");
}

bool is_possible_target(const Entry& entry) {
  if (entry.kind == EntryKind::hard_link) return is_normalised(entry.target);
  return entry.kind == EntryKind::symlink ? !entry.target.empty() && entry.target.size() <= longest_target
                                          : entry.target.empty();
}

// A header of 12 bytes and at least one attribute, or nothing; EROFS counts what is behind the header in 4 bytes.
bool is_possible_xattrs(std::string_view xattrs) {
  return xattrs.empty() || (xattrs.size() % 4 == 0 && xattrs.size() >= 16 && xattrs.size() <= largest_xattrs);
}

// What write_layer() never writes must not be read either: the rest of the code relies on it.
bool plausible(const Entry& entry, uint64_t data_bytes) {
  if (static_cast<uint8_t>(entry.kind) > last_entry_kind || entry.mode > 07777 || entry.mtime_ns >= 1'000'000'000 ||
      !is_normalised(entry.path) || !is_possible_target(entry) || !is_possible_xattrs(entry.xattrs))
    return false;
  if (entry.kind != EntryKind::regular || entry.size == 0) return true;
  uint64_t blocks = data_bytes / block_size;
  return entry.first_block >= first_data_block && entry.first_block < blocks &&
         (entry.size - 1) / block_size < blocks - entry.first_block;
}

Result<> check_sum(const IndexBytes& bytes, uint64_t end) {
  Sha256 hash;
  for (uint64_t at = 0; at < end;) {
    std::string_view some = TRY(bytes(at, 1)).substr(0, end - at);
    hash.update(std::as_bytes(std::span(some)));
    at += some.size();
  }
  auto sum = hash.finish();
  std::string_view told = TRY(bytes(end, sum.size()));
  if (std::memcmp(sum.data(), told.data(), sum.size()) != 0) return damaged("its checksum is wrong");
  return {};
}

IndexHeader decode_header(FieldReader& reader) {
  IndexHeader header;
  header.data_bytes = reader.get<uint64_t>();
  header.tar_bytes = reader.get<uint64_t>();
  header.entries = reader.get<uint64_t>();
  for (char byte : reader.get_bytes(32)) {
    static constexpr char digits[] = "0123456789abcdef";
    header.diff_id += digits[static_cast<unsigned char>(byte) >> 4];
    header.diff_id += digits[static_cast<unsigned char>(byte) & 15];
  }
  return header;
}

Entry decode_entry(FieldReader& reader) {
  Entry entry;
  entry.kind = static_cast<EntryKind>(reader.get<uint8_t>());
  entry.mode = reader.get<uint16_t>();
  entry.uid = reader.get<uint32_t>();
  entry.gid = reader.get<uint32_t>();
  entry.mtime_s = reader.get<int64_t>();
  entry.mtime_ns = reader.get<uint32_t>();
  entry.rdev_major = reader.get<uint32_t>();
  entry.rdev_minor = reader.get<uint32_t>();
  entry.size = reader.get<uint64_t>();
  entry.first_block = reader.get<uint64_t>();
  auto path_size = reader.get<uint16_t>();
  auto target_size = reader.get<uint16_t>();
  auto xattrs_size = reader.get<uint32_t>();
  entry.path = reader.get_bytes(path_size);
  entry.target = reader.get_bytes(target_size);
  entry.xattrs = reader.get_bytes(xattrs_size);
  return entry;
}

}  // namespace

void encode_entry(const Entry& entry, std::string& out) {
  put(out, static_cast<uint8_t>(entry.kind));
  put(out, entry.mode);
  put(out, entry.uid);
  put(out, entry.gid);
  put(out, entry.mtime_s);
  put(out, entry.mtime_ns);
  put(out, entry.rdev_major);
  put(out, entry.rdev_minor);
  put(out, entry.size);
  put(out, entry.first_block);
  put(out, static_cast<uint16_t>(entry.path.size()));
  put(out, static_cast<uint16_t>(entry.target.size()));
  put(out, static_cast<uint32_t>(entry.xattrs.size()));
  out += entry.path;
  out += entry.target;
  out += entry.xattrs;
}

std::string encode_index_header(const IndexHeader& header) {
  std::string out(magic);
  put(out, header.data_bytes);
  put(out, header.tar_bytes);
  put(out, header.entries);
  for (size_t i = 0; i + 1 < header.diff_id.size(); i += 2)
    out += static_cast<char>(std::stoi(header.diff_id.substr(i, 2), nullptr, 16));
  return out;
}

Result<IndexHeader> read_index_header(int fd) {
  std::array<char, index_header_bytes> bytes{};
  TRY(pread_all(fd, std::as_writable_bytes(std::span(bytes)), 0));
  std::string_view text(bytes.data(), bytes.size());
  if (!text.starts_with(magic)) return damaged("it is none, or of another version");
  FieldReader reader(text.substr(magic.size()));
  return decode_header(reader);
}

Result<Entry> read_entry(const IndexBytes& bytes, uint64_t size, uint64_t offset, const IndexHeader& header) {
  uint64_t end = size - index_checksum_bytes;
  if (offset > end || end - offset < smallest_entry) return damaged("it is cut short");
  FieldReader lengths(TRY(bytes(offset, smallest_entry)).substr(lengths_offset));
  size_t strings = lengths.get<uint16_t>();
  strings += lengths.get<uint16_t>();
  strings += lengths.get<uint32_t>();
  if (strings > end - offset - smallest_entry || strings > longest_strings) return damaged("it is cut short");
  FieldReader reader(TRY(bytes(offset, smallest_entry + strings)));
  Entry entry = decode_entry(reader);
  if (!plausible(entry, header.data_bytes))
    return damaged("the entry at byte " + std::to_string(offset) + " makes no sense");
  return entry;
}

Result<IndexHeader> for_each_entry(const IndexBytes& bytes, uint64_t size,
                                   const std::function<Result<>(const Entry&, uint64_t offset)>& each) {
  if (size < index_header_bytes + index_checksum_bytes || !TRY(bytes(0, index_header_bytes)).starts_with(magic))
    return damaged("it is none, or of another version");
  uint64_t end = size - index_checksum_bytes;
  TRY(check_sum(bytes, end));

  FieldReader reader(TRY(bytes(magic.size(), index_header_bytes - magic.size())));
  IndexHeader header = decode_header(reader);
  if (header.data_bytes % block_size != 0) return damaged("its data ends within a block");
  uint64_t offset = index_header_bytes;
  for (uint64_t i = 0; i < header.entries; ++i) {
    Entry entry = TRY(read_entry(bytes, size, offset, header));
    uint64_t next = offset + smallest_entry + entry.path.size() + entry.target.size() + entry.xattrs.size();
    TRY(each(entry, offset));
    offset = next;
  }
  if (offset != end) return damaged("something follows its last entry");
  return header;
}

Result<LayerIndex> decode_index(std::string_view bytes) {
  LayerIndex index;
  auto from = [&](uint64_t offset, size_t) -> Result<std::string_view> { return bytes.substr(offset); };
  index.header = TRY(for_each_entry(from, bytes.size(), [&](const Entry& entry, uint64_t) -> Result<> {
    index.entries.push_back(entry);
    return {};
  }));
  return index;
}

}  // namespace diatom::rootfs
