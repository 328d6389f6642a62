#!/usr/bin/env bash
# Runs every benchmark program of a build folder, one after another; further arguments go to each of them:
#   scripts/bench.sh [build/release/bench] [--benchmark_filter=...]
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-build/release/bench}
[[ $# -eq 0 ]] || shift

shopt -s nullglob
programs=("$folder"/*_bench)
[[ ${#programs[@]} -gt 0 ]] || { echo "bench: no programs in $folder; make bench builds them" >&2; exit 1; }
for program in "${programs[@]}"; do
  echo "== $(basename "$program")"
  "$program" "$@"
done
