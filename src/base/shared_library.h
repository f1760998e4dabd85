// A library that is loaded when it is first needed, so that a command which never does starts without it: loading
// libcurl and all that it needs takes longer than creating a container.
#pragma once

#include <string>

#include "base/error.h"

namespace diatom {

// Loaded for the life of the process. A table of its functions is a struct with one of these and members such as
//   decltype(&::curl_easy_init) easy_init = library.find("curl_easy_init");
class SharedLibrary {
 public:
  struct Symbol {
    void* address;
    template <class Function>
    operator Function*() const {  // NOLINT: what it is for
      return reinterpret_cast<Function*>(address);
    }
  };

  explicit SharedLibrary(std::string file_name);  // as dlopen(3) looks for it, then in platform::library_directories()
  // Null when it is not there; usable() says so.
  Symbol find(const char* name);
  // not_found, with the loader's words, unless everything was found.
  Result<> usable() const;

 private:
  std::string file_name_;
  void* handle_;
  std::string missing_;
};

}  // namespace diatom
