#!/usr/bin/env bash
# Installs what a build needs and what is not there yet: system packages through apt, libtorch as the torch wheel in a
# virtual environment of the project (.venv). Does nothing, offline, when all is there; an interrupted run is taken up.
#
#   HALFTONE_YES=1 or CI   do not ask                  HALFTONE_NO_APT=1   the packages are there by other means
#   TORCH_INDEX=URL        package index for torch     PYTHON=python3.12   interpreter for .venv
#   LIBTORCH_ROOT=DIR, CMAKE_PREFIX_PATH=DIR[:DIR...]  an existing libtorch: no virtual environment
set -euo pipefail
cd "$(dirname "$0")/.."

readonly TORCH=torch==2.13.0
readonly PYTHON_RANGE="3.10 to 3.15" # wheels of this torch
readonly PACKAGES=(g++ cmake ninja-build ccache clang-format pkg-config python3-venv
  nlohmann-json3-dev libtomlplusplus-dev libcli11-dev libicu-dev libsentencepiece-dev libpng-dev libjpeg-dev
  libgtest-dev libbenchmark-dev)
readonly STATE=.venv/halftone-setup # "started", then the wheel and its index

fail() { echo "setup: $*" >&2; exit 1; }

missing=()
find_missing_packages() {
  local installed package
  installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${PACKAGES[@]}" 2>/dev/null || true)
  for package in "${PACKAGES[@]}"; do
    grep -qxF "$package installed" <<<"$installed" || missing+=("$package")
  done
}

agreed() {
  [[ -t 0 && -z ${CI:-} && -z ${HALFTONE_YES:-} ]] || return 0
  local answer
  read -r -p "Run it? [Y/n] " answer
  [[ -z $answer || $answer == [Yy]* ]]
}

install_packages() {
  [[ -z ${HALFTONE_NO_APT:-} ]] || return 0
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    fail "no apt here; install the equivalents of: ${PACKAGES[*]}; then run again with HALFTONE_NO_APT=1"
  fi
  local as_root=()
  find_missing_packages
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if [[ $EUID -ne 0 ]]; then
    command -v sudo >/dev/null || fail "not root and no sudo; as root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  echo "setup: missing system packages; this installs them:"
  echo "  ${as_root[*]:+sudo }apt-get update && ${as_root[*]:+sudo }apt-get install -y --no-install-recommends ${missing[*]}"
  agreed || fail "stopped; install the packages above and run again"
  "${as_root[@]}" dpkg --configure -a || fail "dpkg cannot finish an earlier, interrupted installation"
  "${as_root[@]}" apt-get update -q || echo "setup: apt-get update failed; trying with the package lists at hand" >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "${missing[@]}" \
    || fail "apt could not install ${missing[*]} (no network, or a release older than Debian 12 / Ubuntu 24.04?)"
}

# True where the caller names a libtorch of their own, in the places cmake/FindLibTorch.cmake looks in.
existing_libtorch() {
  local dirs dir up
  if [[ -n ${LIBTORCH_ROOT:-} ]]; then
    [[ -f $LIBTORCH_ROOT/include/ATen/ATen.h ]] \
      || fail "LIBTORCH_ROOT=$LIBTORCH_ROOT holds no libtorch (no include/ATen/ATen.h in it)"
    return 0
  fi
  IFS=':;' read -r -a dirs <<<"${CMAKE_PREFIX_PATH:-}"
  for dir in "${dirs[@]}"; do
    for up in . ../.. ../../..; do
      if [[ -f $dir/$up/include/ATen/ATen.h ]]; then return 0; fi
    done
  done
  return 1
}

torch_is_complete() { # the wheel's file list is written last
  compgen -G ".venv/lib/python3*/site-packages/torch-${TORCH#torch==}*.dist-info/RECORD" >/dev/null
}

torch_is_current() {
  local state
  state=$(cat "$STATE" 2>/dev/null) || return 1
  [[ $state == "$TORCH from "* ]] || return 1
  [[ -z ${TORCH_INDEX:-} || $state == "$TORCH from $TORCH_INDEX" ]]
}

install_torch() {
  torch_is_current && return 0
  if [[ -n $(ls -A .venv 2>/dev/null) && ! -e $STATE ]]; then # not ours: used if it fits, never removed
    torch_is_complete || fail ".venv exists, was not made by setup and holds no $TORCH; move it away"
    echo "$TORCH from the environment found" > "$STATE"
    return 0
  fi
  local python=${PYTHON:-python3}
  command -v "$python" >/dev/null || fail "no $python; install python3 or name one with PYTHON=..."
  "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 16))' \
    || fail "$("$python" --version) cannot load $TORCH (wheels: Python $PYTHON_RANGE); name another with PYTHON=..."

  echo "setup: installing $TORCH into .venv (once; 200 MB for CPU builds, 3 GB for CUDA builds)"
  mkdir -p .venv
  echo started > "$STATE" # from here on an interrupted run is recognised, and its remains are removed first
  find .venv -mindepth 1 -maxdepth 1 ! -path "$STATE" -exec rm -rf {} +
  "$python" -m venv .venv || fail "$python cannot make a virtual environment (package python3-venv)"
  .venv/bin/python -m pip install --disable-pip-version-check ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$TORCH" \
    || fail "pip could not install $TORCH for $("$python" --version) on $(uname -m)" \
      "(no network, or no such wheel at ${TORCH_INDEX:-the default index}?); run again to retry"
  torch_is_complete || fail "pip finished but .venv holds no complete $TORCH; run again to retry"
  echo "$TORCH from ${TORCH_INDEX:-the default index}" > "$STATE"
}

install_packages
existing_libtorch || install_torch
