# One static library per room of src/ (docs/architecture.md). The libraries a room links are the rooms it may include,
# so an include that breaks the house rules also fails to link; scripts/check_includes.py checks the headers themselves.

add_library(halftone_flags INTERFACE)
target_compile_options(halftone_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow
  $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>  # lets ccache see through the precompiled header
  $<$<BOOL:${HALFTONE_WERROR}>:-Werror>)
# at::parallel_for and base/parallel.h are compiled into their callers: without OpenMP they would run on one thread.
target_link_libraries(halftone_flags INTERFACE OpenMP::OpenMP_CXX)
target_include_directories(halftone_flags INTERFACE "${CMAKE_SOURCE_DIR}/src")
target_compile_definitions(halftone_flags INTERFACE HALFTONE_VERSION="${PROJECT_VERSION}")

# fmt comes from libtorch's own include folder where that has it: its headers come first on the include path anyway.
# Symbolically linked into a folder of its own, so that rooms without torch see fmt and nothing else of torch. Compiled
# once: header-only, it took a quarter of the time of every file that formats one line.
function(halftone_fmt)
  set(dir "${CMAKE_BINARY_DIR}/fmt_only")
  file(MAKE_DIRECTORY "${dir}")
  file(CREATE_LINK "${FMT_INCLUDE_DIR}/fmt" "${dir}/fmt" SYMBOLIC)
  add_library(halftone_fmt STATIC "${CMAKE_SOURCE_DIR}/cmake/compiled_fmt.cpp")
  target_include_directories(halftone_fmt SYSTEM PUBLIC "${dir}")
endfunction()

# halftone_precompiled(NAME LIBRARIES ... HEADERS ...): a precompiled header for those that ask for it by REUSE_FROM.
function(halftone_precompiled name)
  cmake_parse_arguments(PCH "" "" "LIBRARIES;HEADERS" ${ARGN})
  set(source "${CMAKE_BINARY_DIR}/${name}.cpp")
  file(WRITE "${source}.in" "// carries a precompiled header\n")
  configure_file("${source}.in" "${source}" COPYONLY)
  add_library(${name} STATIC EXCLUDE_FROM_ALL "${source}")
  target_link_libraries(${name} PUBLIC halftone_flags ${PCH_LIBRARIES})
  target_precompile_headers(${name} PRIVATE ${PCH_HEADERS})
endfunction()

# What most files include: without it ATen costs about 9 s a file, the JSON library 2.
set(HALFTONE_PLAIN_HEADERS <algorithm> <filesystem> <functional> <map> <memory> <optional> <string> <vector> <fmt/format.h>
  <nlohmann/json.hpp>)

# One precompiled header shared by every target that uses ATen.
function(halftone_torch_header)
  halftone_precompiled(halftone_torch_pch LIBRARIES halftone_fmt halftone_json LibTorch::LibTorch
    HEADERS <ATen/ATen.h> ${HALFTONE_PLAIN_HEADERS})
  if(HALFTONE_SANITIZE)
    halftone_precompiled(halftone_torch_sanitized_pch LIBRARIES halftone_torch_pch halftone_sanitizers
      HEADERS <ATen/ATen.h> ${HALFTONE_PLAIN_HEADERS})
  endif()
endfunction()

# halftone_room(NAME [TORCH] ROOMS ... LIBRARIES ... GENERATED ...): GENERATED are sources of the build folder.
function(halftone_room name)
  cmake_parse_arguments(ROOM "TORCH" "" "ROOMS;LIBRARIES;GENERATED" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${name}/*.cpp")
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  if(name STREQUAL "kernels")
    halftone_kernel_sources(sources)
  endif()
  add_library(halftone_${name} STATIC ${sources} ${ROOM_GENERATED})
  target_link_libraries(halftone_${name} PUBLIC halftone_flags ${ROOM_LIBRARIES})
  foreach(room ${ROOM_ROOMS})
    target_link_libraries(halftone_${name} PUBLIC halftone_${room})
  endforeach()
  if(ROOM_TORCH)
    target_link_libraries(halftone_${name} PUBLIC halftone_torch_pch)
    target_precompile_headers(halftone_${name} REUSE_FROM halftone_torch_pch)
  endif()
  if(HALFTONE_SANITIZE)
    halftone_sanitized_room(${name} "${ROOM_TORCH}" "${ROOM_ROOMS}")
  endif()
endfunction()

# The rooms once more under AddressSanitizer and UndefinedBehaviorSanitizer (HALFTONE_SANITIZE): NAME_sanitized is a room's object files,
# SANITIZED_ROOMS of halftone_NAME those of all rooms it stands on as well. Linked first, they take the place of the
# libraries; what tests instantiate of the rooms' templates comes from them too. The tests themselves are the same object
# files: compiled again they took longer than the rooms.
if(HALFTONE_SANITIZE)
  add_library(halftone_sanitizers INTERFACE)
  target_compile_options(halftone_sanitizers INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined
    -fno-omit-frame-pointer -O1 -g1)
  target_link_options(halftone_sanitizers INTERFACE -fsanitize=address,undefined)
endif()

function(halftone_sanitized_room name torch rooms)
  get_target_property(sources halftone_${name} SOURCES)
  add_library(halftone_${name}_sanitized OBJECT EXCLUDE_FROM_ALL ${sources})
  target_link_libraries(halftone_${name}_sanitized PUBLIC halftone_${name} halftone_sanitizers)
  if(torch)
    target_precompile_headers(halftone_${name}_sanitized REUSE_FROM halftone_torch_sanitized_pch)
  endif()
  set(all halftone_${name}_sanitized)
  foreach(room ${rooms})
    get_target_property(below halftone_${room} SANITIZED_ROOMS)
    list(APPEND all ${below})
  endforeach()
  list(REMOVE_DUPLICATES all)
  set_target_properties(halftone_${name} PROPERTIES SANITIZED_ROOMS "${all}")
endfunction()

# src/kernels/cpu: FILE_avx2.cpp and FILE_avx512.cpp get their instruction set; on other processors than x86 FILE_no_x86.cpp
# stands in for them and for FILE_x86.cpp.
# The trellis' loops are compiled without fused multiply-adds: every instruction set finds the same codes.
function(halftone_kernel_sources list_name)
  set(sources ${${list_name}})
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    halftone_only_portable(sources)
  else()
    list(FILTER sources EXCLUDE REGEX "_no_x86\\.cpp$")
    foreach(source ${sources})
      if(source MATCHES "_avx2\\.cpp$")
        set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-mf16c")
      elseif(source MATCHES "_avx512\\.cpp$")
        set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS
          "-mavx512f;-mavx512bw;-mavx512vl;-mavx512dq;-mavx2;-mfma;-mf16c;-mprefer-vector-width=512")
      endif()
    endforeach()
  endif()
  foreach(source ${sources})
    if(source MATCHES "/trellis_kernels_[a-z0-9]+\\.cpp$")
      set_property(SOURCE ${source} APPEND PROPERTY COMPILE_OPTIONS "-ffp-contract=off")
    endif()
  endforeach()
  set(${list_name} ${sources} PARENT_SCOPE)
endfunction()

macro(halftone_only_portable list_name)
  list(FILTER ${list_name} EXCLUDE REGEX "(_avx2|_avx512|[^o]_x86)\\.cpp$")
endmacro()

# The kernels as other processors have them. Linked whole and first, they take the place of halftone_kernels: a test
# program of the portable path is the same object files once more.
function(halftone_portable_kernels)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/kernels/*.cpp")
  halftone_only_portable(sources)
  add_library(halftone_kernels_portable STATIC EXCLUDE_FROM_ALL ${sources})
  target_link_libraries(halftone_kernels_portable PUBLIC halftone_flags)
endfunction()
