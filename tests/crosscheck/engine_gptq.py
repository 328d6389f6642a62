"""Loads GPTQ folders in GPTQModel; prints one JSON line for each.

Weights are compared with our decoder bit for bit in float16 (the library's product
scale * (code - zero) is rounded once); log-probabilities are the library's own in float16.
"""

import gptqmodel_on_small_machines  # noqa: F401  (before gptqmodel)
import numpy as np
import torch
from gptqmodel import BACKEND, GPTQModel

from decode import compare_weights, decode
from engine import run
from scoring import mean_nll


def load(folder):
    """The transformers model with GPTQModel's portable kernel in its linears."""
    return GPTQModel.load(folder, backend=BACKEND.TORCH, device="cpu",
                          dtype=torch.float16).model.eval()


def library_weights(model):
    """{linear: [out, in] float16 array} of every quantized linear."""
    return {name: module.dequantize_weight().T.to(torch.float16).detach().numpy()
            for name, module in model.named_modules() if hasattr(module, "qweight")}


def check(folder, windows):
    """The comparison of one folder as a dictionary."""
    # First: the kernel converts the packed tensors in place when it first runs.
    exact = {name: value.astype(np.float16) for name, value in decode(folder).items()}
    model = load(folder)
    return {"dtype": "float16", "weights": compare_weights(exact, library_weights(model)),
            "nll": mean_nll(model, windows)}


if __name__ == "__main__":
    run(check, __doc__)
