"""Loads folders of ordinary weights in transformers; prints one JSON line for each."""

import torch
from transformers import AutoModelForCausalLM

from engine import run
from scoring import mean_nll


def check(folder, windows):
    """The mean NLL in float32, whatever type the folder stores."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return {"nll_float32": mean_nll(model, windows)}


if __name__ == "__main__":
    run(check, __doc__)
