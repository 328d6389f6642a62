#!/usr/bin/env bash
# Halftone against llm-compressor, GPTQModel and transformers on SmolLM2-135M, in one go on the same threads.
#   bench/peers.sh [quantize|evaluate|all] [--sequences 16] [--windows 10] [--threads N]
# Environments and data as in scripts/crosscheck.sh (HALFTONE, HALFTONE_SHARED_DATA, SMOLLM2).
# Run it on a quiet machine: waiting threads spin, and a spinning thread counts as CPU time.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/crosscheck_env.sh

halftone="${HALFTONE:-build/halftone}" data="${HALFTONE_SHARED_DATA:-../shared/data}"
[[ -x "$halftone" ]] || { echo "peers: no program at $halftone; run make build" >&2; exit 1; }
ensure_env ct
ensure_env gptq
ensure_smollm2
model="${SMOLLM2:-$crosscheck_home/smollm2/hf}"
tokens="$crosscheck_home/work" python="$(env_python ct)"
mkdir -p "$tokens"

# tokens_of NAME TEXT [OPTIONS]: ids written once by the model's own tokenizer.
tokens_of() {
  local out="$tokens/bench.$1.tokens" text="$2"
  shift 2
  [[ -f "$out" ]] || {
    "$python" tests/crosscheck/prepare_tokens.py "$model" "$data/text/$text" "$out.part" "$@" >&2
    mv "$out.part" "$out"
  }
  echo "$out"
}

# The sample's convention: the first 60 % of its 1,781,633 characters are for calibration.
calibration="$(tokens_of c4 c4-sample.txt --characters=:1068979)"
evaluation="$(tokens_of wikitext2 wikitext2-test.raw.txt)"

exec python3 bench/peers/compare.py --halftone "$halftone" --model "$model" \
  --calibration "$calibration" --evaluation "$evaluation" --scratch "$tokens" \
  --ct-python "$python" --gptq-python "$(env_python gptq)" "$@"
