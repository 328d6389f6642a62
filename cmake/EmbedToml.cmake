# Writes recipes/*.toml into a C++ file of the build folder (builtin_recipes of recipe/recipe.h): the program needs no
# data files beside it. Editing a recipe runs CMake again; the file is rewritten only if its content changes.
function(halftone_embed_recipes output)
  file(GLOB recipes CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/recipes/*.toml")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${recipes})
  list(TRANSFORM recipes REPLACE "^.*/(.*)\\.toml$" "\\1" OUTPUT_VARIABLE names)
  list(SORT names)  # by name: as files, "a-b.toml" comes before "a.toml"
  set(entries "")
  foreach(name IN LISTS names)
    file(READ "${CMAKE_SOURCE_DIR}/recipes/${name}.toml" text)
    string(APPEND entries "      {\"${name}\", R\"toml(${text})toml\"},\n")
  endforeach()
  set(source "// Written by cmake/EmbedRecipes.cmake.\n#include \"recipe/recipe.h\"\n\nnamespace halftone {\n\n\
const std::vector<std::pair<std::string, std::string>>& builtin_recipes() {\n\
  static const std::vector<std::pair<std::string, std::string>> recipes = {\n${entries}  };\n\
  return recipes;\n}\n\n}  // namespace halftone\n")
  set(file "${CMAKE_BINARY_DIR}/generated/builtin_recipes.cpp")
  set(before "")
  if(EXISTS "${file}")
    file(READ "${file}" before)
  endif()
  if(NOT before STREQUAL source)
    file(WRITE "${file}" "${source}")
  endif()
  set(${output} "${file}" PARENT_SCOPE)
endfunction()
