#!/usr/bin/env bash
# The table of docs/results.md: RTN, GPTQ and halftone at 4, 3 and 2 bits on one model, evaluated on WikiText-2 and held-out C4.
#
#   scripts/results.sh MODEL_FOLDER TEXT_FOLDER [OUT_FOLDER]
#
# TEXT_FOLDER holds c4-sample.txt and wikitext2-test.raw.txt. Calibration takes the first 60 % of the characters of the C4
# sample, evaluation its last 40 %. Results are JSON files in OUT_FOLDER (default build/results), printed as one table.
# BITS, SEQUENCES, LENGTH, RECIPES, DEVICE may be set: the defaults are the full protocol on the CPU.
set -euo pipefail
cd "$(dirname "$0")/.."
[[ $# -ge 2 ]] || { sed -n '2,8p' "$0" >&2; exit 2; }
model=$1 texts=$2 out=${3:-build/results}
bits_list=${BITS:-4 3 2} sequences=${SEQUENCES:-128} length=${LENGTH:-2048} recipes=${RECIPES:-rtn gptq halftone} device=${DEVICE:-cpu}
halftone=${HALFTONE:-build/halftone}
mkdir -p "$out"

python3 - "$texts/c4-sample.txt" "$out" <<'SPLIT'
import pathlib
import sys

text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
cut = int(len(text) * 0.6)
out = pathlib.Path(sys.argv[2])
(out / "c4-calibration.txt").write_text(text[:cut], encoding="utf-8")
(out / "c4-heldout.txt").write_text(text[cut:], encoding="utf-8")
SPLIT

for recipe in $recipes; do
  for bits in $bits_list; do
    name=$recipe-$bits
    options=()
    [[ $recipe = rtn ]] || options=(--calibration "$out/c4-calibration.txt" --sequences "$sequences" --length "$length")
    "$halftone" quantize "$model" --out "$out/$name" --overwrite --recipe "$recipe" --bits "$bits" --group-size 64 \
      --device "$device" --format native "${options[@]}" --report "$out/$name.quantize.json"
    "$halftone" evaluate "$out/$name" --reference "$model" --text "$texts/wikitext2-test.raw.txt" --length "$length" \
      --windows 40 --device "$device" --json "$out/$name.wikitext2.json" > "$out/$name.wikitext2.txt"
    "$halftone" evaluate "$out/$name" --reference "$model" --text "$out/c4-heldout.txt" --length "$length" \
      --windows 20 --device "$device" --json "$out/$name.c4.json" > "$out/$name.c4.txt"
  done
done

python3 scripts/results_table.py "$out"
