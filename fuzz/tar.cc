// A tar from a guest or a user: what is read of it makes sense, comes back when it is written again, and is the same
// however it is cut into pieces.
#include "tar/reader.h"

#include "fuzz.h"
#include "tar/writer.h"

using namespace diatom;

namespace {

constexpr uint64_t most_content = 1 << 20;

struct Read {
  tar::Entry entry;
  std::vector<std::pair<uint64_t, std::string>> pieces;
  bool operator==(const Read&) const = default;
};

tar::Reader::Source source_of(std::string_view bytes, size_t at_once) {
  return [bytes, at_once]() mutable -> Result<std::span<const std::byte>> {
    auto part = std::as_bytes(std::span(bytes.substr(0, at_once)));
    bytes.remove_prefix(part.size());
    return part;
  };
}

Result<std::vector<Read>> read_all(std::string_view bytes, size_t at_once) {
  tar::Reader reader(source_of(bytes, at_once));
  std::vector<Read> out;
  for (;;) {
    auto entry = reader.next();
    if (!entry) return std::unexpected(entry.error());
    if (!*entry) return out;
    Read& read = out.emplace_back(Read{std::move(**entry), {}});
    uint64_t end = 0;
    for (;;) {
      auto piece = reader.read();
      if (!piece) return std::unexpected(piece.error());
      if (piece->data.empty()) break;
      REQUIRE(piece->offset >= end && piece->offset + piece->data.size() <= read.entry.size);
      std::string text(reinterpret_cast<const char*>(piece->data.data()), piece->data.size());
      if (!read.pieces.empty() && piece->offset == end)
        read.pieces.back().second += text;
      else
        read.pieces.emplace_back(piece->offset, std::move(text));
      end = piece->offset + piece->data.size();
    }
  }
}

void check(const tar::Entry& entry) {
  REQUIRE(!entry.name.empty() && entry.name.find('\0') == std::string::npos);
  bool link = entry.kind == tar::Kind::symlink || entry.kind == tar::Kind::hard_link;
  REQUIRE(link != entry.target.empty());
  REQUIRE(entry.mode <= 07777 && entry.mtime_ns < 1'000'000'000);
  REQUIRE(entry.kind == tar::Kind::regular || (entry.size == 0 && !entry.extents));
  if (auto names = tar::split_path(entry.name))
    for (const std::string& name : *names) REQUIRE(!name.empty() && name != "." && name != ".." && name.size() < 256);
}

std::string written(const std::vector<Read>& entries) {
  std::string bytes;
  tar::Writer writer([&](std::span<const std::byte> data) -> Result<> {
    bytes.append(reinterpret_cast<const char*>(data.data()), data.size());
    return {};
  });
  for (const Read& read : entries) {
    REQUIRE(writer.add(read.entry));
    for (const auto& [offset, text] : read.pieces) REQUIRE(writer.write(std::as_bytes(std::span(text))));
  }
  REQUIRE(writer.finish());
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes = fuzz::as_text(data, size);
  auto whole = read_all(bytes, SIZE_MAX);
  auto in_pieces = read_all(bytes, 7);
  REQUIRE(whole.has_value() == in_pieces.has_value());
  if (!whole) {
    fuzz::require_refusal(whole.error());
    return 0;
  }
  REQUIRE(*whole == *in_pieces);
  uint64_t content = 0;
  for (const Read& read : *whole) {
    check(read.entry);
    for (const auto& piece : read.pieces) content += piece.second.size();
  }
  if (content > most_content) return 0;
  // A key of an attribute that has "=" in it, or an empty value, cannot be said in pax.
  for (Read& read : *whole) {
    std::erase_if(read.entry.xattrs, [](const auto& attribute) {
      return attribute.first.find('=') != std::string::npos || attribute.second.empty();
    });
  }
  auto again = read_all(written(*whole), SIZE_MAX);
  REQUIRE(again);
  REQUIRE(*again == *whole);
  return 0;
}
