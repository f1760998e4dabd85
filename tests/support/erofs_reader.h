// Reads an EROFS image as the kernel would (fs/erofs/erofs_fs.h), written without a look at the writer: the two have to
// agree. Uncompressed images with 64-byte inodes only. Throws std::out_of_range when the image points outside itself.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

namespace diatom::test {

struct ErofsFile {
  uint16_t mode = 0;  // with its type
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t mtime_s = 0;
  uint32_t mtime_ns = 0;
  uint32_t links = 0;
  uint32_t device = 0;
  uint64_t nid = 0;
  std::string content;  // of a file; a symbolic link's target
  std::map<std::string, std::string> xattrs;
};

class ErofsReader {
 public:
  // `device`: the metadata image with the layers' data behind it.
  explicit ErofsReader(std::string device) : device_(std::move(device)) {}

  uint32_t magic() const { return number<uint32_t>(1024); }
  std::string uuid() const { return bytes(1024 + 48, 16); }

  // Every path, "" is the root.
  std::map<std::string, ErofsFile> tree() const {
    std::map<std::string, ErofsFile> all;
    uint16_t root = number<uint16_t>(1024 + 14);
    walk(root, root, "", all);
    return all;
  }

 private:
  std::string bytes(uint64_t at, uint64_t size) const {
    if (at > device_.size() || size > device_.size() - at) throw std::out_of_range("beyond the device");
    return device_.substr(at, size);
  }
  template <class Integer>
  Integer number(uint64_t at) const {
    Integer value = 0;
    std::memcpy(&value, bytes(at, sizeof value).data(), sizeof value);
    return value;
  }

  std::map<std::string, std::string> read_xattrs(uint64_t at, uint64_t end) const {
    static const std::map<int, std::string> prefixes = {{1, "user."},
                                                        {2, "system.posix_acl_access"},
                                                        {3, "system.posix_acl_default"},
                                                        {4, "trusted."},
                                                        {6, "security."}};
    std::map<std::string, std::string> found;
    for (at += 12; at < end;) {
      auto name_size = number<uint8_t>(at);
      auto value_size = number<uint16_t>(at + 2);
      std::string name = prefixes.at(number<uint8_t>(at + 1)) + bytes(at + 4, name_size);
      found[name] = bytes(at + 4 + name_size, value_size);
      at = (at + 4 + name_size + value_size + 3) / 4 * 4;
    }
    return found;
  }

  void walk(uint64_t nid, uint64_t parent, const std::string& path, std::map<std::string, ErofsFile>& all) const {
    uint64_t at = nid * 32;
    auto format = number<uint16_t>(at);
    if ((format & 1) != 1) throw std::out_of_range("not a 64-byte inode");
    bool inlined = format >> 1 == 2;
    auto xattr_count = number<uint16_t>(at + 2);
    uint64_t xattr_bytes = xattr_count == 0 ? 0 : 12 + 4 * (uint64_t{xattr_count} - 1);
    ErofsFile inode;
    inode.nid = nid;
    inode.mode = number<uint16_t>(at + 4);
    auto size = number<uint64_t>(at + 8);
    auto place = number<uint32_t>(at + 16);
    inode.uid = number<uint32_t>(at + 24);
    inode.gid = number<uint32_t>(at + 28);
    inode.mtime_s = number<uint64_t>(at + 32);
    inode.mtime_ns = number<uint32_t>(at + 40);
    inode.links = number<uint32_t>(at + 44);
    if (xattr_bytes > 0) inode.xattrs = read_xattrs(at + 64, at + 64 + xattr_bytes);
    int type = inode.mode >> 12;
    std::string content;
    if (type == 2 || type == 6) {
      inode.device = place;
    } else if (inlined) {
      if ((at + 64 + xattr_bytes) / 4096 != (at + 64 + xattr_bytes + size - 1) / 4096)
        throw std::out_of_range("what is inline crosses a block");
      content = bytes(at + 64 + xattr_bytes, size);
    } else if (size > 0) {
      content = bytes(uint64_t{place} * 4096, size);
    }
    if (type != 4) inode.content = content;
    all[path] = inode;
    if (type == 4) read_directory(content, nid, parent, path, all);
  }

  void read_directory(std::string_view content, uint64_t self, uint64_t parent, const std::string& path,
                      std::map<std::string, ErofsFile>& all) const {
    std::string before;
    for (size_t begin = 0; begin < content.size(); begin += 4096) {
      std::string_view block = content.substr(begin, 4096);
      uint16_t names = 0;
      std::memcpy(&names, block.data() + 8, 2);
      size_t count = names / 12;
      for (size_t i = 0; i < count; ++i) {
        uint64_t nid = 0;
        uint16_t offset = 0;
        uint16_t end = 0;
        std::memcpy(&nid, block.data() + i * 12, 8);
        std::memcpy(&offset, block.data() + i * 12 + 8, 2);
        if (i + 1 < count) std::memcpy(&end, block.data() + i * 12 + 20, 2);
        std::string_view rest = i + 1 < count ? block.substr(offset, end - offset) : block.substr(offset);
        std::string name(rest.substr(0, rest.find('\0')));
        if (!before.empty() && name <= before) throw std::out_of_range("names are not sorted: " + name);
        before = name;
        if (name == "." || name == "..") {
          if (nid != (name == "." ? self : parent)) throw std::out_of_range("wrong " + name + " in " + path);
          continue;
        }
        walk(nid, self, path.empty() ? name : path + "/" + name, all);
      }
    }
  }

  std::string device_;
};

}  // namespace diatom::test
