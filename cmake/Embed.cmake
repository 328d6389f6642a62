# Files as C++, so that the program needs none beside it. Editing one runs CMake again.

# Rewritten only if its content changes.
function(halftone_write_source file source)
  set(before "")
  if(EXISTS "${file}")
    file(READ "${file}" before)
  endif()
  if(NOT before STREQUAL source)
    file(WRITE "${file}" "${source}")
  endif()
endfunction()

# halftone_embed_toml(FOLDER HEADER OUTPUT): FOLDER/*.toml as builtin_NAME() of HEADER, NAME being the folder's own.
function(halftone_embed_toml folder header output)
  get_filename_component(kind "${folder}" NAME)
  file(GLOB files CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${folder}/*.toml")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${files})
  list(TRANSFORM files REPLACE "^.*/(.*)\\.toml$" "\\1" OUTPUT_VARIABLE names)
  list(SORT names)  # by name: as files, "a-b.toml" comes before "a.toml"
  set(entries "")
  foreach(name IN LISTS names)
    file(READ "${CMAKE_SOURCE_DIR}/${folder}/${name}.toml" text)
    string(APPEND entries "      {\"${name}\", R\"toml(${text})toml\"},\n")
  endforeach()
  set(source "// Written by cmake/Embed.cmake.\n#include \"${header}\"\n\nnamespace halftone {\n\n\
const std::vector<std::pair<std::string, std::string>>& builtin_${kind}() {\n\
  static const std::vector<std::pair<std::string, std::string>> files = {\n${entries}  };\n\
  return files;\n}\n\n}  // namespace halftone\n")
  set(file "${CMAKE_BINARY_DIR}/generated/builtin_${kind}.cpp")
  halftone_write_source("${file}" "${source}")
  set(${output} "${file}" PARENT_SCOPE)
endfunction()

# halftone_embed_text(FILE HEADER FUNCTION OUTPUT): a text file's bytes as FUNCTION() of HEADER, a std::string_view.
function(halftone_embed_text text header function output)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${text}")
  file(READ "${CMAKE_SOURCE_DIR}/${text}" bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," numbers "${bytes}")
  set(source "// Written by cmake/Embed.cmake.\n#include \"${header}\"\n\nnamespace halftone {\n\n\
std::string_view ${function}() {\n\
  static constexpr unsigned char kBytes[] = {${numbers}};\n\
  return {reinterpret_cast<const char*>(kBytes), sizeof(kBytes)};\n}\n\n}  // namespace halftone\n")
  set(file "${CMAKE_BINARY_DIR}/generated/${function}.cpp")
  halftone_write_source("${file}" "${source}")
  set(${output} "${file}" PARENT_SCOPE)
endfunction()
