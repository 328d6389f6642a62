# LibTorch::LibTorch from, in this order: -DLIBTORCH_ROOT=..., CMAKE_PREFIX_PATH (an unpacked libtorch archive or a
# torch wheel's folder), the project's own virtual environment (.venv, made by `make setup`).
#
# torch's own TorchConfig.cmake is not used: with a CUDA wheel it demands the CUDA toolkit, which running does not need.
file(GLOB _venv_torch "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch")
find_path(LIBTORCH_INCLUDE_DIR ATen/ATen.h
  HINTS ${LIBTORCH_ROOT} ${_venv_torch} PATH_SUFFIXES include ../../include ../../../include)
get_filename_component(LIBTORCH_PREFIX "${LIBTORCH_INCLUDE_DIR}" DIRECTORY)
find_library(LIBTORCH_CPU_LIBRARY torch_cpu HINTS ${LIBTORCH_PREFIX}/lib NO_DEFAULT_PATH)
find_library(LIBTORCH_C10_LIBRARY c10 HINTS ${LIBTORCH_PREFIX}/lib NO_DEFAULT_PATH)
find_library(LIBTORCH_CUDA_LIBRARY torch_cuda HINTS ${LIBTORCH_PREFIX}/lib NO_DEFAULT_PATH)
find_library(LIBTORCH_C10_CUDA_LIBRARY c10_cuda HINTS ${LIBTORCH_PREFIX}/lib NO_DEFAULT_PATH)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LIBTORCH_CPU_LIBRARY LIBTORCH_C10_LIBRARY LIBTORCH_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "run `make setup`, or pass -DLIBTORCH_ROOT=<libtorch folder>")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  target_include_directories(LibTorch::LibTorch INTERFACE
    "${LIBTORCH_INCLUDE_DIR}" "${LIBTORCH_INCLUDE_DIR}/torch/csrc/api/include")
  set(_libs "${LIBTORCH_CPU_LIBRARY}" "${LIBTORCH_C10_LIBRARY}")
  if(LIBTORCH_CUDA_LIBRARY AND LIBTORCH_C10_CUDA_LIBRARY)
    # nothing refers to libtorch_cuda by symbol: it registers its kernels when it is loaded
    list(APPEND _libs "-Wl,--no-as-needed,${LIBTORCH_CUDA_LIBRARY},--as-needed" "${LIBTORCH_C10_CUDA_LIBRARY}")
  endif()
  target_link_libraries(LibTorch::LibTorch INTERFACE ${_libs})
  target_compile_definitions(LibTorch::LibTorch INTERFACE _GLIBCXX_USE_CXX11_ABI=1)
endif()
