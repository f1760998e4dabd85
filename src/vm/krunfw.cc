#include "vm/krunfw.h"

#include <dlfcn.h>
#include <elf.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/file.h"
#include "base/hash.h"

namespace diatom::vm {

namespace {

struct CloseLibrary {
  void operator()(void* library) const { ::dlclose(library); }
};
using Library = std::unique_ptr<void, CloseLibrary>;

// char* krunfw_get_kernel(size_t *load_addr, size_t *entry_addr, size_t *size): the image stays the library's.
using GetKernel = char* (*)(size_t*, size_t*, size_t*);

constexpr const char* library_name = "libkrunfw.so.5";

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
    Elf64_Ehdr file{};
    Elf64_Phdr load{};
    Elf64_Phdr note{};
  } headers;
  std::memcpy(headers.file.e_ident, ELFMAG, SELFMAG);
  headers.file.e_ident[EI_CLASS] = ELFCLASS64;
  headers.file.e_ident[EI_DATA] = ELFDATA2LSB;
  headers.file.e_ident[EI_VERSION] = EV_CURRENT;
  headers.file.e_type = ET_EXEC;
  headers.file.e_machine = EM_X86_64;
  headers.file.e_version = EV_CURRENT;
  headers.file.e_entry = load_address;
  headers.file.e_phoff = sizeof(Elf64_Ehdr);
  headers.file.e_ehsize = sizeof(Elf64_Ehdr);
  headers.file.e_phentsize = sizeof(Elf64_Phdr);
  headers.file.e_phnum = 2;
  headers.load = {.p_type = PT_LOAD,
                  .p_flags = PF_R | PF_W | PF_X,
                  .p_offset = data_offset,
                  .p_vaddr = load_address,
                  .p_paddr = load_address,
                  .p_filesz = kernel.size(),
                  .p_memsz = kernel.size(),
                  .p_align = 4096};
  headers.note = {.p_type = PT_NOTE,
                  .p_flags = PF_R,
                  .p_offset = data_offset + note->offset,
                  .p_vaddr = load_address + note->offset,
                  .p_paddr = load_address + note->offset,
                  .p_filesz = note->size,
                  .p_memsz = note->size,
                  .p_align = 4};
  std::string image(data_offset, '\0');
  std::memcpy(image.data(), &headers, sizeof headers);
  image.append(reinterpret_cast<const char*>(kernel.data()), kernel.size());
  return image;
}

std::optional<std::string> find_libkrunfw() {
  const char* chosen = std::getenv("DIATOM_LIBKRUNFW");
  std::string name = chosen != nullptr && *chosen != '\0' ? chosen : library_name;
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
