#include "base/shared_library.h"

#include <dlfcn.h>

namespace diatom {

SharedLibrary::SharedLibrary(std::string file_name)
    : file_name_(std::move(file_name)), handle_(::dlopen(file_name_.c_str(), RTLD_LAZY | RTLD_LOCAL)) {
  if (handle_ == nullptr) missing_ = ::dlerror();
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
