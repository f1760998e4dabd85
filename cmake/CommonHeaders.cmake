# Half of the time of a file without optimisation goes into the same headers. Only the trees that are for tests take them
# precompiled: what a file forgets to include is found by the others.
function(diatom_common_headers target)
  if(DIATOM_COMMON_HEADERS)
    target_precompile_headers(${target} PRIVATE <algorithm> <chrono> <filesystem> <functional> <map> <memory> <optional>
      <span> <string> <string_view> <vector> <fmt/core.h> <nlohmann/json.hpp> ${ARGN})
    # Without which ccache finds no file twice.
    target_compile_options(${target} PRIVATE "$<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>"
      $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  endif()
endfunction()
