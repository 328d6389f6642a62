#!/usr/bin/env python3
"""Greedy generation against transformers, one after the other on the same threads, in float32.

    bench/generation.py MODEL [--tokens 128] [--rounds 5] [--threads 2] [--prompt TEXT]
    HALFTONE=PROGRAM                            default build/halftone

MODEL: a Hugging Face folder. Needs transformers and torch. Both are timed from the prompt's tokens to the last new one; loading does not
count. Prints seconds and tokens a second of every round, whether the tokens are the same, and the ratio of the least times. Exit status 1 if
the tokens differ. Run it on a quiet machine.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("HALFTONE", str(ROOT / "build/halftone"))


def ours(options):
    run = subprocess.run([PROGRAM, "generate", options.model, "--prompt", options.prompt, "--max-tokens", str(options.tokens),
                          "--threads", str(options.threads), "--compute", "float32", "--json", "-"], check=True, capture_output=True)
    result = json.loads(run.stdout)
    return result["seconds"]["prompt"] + result["seconds"]["decode"], result["prompt_ids"], result["ids"]


class Peer:
    def __init__(self, options):
        torch.set_num_threads(options.threads)
        self.tokens = options.tokens
        self.model = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()

    @torch.inference_mode()
    def generate(self, prompt):
        ids = torch.tensor([prompt])
        start = time.perf_counter()
        out = self.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=self.tokens)
        return time.perf_counter() - start, out[0, len(prompt):].tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", default="The history of the lighthouse on the northern cape begins")
    options = parser.parse_args()
    peer = Peer(options)
    _, prompt, _ = ours(options)
    peer.generate(prompt)  # warm
    times, same = {"halftone": [], "transformers": []}, True
    for number in range(options.rounds):
        own, _, ids = ours(options)
        other, their_ids = peer.generate(prompt)
        alike = ids == their_ids[:len(ids)] and len(their_ids) - len(ids) <= 1  # they keep the token that ends a text
        same = same and alike
        times["halftone"].append(own)
        times["transformers"].append(other)
        print(f"round {number}: halftone {own:.3f} s ({len(ids) / own:.1f} tokens/s), transformers {other:.3f} s "
              f"({len(their_ids) / other:.1f} tokens/s), tokens {'the same' if alike else 'differ'}", flush=True)
    least = {name: min(each) for name, each in times.items()}
    median = {name: statistics.median(each) for name, each in times.items()}
    print(f"transformers {transformers.__version__}, torch {torch.__version__}, {options.threads} threads, {len(prompt)} + {options.tokens} tokens")
    print(f"halftone is {least['transformers'] / least['halftone']:.2f} times as fast by the least times, "
          f"{median['transformers'] / median['halftone']:.2f} by the medians")
    raise SystemExit(0 if same else 1)


if __name__ == "__main__":
    main()
