#include "vm/krunfw.h"

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/file.h"
#include "base/hash.h"
#include "base/platform/platform.h"

namespace diatom::vm {

namespace {

struct CloseLibrary {
  void operator()(void* library) const { ::dlclose(library); }
};
using Library = std::unique_ptr<void, CloseLibrary>;

// char* krunfw_get_kernel(size_t *load_addr, size_t *entry_addr, size_t *size): the image stays the library's.
using GetKernel = char* (*)(size_t*, size_t*, size_t*);

constexpr int library_version = 5;

// Of an ELF file what is needed here, as elf(5) has it: macOS has no header of it.
struct ElfHeader {
  uint8_t ident[16] = {0x7f, 'E', 'L', 'F', 2 /* 64 bits */, 1 /* little-endian */, 1 /* version */};
  uint16_t type = 2;      // a program at a fixed address
  uint16_t machine = 62;  // x86-64
  uint32_t version = 1;
  uint64_t entry = 0;
  uint64_t program_headers = sizeof(ElfHeader);  // where they are
  uint64_t section_headers = 0;
  uint32_t flags = 0;
  uint16_t header_size = sizeof(ElfHeader);
  uint16_t program_header_size = 0;
  uint16_t program_header_count = 0;
  uint16_t section_header_size = 0;
  uint16_t section_header_count = 0;
  uint16_t section_names = 0;
};
struct ElfSegment {
  uint32_t type = 0;
  uint32_t flags = 0;
  uint64_t offset = 0;
  uint64_t virtual_address = 0;
  uint64_t physical_address = 0;
  uint64_t file_size = 0;
  uint64_t memory_size = 0;
  uint64_t alignment = 0;
};
static_assert(sizeof(ElfHeader) == 64 && sizeof(ElfSegment) == 56);
constexpr uint32_t segment_load = 1;
constexpr uint32_t segment_note = 4;
constexpr uint32_t may_execute = 1, may_write = 2, may_read = 4;

// Xen's ELF note type of the 32-bit entry point: the PVH boot ABI.
constexpr uint32_t pvh_entry_note = 18;

struct Note {
  size_t offset = 0;  // in the kernel
  size_t size = 0;
};

// The kernel comes without section or program headers, so the note is found by its own words: name size, descriptor
// size, type, "Xen".
std::optional<Note> find_pvh_note(std::span<const std::byte> kernel) {
  for (uint32_t descriptor : {4U, 8U}) {
    uint32_t header[4] = {4, descriptor, pvh_entry_note, 0};
    std::memcpy(&header[3], "Xen", 4);
    const void* found = ::memmem(kernel.data(), kernel.size(), header, sizeof header);
    if (found == nullptr) continue;
    Note note{static_cast<size_t>(static_cast<const std::byte*>(found) - kernel.data()), sizeof header + descriptor};
    if (note.offset + note.size <= kernel.size()) return note;
  }
  return std::nullopt;
}

}  // namespace

Result<std::string> wrap_pvh_kernel(std::span<const std::byte> kernel, uint64_t load_address) {
  auto note = find_pvh_note(kernel);
  if (!note) return fail(Errc::unsupported, "wrap kernel: it has no PVH entry point");
  constexpr size_t data_offset = 4096;
  struct {
    ElfHeader file;
    ElfSegment load;
    ElfSegment note;
  } headers;
  headers.file.entry = load_address;
  headers.file.program_header_size = sizeof(ElfSegment);
  headers.file.program_header_count = 2;
  headers.load = {.type = segment_load,
                  .flags = may_read | may_write | may_execute,
                  .offset = data_offset,
                  .virtual_address = load_address,
                  .physical_address = load_address,
                  .file_size = kernel.size(),
                  .memory_size = kernel.size(),
                  .alignment = 4096};
  headers.note = {.type = segment_note,
                  .flags = may_read,
                  .offset = data_offset + note->offset,
                  .virtual_address = load_address + note->offset,
                  .physical_address = load_address + note->offset,
                  .file_size = note->size,
                  .memory_size = note->size,
                  .alignment = 4};
  std::string image(data_offset, '\0');
  std::memcpy(image.data(), &headers, sizeof headers);
  image.append(reinterpret_cast<const char*>(kernel.data()), kernel.size());
  return image;
}

std::optional<std::string> find_libkrunfw() {
  const char* chosen = std::getenv("DIATOM_LIBKRUNFW");
  std::vector<std::string> names;
  if (chosen != nullptr && *chosen != '\0') {
    names.emplace_back(chosen);
  } else {
    names.push_back(platform::library_file("krunfw", library_version));
    for (const auto& directory : platform::library_directories()) names.push_back(directory / names.front());
  }
  for (const std::string& name : names)
    if (Library(::dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL))) return name;
  return std::nullopt;
}

Result<fs::path> extract_krunfw_kernel(const std::string& library, const fs::path& cache) {
  Library handle(::dlopen(library.c_str(), RTLD_LAZY | RTLD_LOCAL));
  if (!handle) return fail(Errc::not_found, "load " + library + ": " + ::dlerror());
  auto get_kernel = reinterpret_cast<GetKernel>(::dlsym(handle.get(), "krunfw_get_kernel"));
  if (get_kernel == nullptr) return fail(Errc::unsupported, "load " + library + ": it has no krunfw_get_kernel");
  size_t load_address = 0;
  size_t entry_address = 0;
  size_t size = 0;
  const char* kernel = get_kernel(&load_address, &entry_address, &size);
  if (kernel == nullptr || size == 0) return fail(Errc::unsupported, "load " + library + ": it holds no kernel");
  auto bytes = std::as_bytes(std::span(kernel, size));

  // Named by its content: another version of the library makes another file.
  Sha256 hash;
  hash.update(bytes);
  fs::path path = cache / ("krunfw-" + hash.finish_hex().substr(0, 16) + ".elf");
  if (::access(path.c_str(), R_OK) == 0) return path;
  TRY(make_directories(cache));
  std::string image = TRY(wrap_pvh_kernel(bytes, load_address));
  TRY(replace_file(path, image));
  return path;
}

}  // namespace diatom::vm
