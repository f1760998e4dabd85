# One call per folder of src/ declares the folder's library and the folders that it may include:
#   diatom_library(store DEPENDS base oci LINKS SQLite::SQLite3)
# tools/check_layers.py reads the same lines and fails the build when an #include reaches up.

add_library(diatom_flags INTERFACE)
# Clang is for fuzzing: there, libstdc++ 12's own algorithms use what libstdc++ 12 calls deprecated.
target_compile_options(diatom_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
  $<$<CXX_COMPILER_ID:Clang>:-Wno-gnu-statement-expression>
  $<$<CXX_COMPILER_ID:Clang>:-Wno-gnu-statement-expression-from-macro-expansion>
  $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
target_compile_definitions(diatom_flags INTERFACE $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS> _FILE_OFFSET_BITS=64)
target_include_directories(diatom_flags INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)

# Of the libraries that were named, those only of which something is used.
set(diatom_as_needed -Wl,--as-needed)
if(APPLE)
  set(diatom_as_needed -Wl,-dead_strip_dylibs)
endif()

# Host code only: the guest agent is static, which the sanitizers do not support.
add_library(diatom_host_flags INTERFACE)
target_link_libraries(diatom_host_flags INTERFACE diatom_flags)
if(DIATOM_SANITIZE)
  target_compile_options(diatom_host_flags INTERFACE -fsanitize=${DIATOM_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(diatom_host_flags INTERFACE -fsanitize=${DIATOM_SANITIZE})
  if(DIATOM_FUZZ)
    target_compile_options(diatom_host_flags INTERFACE -fsanitize=fuzzer-no-link)
    # What is not fuzzed takes a third of the time so; the fuzzers want the speed.
    set(diatom_not_fuzzed -O0 -fno-sanitize=fuzzer-no-link)
  endif()
endif()

add_custom_target(check_layers ALL
  COMMAND python3 ${PROJECT_SOURCE_DIR}/tools/check_layers.py ${PROJECT_SOURCE_DIR}
  COMMENT "Checking that no folder includes one above it")

function(diatom_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINKS;SOURCES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cc)
  # Operating-system code lies in folders named after it; only the host's own is built.
  if(CMAKE_SYSTEM_NAME STREQUAL "Darwin")
    list(FILTER sources EXCLUDE REGEX "/platform/linux/")
  else()
    list(FILTER sources EXCLUDE REGEX "/platform/darwin/")
  endif()
  if(NOT sources)  # a folder that has headers only so far
    set(sources ${PROJECT_SOURCE_DIR}/cmake/empty.cc)
  endif()
  add_library(diatom_${name} STATIC ${sources})
  target_link_libraries(diatom_${name} PUBLIC diatom_host_flags)
  # They are parts of libdiatom, too, which shows its public classes and functions only (include/diatom/export.h).
  set_target_properties(diatom_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  foreach(dependency IN LISTS ARG_DEPENDS)
    target_link_libraries(diatom_${name} PUBLIC diatom_${dependency})
  endforeach()
  target_link_libraries(diatom_${name} PUBLIC ${ARG_LINKS})
  diatom_common_headers(diatom_${name})
  add_dependencies(diatom_${name} check_layers)
  if(DIATOM_COMPILE_ONLY)
    diatom_precompile(${name})
  endif()
endfunction()
