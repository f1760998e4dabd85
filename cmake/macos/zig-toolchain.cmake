# Compiles for macOS on any host, with the clang and the headers of PyPI's ziglang (tools/check_macos.py). Nothing is linked:
# the libraries that diatom stands on are not there for macOS.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_PROCESSOR arm64)
set(DIATOM_COMPILE_ONLY ON)
get_filename_component(zig ${CMAKE_CURRENT_LIST_DIR}/../../.cache/ziglang/ziglang ABSOLUTE)
# Not "zig c++", which would find its headers by itself, but takes a fifth more time.
set(clang ${zig}/zig clang -target arm64-apple-macos13.0 -nostdinc)
set(CMAKE_C_COMPILER ${clang})
set(CMAKE_CXX_COMPILER ${clang})
set(CMAKE_C_FLAGS_INIT "-O0")
set(CMAKE_CXX_FLAGS_INIT "-O0 -nostdinc++ -isystem ${zig}/lib/libcxx/include -isystem ${zig}/lib/libcxxabi/include")
foreach(language C CXX)
  string(APPEND CMAKE_${language}_FLAGS_INIT " -isystem ${zig}/lib/include -isystem ${zig}/lib/libc/include/any-darwin-any")
  set(CMAKE_${language}_COMPILER_WORKS ON)
endforeach()
# What libc++'s build would have written down: as "zig c++ -###" has it.
foreach(setting ABI_VERSION=1 ABI_NAMESPACE=__1 HAS_THREADS=1 HAS_MONOTONIC_CLOCK HAS_TERMINAL HAS_MUSL_LIBC=0
    DISABLE_VISIBILITY_ANNOTATIONS HAS_VENDOR_AVAILABILITY_ANNOTATIONS=0 HAS_FILESYSTEM=1 HAS_RANDOM_DEVICE HAS_LOCALIZATION
    HAS_UNICODE HAS_WIDE_CHARACTERS HAS_NO_STD_MODULES PSTL_BACKEND_SERIAL
    HARDENING_MODE=_LIBCPP_HARDENING_MODE_NONE ASSERTION_SEMANTIC_DEFAULT=_LIBCPP_ASSERTION_SEMANTIC_IGNORE)
  string(APPEND CMAKE_CXX_FLAGS_INIT " -D_LIBCPP_${setting}")
endforeach()
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_INSTALL_NAME_TOOL /bin/false)
set(CMAKE_OSX_SYSROOT "" CACHE STRING "the compiler knows its own")
