#!/usr/bin/env bash
# Our folders in the field's own libraries, and theirs in ours; one line a check, exit status 1 if one fails.
#   scripts/crosscheck.sh [PART...]      parts: ct rotated gptq vllm written golden refused (default: all)
#   HALFTONE=PROGRAM                     default build/halftone
#   HALFTONE_SHARED_DATA=DIR             default ../shared/data
#   SMOLLM2=DIR                          SmolLM2's Hugging Face folder; made under .crosscheck/ when absent
#   TORCH_INDEX=URL, PYTHON=PROGRAM      where torch comes from, which interpreter the environments use
# Each library lives in its own virtual environment under .crosscheck/; the first run installs them
# (a few GB, a few minutes). `--without-halftone` checks the decoders and the libraries alone.
set -uo pipefail
cd "$(dirname "$0")/.."
source scripts/crosscheck_env.sh

# Which environments the parts need; ct serves all (tokens are prepared in it).
needed=" ct "
parts=" $* "
asks_for() { [[ "$parts" == *" $1 "* ]]; }
only_options=true
for word in "$@"; do [[ "$word" == -* ]] || only_options=false; done
if $only_options || asks_for gptq || asks_for written || asks_for golden; then needed+="gptq "; fi
if $only_options || asks_for vllm; then needed+="vllm "; fi

# What cannot be installed is reported as skipped by run.py.
for name in $needed; do ensure_env "$name"; done
if $only_options || asks_for ct || asks_for vllm; then ensure_smollm2; fi

export SMOLLM2="${SMOLLM2:-$crosscheck_home/smollm2/hf}" PYTHONDONTWRITEBYTECODE=1
exec "$crosscheck_python" tests/crosscheck/run.py "$@"
