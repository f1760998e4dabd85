// Tars in memory, made by libarchive: layers and image archives for unit tests.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace diatom::test {

enum class Packing { plain, gzip, zstd };

namespace detail {

inline la_ssize_t append(archive*, void* to, const void* bytes, size_t size) {
  static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

inline void check(archive* handle, int result) {
  if (result != ARCHIVE_OK) ADD_FAILURE() << archive_error_string(handle);
}

}  // namespace detail

// What gzip(1) and zstd(1) would make of it, as one member or frame.
inline std::string pack(std::string_view bytes, Packing packing) {
  if (packing == Packing::plain) return std::string(bytes);
  std::string out;
  archive* handle = archive_write_new();
  detail::check(handle, archive_write_set_format_raw(handle));
  detail::check(
      handle, packing == Packing::gzip ? archive_write_add_filter_gzip(handle) : archive_write_add_filter_zstd(handle));
  archive_write_set_bytes_per_block(handle, 0);
  detail::check(handle, archive_write_open(handle, &out, nullptr, detail::append, nullptr));
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, "data");
  archive_entry_set_filetype(entry, AE_IFREG);
  detail::check(handle, archive_write_header(handle, entry));
  EXPECT_EQ(archive_write_data(handle, bytes.data(), bytes.size()), static_cast<la_ssize_t>(bytes.size()));
  archive_entry_free(entry);
  detail::check(handle, archive_write_close(handle));
  archive_write_free(handle);
  return out;
}

struct TarEntry {
  std::string path;
  mode_t type = AE_IFREG;
  std::string content = {};   // of a file
  std::string symlink = {};   // target
  std::string hardlink = {};  // target
  mode_t mode = 0644;
  int64_t uid = 0;
  int64_t gid = 0;
  int64_t mtime_s = 1'700'000'000;
  long mtime_ns = 0;
  uint32_t major = 0;
  uint32_t minor = 0;
  std::map<std::string, std::string> xattrs = {};
};

inline TarEntry file(std::string path, std::string content = "") {
  return {.path = std::move(path), .content = std::move(content)};
}
inline TarEntry directory(std::string path, mode_t mode = 0755) {
  return {.path = std::move(path), .type = AE_IFDIR, .mode = mode};
}
inline TarEntry symlink(std::string path, std::string target) {
  return {.path = std::move(path), .type = AE_IFLNK, .symlink = std::move(target), .mode = 0777};
}
inline TarEntry hardlink(std::string path, std::string target) {
  return {.path = std::move(path), .hardlink = std::move(target)};
}

// pax, so that everything that a TarEntry can say is in it.
inline std::string tar(const std::vector<TarEntry>& entries) {
  std::string out;
  archive* handle = archive_write_new();
  detail::check(handle, archive_write_set_format_pax(handle));
  detail::check(handle, archive_write_set_options(handle, "hdrcharset=BINARY"));
  detail::check(handle, archive_write_open(handle, &out, nullptr, detail::append, nullptr));
  for (const TarEntry& from : entries) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, from.path.c_str());
    archive_entry_set_filetype(entry, from.type);
    archive_entry_set_perm(entry, from.mode);
    archive_entry_set_uid(entry, from.uid);
    archive_entry_set_gid(entry, from.gid);
    archive_entry_set_mtime(entry, from.mtime_s, from.mtime_ns);
    if (!from.symlink.empty()) archive_entry_set_symlink(entry, from.symlink.c_str());
    if (!from.hardlink.empty()) archive_entry_set_hardlink(entry, from.hardlink.c_str());
    if (from.type == AE_IFCHR || from.type == AE_IFBLK) {
      archive_entry_set_rdevmajor(entry, from.major);
      archive_entry_set_rdevminor(entry, from.minor);
    }
    for (const auto& [name, value] : from.xattrs)
      archive_entry_xattr_add_entry(entry, name.c_str(), value.data(), value.size());
    archive_entry_set_size(entry, static_cast<la_int64_t>(from.content.size()));
    detail::check(handle, archive_write_header(handle, entry));
    la_ssize_t put = from.content.empty() ? 0 : archive_write_data(handle, from.content.data(), from.content.size());
    EXPECT_EQ(put, static_cast<la_ssize_t>(from.content.size()));
    archive_entry_free(entry);
  }
  detail::check(handle, archive_write_close(handle));
  archive_write_free(handle);
  return out;
}

}  // namespace diatom::test
