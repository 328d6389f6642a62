"""Loads compressed-tensors folders in transformers; prints one JSON line for each.

Weights are compared with our decoder bit for bit in the folder's own dtype (the library multiplies
in float32 and rounds once), log-probabilities are taken in that dtype and in float32.
"""

import torch
from transformers import AutoModelForCausalLM, CompressedTensorsConfig

from decode import compare_weights, decode
from engine import run
from scoring import mean_nll


def load(folder, dtype):
    """The model with its linears decompressed."""
    config = CompressedTensorsConfig(dequantize=True)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype,
                                                quantization_config=config).eval()


def library_weights(model, linears):
    """{linear: float32 array}; widening is exact."""
    modules = dict(model.named_modules())
    return {name: modules[name].weight.detach().float().numpy() for name in linears}


def rounded(exact, dtype):
    """The formula's values rounded once to float32 and once more to the model's dtype."""
    return {name: torch.from_numpy(value).float().to(dtype).float().numpy()
            for name, value in exact.items()}


def check(folder, windows):
    """The comparison of one folder as a dictionary."""
    exact = decode(folder)
    model = load(folder, "auto")
    result = {
        "dtype": str(model.dtype).removeprefix("torch."),
        "weights": compare_weights(rounded(exact, model.dtype), library_weights(model, exact)),
        "nll": mean_nll(model, windows),
    }
    if model.dtype != torch.float32:
        model = load(folder, torch.float32)
    result["nll_float32"] = mean_nll(model, windows)
    return result


if __name__ == "__main__":
    run(check, __doc__)
