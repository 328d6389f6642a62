# `make deb`: the program, libtorch's libraries that it uses (Debian has an older libtorch) and the licences, in dist/.
# ICU, SentencePiece, libpng, libjpeg and the C and C++ libraries are dependencies of the package.
install(TARGETS halftone RUNTIME DESTINATION bin COMPONENT deb)
install(FILES "${CMAKE_SOURCE_DIR}/LICENSE" "${CMAKE_SOURCE_DIR}/src/kernels/gguf/LICENSE.ggml" DESTINATION share/doc/halftone COMPONENT deb)
file(GLOB torch_licences "${LIBTORCH_PREFIX}/../torch-*.dist-info/licenses")  # of a wheel
foreach(folder ${torch_licences})
  install(DIRECTORY "${folder}/" DESTINATION share/doc/halftone/libtorch COMPONENT deb)
endforeach()
install(CODE "
  file(GET_RUNTIME_DEPENDENCIES EXECUTABLES \"$<TARGET_FILE:halftone>\" RESOLVED_DEPENDENCIES_VAR libraries
    POST_INCLUDE_REGEXES \"^${LIBTORCH_PREFIX}/lib/\" POST_EXCLUDE_REGEXES \".*\")
  file(INSTALL \${libraries} DESTINATION \"\${CMAKE_INSTALL_PREFIX}/lib/halftone\")" COMPONENT deb)

set(CPACK_GENERATOR DEB)
set(CPACK_INSTALL_CMAKE_PROJECTS "${CMAKE_BINARY_DIR};halftone;deb;/")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_OUTPUT_FILE_PREFIX "${CMAKE_SOURCE_DIR}/dist")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Quantizes language models to 1-4 bits with the least damage to their output")
set(CPACK_PACKAGE_CONTACT "the Halftone project")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)  # of half a gigabyte in seconds
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${LIBTORCH_PREFIX}/lib")
include(CPack)
