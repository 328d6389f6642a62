"""Loads one folder in vLLM on the CPU and prints one JSON line with its mean NLL.

vLLM repacks the weights for its kernels and does not expose them: log-probabilities are the check.
One folder a process: the engine does not shut down cleanly enough for a second one.
"""

import argparse
import json
import math
import os

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB
# On processors with AMX it would round activations to 8 bits in bfloat16 (0.04 nats on SmolLM2).
os.environ.setdefault("VLLM_CPU_INT4_W4A8", "0")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from vllm import LLM, SamplingParams  # noqa: E402

from scoring import read_windows  # noqa: E402


def prompt_nll(engine, windows):
    """Mean NLL of every window's targets, as the prompt's log-probabilities."""
    wanted = SamplingParams(max_tokens=1, prompt_logprobs=0, detokenize=False)
    prompts = [{"prompt_token_ids": window.tolist()} for window in windows]
    total = count = 0
    for prompt, output in zip(prompts, engine.generate(prompts, wanted, use_tqdm=False)):
        ids = prompt["prompt_token_ids"]
        total -= math.fsum(output.prompt_logprobs[i][ids[i]].logprob for i in range(1, len(ids)))
        count += len(ids) - 1
    return total / count


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--tokens", required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--dtype", default="float16")
    arguments = parser.parse_args()
    windows = read_windows(arguments.tokens, arguments.length)
    engine = LLM(arguments.folder, dtype=arguments.dtype, enforce_eager=True, max_num_seqs=1,
                 max_model_len=arguments.length + 1, skip_tokenizer_init=True)
    nll = prompt_nll(engine, windows)
    print(json.dumps({"folder": arguments.folder, "dtype": arguments.dtype, "nll": nll}))


if __name__ == "__main__":
    main()
