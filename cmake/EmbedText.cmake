# halftone_embed_text(FILE HEADER FUNCTION OUTPUT): writes a text file into a C++ file of the build folder, FUNCTION() of HEADER, a std::string_view of its
# bytes, so that the program needs no data files beside it. Editing the file runs CMake again.
function(halftone_embed_text text header function output)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${text}")
  file(READ "${CMAKE_SOURCE_DIR}/${text}" bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," numbers "${bytes}")
  set(source "// Written by cmake/EmbedText.cmake.\n#include \"${header}\"\n\nnamespace halftone {\n\n\
std::string_view ${function}() {\n\
  static constexpr unsigned char kBytes[] = {${numbers}};\n\
  return {reinterpret_cast<const char*>(kBytes), sizeof(kBytes)};\n}\n\n}  // namespace halftone\n")
  set(file "${CMAKE_BINARY_DIR}/generated/${function}.cpp")
  set(before "")
  if(EXISTS "${file}")
    file(READ "${file}" before)
  endif()
  if(NOT before STREQUAL source)
    file(WRITE "${file}" "${source}")
  endif()
  set(${output} "${file}" PARENT_SCOPE)
endfunction()
