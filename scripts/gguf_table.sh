#!/usr/bin/env bash
# GGUF files of llama.cpp's own quantizer and ours, the same types and bytes, scored by llama.cpp on the same windows: perplexity, KL
# divergence to the unquantized file, top-1. Of a TYPE, embedding and head stay unquantized; of mix:NAME they are the mix's.
#   LLAMA_LIBRARY=libllama.so scripts/gguf_table.sh MODEL_FOLDER CALIBRATION TEXT TYPE|mix:NAME...
#   HALFTONE=PROGRAM, PYTHON=PROGRAM                 default build/halftone, python3 with numpy, gguf and xllamacpp
#   SEQUENCES=64 LENGTH=512 WINDOWS=16 KEEP=FOLDER   calibration windows, their length and that of scored ones, how many; where files stay
# LLAMA_LIBRARY: see tests/crosscheck/llama_stock.py.
set -euo pipefail
cd "$(dirname "$0")/.."
model=${1:?usage: scripts/gguf_table.sh MODEL_FOLDER CALIBRATION TEXT TYPE...} calibration=$2 text=$3
shift 3
halftone=${HALFTONE:-build/halftone} python=${PYTHON:-python3} length=${LENGTH:-512} sequences=${SEQUENCES:-64}
work=${KEEP:-$(mktemp -d)}
mkdir -p "$work"
[[ -n ${KEEP:-} ]] || trap 'rm -rf "$work"' EXIT
measure=(--calibration "$calibration" --sequences "$sequences" --length "$length")

quiet() {  # what it says is of use only where it fails
  "$@" >"$work/log" 2>&1 || { tail -n 1 "$work/log" >&2; return 1; }
}
once() {  # FILE COMMAND...: unless the file is there already
  local file=$1
  shift
  [[ -f $file ]] || quiet "$@"
}
once "$work/plain.gguf" "$halftone" convert "$model" --out "$work/plain.gguf" --format gguf
once "$work/input.imatrix.gguf" "$halftone" imatrix "$model" --out "$work/input.imatrix.gguf" "${measure[@]}"
once "$work/guided.imatrix.gguf" "$halftone" imatrix "$model" --out "$work/guided.imatrix.gguf" --recipe guided "${measure[@]}"
files=()
for asked in "$@"; do
  type=${asked#mix:} as_mix=() option=--type
  if [[ $asked == mix:* ]]; then as_mix=(--mix) option=--mix; fi
  for importance in input guided; do
    out="$work/${asked/:/-}.stock-$importance.gguf"
    once "$out" "$python" tests/crosscheck/llama_stock.py "$work/plain.gguf" "$out" "$type" "${as_mix[@]}" --library "$LLAMA_LIBRARY" \
      --imatrix "$work/$importance.imatrix.gguf"
    files+=("$out")
  done
  for recipe in ${RECIPES:-gptq guided halftone-tied}; do
    out="$work/${asked/:/-}.$recipe.gguf"
    once "$out" "$halftone" quantize "$model" --out "$out" "$option" "$type" --recipe "$recipe" --no-check "${measure[@]}"
    files+=("$out")
  done
done
"$python" tests/crosscheck/llama_scores.py "$work/plain.gguf" "${files[@]}" --text "$text" --halftone "$halftone" \
  --length "$length" --windows "${WINDOWS:-16}"
