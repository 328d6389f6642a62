#!/usr/bin/env bash
# Our GGUF files in llama.cpp: each type that can be written is loaded there and scored on the same tokens, beside what `halftone evaluate`
# says of the same file; exit status 1 if they disagree by more than llama.cpp's 8-bit activations account for.
#   scripts/crosscheck_llama.sh MODEL_FOLDER [TEXT]     a model whose widths are multiples of 64; default text: the demo's
#   HALFTONE=PROGRAM, PYTHON=PROGRAM                    default build/halftone, python3
# llama.cpp is the library inside the wheel of xllamacpp, in a virtual environment under .crosscheck/.
set -euo pipefail
cd "$(dirname "$0")/.."
model=${1:?usage: scripts/crosscheck_llama.sh MODEL_FOLDER [TEXT]} text=${2:-examples/tinystories-evaluation.txt}
halftone=${HALFTONE:-build/halftone} home=.crosscheck/llama
if [[ ! -f $home/.installed ]]; then
  mkdir -p .crosscheck
  "${PYTHON:-python3}" -m venv "$home"
  "$home/bin/pip" install --quiet xllamacpp==2026.10.11549 numpy && touch "$home/.installed"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

quiet() {  # what it says is of use only where it fails
  "$@" >"$work/log" 2>&1 || { tail -n 1 "$work/log" >&2; return 1; }
}
quiet "$halftone" convert "$model" --out "$work/plain.gguf" --format gguf
for type in "Q2_0 2 true 64 8" "Q4_0 4 true 32 8" "Q4_1 4 false 32 7" "Q5_0 5 true 32 8" "Q5_1 5 false 32 6" "Q8_0 8 true 32 8"; do
  read -r name bits symmetric group scale_bits <<<"$type"
  quiet "$halftone" quantize "$model" --out "$work/$name.gguf" --recipe rtn --bits "$bits" --group-size "$group" \
    --set "grid.symmetric=$symmetric" --set "grid.scale_bits=$scale_bits"
done
"$home/bin/python" tests/crosscheck/llama_scores.py "$work/plain.gguf" "$work"/Q*.gguf --text "$text" --halftone "$halftone"
