// The functions of libarchive that we use. Loaded when a tar is read or written, not when the program starts.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include "base/platform/platform.h"
#include "base/shared_library.h"

namespace diatom::rootfs {

struct LibArchive {
  SharedLibrary library{platform::library_file("archive", 13)};

  decltype(&::archive_error_string) error_string = library.find("archive_error_string");
  decltype(&::archive_set_error) set_error = library.find("archive_set_error");

  decltype(&::archive_read_new) read_new = library.find("archive_read_new");
  decltype(&::archive_read_free) read_free = library.find("archive_read_free");
  decltype(&::archive_read_support_format_tar) read_support_format_tar =
      library.find("archive_read_support_format_tar");
  decltype(&::archive_read_open) read_open = library.find("archive_read_open");
  decltype(&::archive_read_next_header) read_next_header = library.find("archive_read_next_header");
  decltype(&::archive_read_data_block) read_data_block = library.find("archive_read_data_block");

  decltype(&::archive_write_new) write_new = library.find("archive_write_new");
  decltype(&::archive_write_free) write_free = library.find("archive_write_free");
  decltype(&::archive_write_set_format_pax_restricted) write_set_format_pax_restricted =
      library.find("archive_write_set_format_pax_restricted");
  decltype(&::archive_write_set_bytes_per_block) write_set_bytes_per_block =
      library.find("archive_write_set_bytes_per_block");
  decltype(&::archive_write_set_bytes_in_last_block) write_set_bytes_in_last_block =
      library.find("archive_write_set_bytes_in_last_block");
  decltype(&::archive_write_open) write_open = library.find("archive_write_open");
  decltype(&::archive_write_header) write_header = library.find("archive_write_header");
  decltype(&::archive_write_data) write_data = library.find("archive_write_data");
  decltype(&::archive_write_close) write_close = library.find("archive_write_close");

  decltype(&::archive_entry_new) entry_new = library.find("archive_entry_new");
  decltype(&::archive_entry_free) entry_free = library.find("archive_entry_free");
  decltype(&::archive_entry_pathname) entry_pathname = library.find("archive_entry_pathname");
  decltype(&::archive_entry_set_pathname) entry_set_pathname = library.find("archive_entry_set_pathname");
  decltype(&::archive_entry_filetype) entry_filetype = library.find("archive_entry_filetype");
  decltype(&::archive_entry_set_filetype) entry_set_filetype = library.find("archive_entry_set_filetype");
  decltype(&::archive_entry_perm) entry_perm = library.find("archive_entry_perm");
  decltype(&::archive_entry_set_perm) entry_set_perm = library.find("archive_entry_set_perm");
  decltype(&::archive_entry_size) entry_size = library.find("archive_entry_size");
  decltype(&::archive_entry_set_size) entry_set_size = library.find("archive_entry_set_size");
  decltype(&::archive_entry_mtime) entry_mtime = library.find("archive_entry_mtime");
  decltype(&::archive_entry_mtime_nsec) entry_mtime_nsec = library.find("archive_entry_mtime_nsec");
  decltype(&::archive_entry_set_mtime) entry_set_mtime = library.find("archive_entry_set_mtime");
  decltype(&::archive_entry_uid) entry_uid = library.find("archive_entry_uid");
  decltype(&::archive_entry_gid) entry_gid = library.find("archive_entry_gid");
  decltype(&::archive_entry_hardlink) entry_hardlink = library.find("archive_entry_hardlink");
  decltype(&::archive_entry_symlink) entry_symlink = library.find("archive_entry_symlink");
  decltype(&::archive_entry_rdevmajor) entry_rdevmajor = library.find("archive_entry_rdevmajor");
  decltype(&::archive_entry_rdevminor) entry_rdevminor = library.find("archive_entry_rdevminor");
  decltype(&::archive_entry_xattr_reset) entry_xattr_reset = library.find("archive_entry_xattr_reset");
  decltype(&::archive_entry_xattr_next) entry_xattr_next = library.find("archive_entry_xattr_next");
};

// Of use only where load_libarchive() has succeeded. Any thread.
const LibArchive& libarchive();
// not_found where there is none.
Result<> load_libarchive();

}  // namespace diatom::rootfs
