# halftone_embed_toml(FOLDER HEADER OUTPUT): writes FOLDER/*.toml into a C++ file of the build folder, builtin_NAME() of
# HEADER, NAME being the folder's own, so that the program needs no data files beside it. Editing a file runs CMake again; the C++ file is rewritten
# only if its content changes.
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
  set(source "// Written by cmake/EmbedToml.cmake.\n#include \"${header}\"\n\nnamespace halftone {\n\n\
const std::vector<std::pair<std::string, std::string>>& builtin_${kind}() {\n\
  static const std::vector<std::pair<std::string, std::string>> files = {\n${entries}  };\n\
  return files;\n}\n\n}  // namespace halftone\n")
  set(file "${CMAKE_BINARY_DIR}/generated/builtin_${kind}.cpp")
  set(before "")
  if(EXISTS "${file}")
    file(READ "${file}" before)
  endif()
  if(NOT before STREQUAL source)
    file(WRITE "${file}" "${source}")
  endif()
  set(${output} "${file}" PARENT_SCOPE)
endfunction()
