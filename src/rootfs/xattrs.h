#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace diatom::rootfs {

// Extended attributes as EROFS keeps them behind an inode ("inline xattr ibody", kernel fs/erofs/erofs_fs.h): a header
// of 12 bytes and entries of a multiple of 4. Empty when there are none. Sorted, so that the same set gives the same
// bytes. Left out: namespaces that EROFS has no number for, trusted.overlay. and security.selinux, and what is too
// large for Linux.
std::string encode_xattrs(std::vector<std::pair<std::string, std::string>> attributes);

}  // namespace diatom::rootfs
