# Compiles for macOS on any host, with the compiler and the headers of PyPI's ziglang (tools/check_macos.py). Nothing is
# linked: the libraries that diatom stands on are not there for macOS.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_PROCESSOR arm64)
set(DIATOM_COMPILE_ONLY ON)
set(zig ${CMAKE_CURRENT_LIST_DIR}/../../.cache/ziglang/ziglang/zig)
set(zig_target -target aarch64-macos.13.0)
set(CMAKE_C_COMPILER ${zig} cc ${zig_target})
set(CMAKE_CXX_COMPILER ${zig} c++ ${zig_target})
foreach(language C CXX)
  set(CMAKE_${language}_COMPILER_WORKS ON)
  # By itself it adds UndefinedBehaviorSanitizer to what is not optimised.
  set(CMAKE_${language}_FLAGS_INIT "-O0 -g0 -fno-sanitize=undefined")
endforeach()
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_INSTALL_NAME_TOOL /bin/false)
set(CMAKE_OSX_SYSROOT "" CACHE STRING "the compiler knows its own")
