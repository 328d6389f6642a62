#!/usr/bin/env bash
# Quantizes the small model in examples/ with RTN, GPTQ and halftone, the recipe we recommend, at 4, 3 and 2 bits,
# calibrated on one half of the sample stories, and prints one table measured on the other half. Writes below build/demo; `make demo` builds first.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly program=build/halftone model=examples/stories260K out=build/demo
[[ -x $program ]] || { echo "demo: no $program; run make demo" >&2; exit 1; }

mkdir -p "$out"
outputs=()
for bits in 4 3 2; do
  for recipe in rtn gptq halftone; do
    # 172 columns are no multiple of 32 or 64: of all formats only the native one holds such rows
    options=(--recipe "$recipe" --bits "$bits" --group-size 64 --format native)
    [[ $recipe == rtn ]] || options+=(--calibration examples/tinystories-calibration.txt)
    echo "quantizing: $recipe at $bits bits" >&2
    "$program" quantize "$model" --out "$out/$recipe-${bits}bit" "${options[@]}" --overwrite \
      > "$out/$recipe-${bits}bit.log" 2>&1 || { cat "$out/$recipe-${bits}bit.log" >&2; exit 1; }
    outputs+=("$out/$recipe-${bits}bit")
  done
done
"$program" compare "$model" "${outputs[@]}" --text examples/tinystories-evaluation.txt | tee "$out/table.txt"
kl() { # of a row: what stands before its second "+-"
  awk -v row="$1" '$1 == row { for (i = 2; i <= NF; ++i) if ($i == "+-" && ++seen == 2) print $(i - 1) }' "$out/table.txt"
}
echo
echo "At 3 bits the model's predictions move by $(kl rtn-3bit) nats a token with rtn, $(kl gptq-3bit) with gptq and $(kl halftone-3bit) with halftone," \
  "the default (KL to the first): the less, the closer to the full-precision model."
