# What the wheel holds besides the module: the program in halftone/bin, the libraries that neither torch nor a bare system
# brings in halftone/lib with their licences, and the version of torch that the program was built with.
find_file(LIBTORCH_VERSION_HEADER version.h HINTS "${LIBTORCH_INCLUDE_DIR}"
  PATH_SUFFIXES torch/headeronly torch/csrc/api/include/torch NO_DEFAULT_PATH REQUIRED)  # since 2.9, and before
file(STRINGS "${LIBTORCH_VERSION_HEADER}" torch_version REGEX "define TORCH_VERSION_M(AJ|IN)OR [0-9]")
string(REGEX REPLACE "[^0-9;]" "" torch_version "${torch_version}")
string(REPLACE ";" "." torch_version "${torch_version}")
if(NOT torch_version MATCHES "^[0-9]+\\.[0-9]+$")
  message(FATAL_ERROR "${LIBTORCH_VERSION_HEADER}: expected the version of torch, found \"${torch_version}\"")
endif()
file(WRITE "${CMAKE_BINARY_DIR}/generated/_built.py"
  "# Written by cmake/PythonWheel.cmake.\nTORCH_VERSION = \"${torch_version}\"\n")

install(TARGETS halftone RUNTIME DESTINATION halftone/bin COMPONENT wheel)
install(FILES "${CMAKE_BINARY_DIR}/generated/_built.py" DESTINATION halftone COMPONENT wheel)
install(CODE "execute_process(COMMAND \"${CMAKE_SOURCE_DIR}/scripts/bundle_libraries.sh\" \"$<TARGET_FILE:halftone>\"
  \"\${CMAKE_INSTALL_PREFIX}/halftone/lib\" COMMAND_ERROR_IS_FATAL ANY)" COMPONENT wheel)
