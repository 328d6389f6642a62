#!/usr/bin/env bash
# Our GGUF files in llama.cpp: each type that can be written is loaded there and scored on the same tokens, beside what `halftone evaluate`
# says of the same file; exit status 1 if they disagree by more than llama.cpp's 8-bit activations account for.
#   scripts/crosscheck_llama.sh MODEL_FOLDER [TEXT]     widths in multiples of 256 for all types, of 64 for some; default text: the demo's
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
for type in Q2_0 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ2_XXS IQ2_XS IQ2_S IQ3_XXS IQ3_S IQ4_NL IQ4_XS TQ1_0 TQ2_0 Q1_0 MXFP4 NVFP4; do
  quiet "$halftone" quantize "$model" --out "$work/$type.gguf" --recipe rtn --type "$type" --strict \
    || echo "crosscheck: $type left out: its blocks do not divide the rows of this model" >&2
done
"$home/bin/python" tests/crosscheck/llama_scores.py "$work/plain.gguf" "$work"/[IQ]*.gguf --text "$text" --halftone "$halftone"
