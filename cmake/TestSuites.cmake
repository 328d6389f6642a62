# halftone_discover_suites(TARGET PREFIX P TIMEOUT SECONDS [LABELS L] [ENVIRONMENT NAME=VALUE]): a ctest test for every suite of a GoogleTest
# program but those called Golden*. gtest_discover_tests makes one of every test; starting libtorch for each of two
# thousand took half the time of `make test`.
function(halftone_discover_suites target)
  cmake_parse_arguments(SUITES "" "PREFIX;TIMEOUT;LABELS;ENVIRONMENT" "" ${ARGN})
  set(include "${CMAKE_CURRENT_BINARY_DIR}/${target}_suites.cmake")
  set(properties TIMEOUT ${SUITES_TIMEOUT})
  foreach(property LABELS ENVIRONMENT)  # an empty one would take the next for its value
    if(SUITES_${property})
      list(APPEND properties ${property} "${SUITES_${property}}")
    endif()
  endforeach()
  file(GENERATE OUTPUT "${include}" CONTENT
"set(program \"$<TARGET_FILE:${target}>\")
set(prefix \"${SUITES_PREFIX}\")
set(properties ${properties})
include(\"${CMAKE_SOURCE_DIR}/cmake/ListSuites.cmake\")
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${include}")
endfunction()
