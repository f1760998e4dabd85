#include "base/shared_library.h"

#include <dlfcn.h>

#include "base/platform/platform.h"

namespace diatom {

SharedLibrary::SharedLibrary(std::string file_name)
    : file_name_(std::move(file_name)), handle_(::dlopen(file_name_.c_str(), RTLD_LAZY | RTLD_LOCAL)) {
  if (handle_ != nullptr) return;
  missing_ = ::dlerror();
  // The loader does not look everywhere by itself: not where Homebrew puts things.
  for (const auto& directory : platform::library_directories())
    if ((handle_ = ::dlopen((directory / file_name_).c_str(), RTLD_LAZY | RTLD_LOCAL)) != nullptr) {
      missing_.clear();
      return;
    }
}

SharedLibrary::Symbol SharedLibrary::find(const char* name) {
  void* address = handle_ != nullptr ? ::dlsym(handle_, name) : nullptr;
  if (address == nullptr && missing_.empty()) missing_ = std::string("it has no ") + name;
  return {address};
}

Result<> SharedLibrary::usable() const {
  if (missing_.empty()) return {};
  return fail(Errc::not_found, "load " + file_name_ + ": " + missing_,
              "install it; docs/dependencies.md names the packages");
}

}  // namespace diatom
