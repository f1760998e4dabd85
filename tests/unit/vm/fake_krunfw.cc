// A stand-in for libkrunfw: a "kernel" that is little more than a PVH note.
#include <elf.h>

#include <cstddef>
#include <cstring>

extern "C" char* krunfw_get_kernel(size_t* load_address, size_t* entry_address, size_t* size);

char* krunfw_get_kernel(size_t* load_address, size_t* entry_address, size_t* size) {
  static char kernel[4096] = "kernel";
  const unsigned note[] = {4, 4, 18, 0x006e6558, 0x1000370};  // "Xen"
  std::memcpy(kernel + 1024, note, sizeof note);
  *load_address = 0x1000000;
  *entry_address = 0x1000123;
  *size = sizeof kernel;
  return kernel;
}
