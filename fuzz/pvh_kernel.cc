// A kernel that is wrapped is an ELF file whose parts lie within it, and whose note is the kernel's own.
#include <elf.h>

#include <cstring>

#include "fuzz.h"
#include "vm/krunfw.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint64_t load_address = 0x1000000;
  auto image = diatom::vm::wrap_pvh_kernel(std::as_bytes(std::span(data, size)), load_address);
  if (!image) {
    diatom::fuzz::require_refusal(image.error(), diatom::Errc::unsupported);
    return 0;
  }
  Elf64_Ehdr file;
  Elf64_Phdr parts[2];
  REQUIRE(image->size() == 4096 + size);
  std::memcpy(&file, image->data(), sizeof file);
  REQUIRE(file.e_phnum == std::size(parts) && file.e_entry == load_address);
  std::memcpy(parts, image->data() + file.e_phoff, sizeof parts);
  for (const Elf64_Phdr& part : parts) {
    REQUIRE(part.p_offset <= image->size() && part.p_filesz <= image->size() - part.p_offset);
    REQUIRE(part.p_vaddr - load_address == part.p_offset - 4096);
  }
  REQUIRE(parts[0].p_type == PT_LOAD && parts[0].p_filesz == size);
  REQUIRE(parts[1].p_type == PT_NOTE && image->compare(parts[1].p_offset + 12, 4, std::string_view("Xen\0", 4)) == 0);
  return 0;
}
