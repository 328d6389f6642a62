"""Mean NLL of a torch model over disjoint windows: the rule of `halftone evaluate`."""

import math

import numpy as np
import torch

POSITIONS_AT_ONCE = 256  # rows of logits held at a time


def read_windows(path, length, count=None):
    """Disjoint windows [n, length] of a `.tokens` file (little-endian int32 ids), tail dropped."""
    ids = np.fromfile(path, dtype="<i4").astype(np.int64)
    available = len(ids) // length
    count = available if count is None else min(count, available)
    return torch.from_numpy(ids[:count * length].reshape(count, length))


@torch.inference_mode()
def window_nll(model, window, dtype=torch.float64):
    """Mean NLL of the length - 1 targets of one window; the softmax of the logits is taken in `dtype`.

    Float32 loses 1e-5 over a vocabulary of 49152: terms below half a unit of the running sum vanish.
    """
    hidden = model.model(window[None], use_cache=False)[0][0, :-1]
    targets = window[1:]
    total = 0.0
    for begin in range(0, len(targets), POSITIONS_AT_ONCE):
        logits = model.lm_head(hidden[begin:begin + POSITIONS_AT_ONCE]).to(dtype)
        wanted = targets[begin:begin + POSITIONS_AT_ONCE]
        total += torch.nn.functional.cross_entropy(logits, wanted, reduction="sum").double().item()
    return total / len(targets)


def mean_nll(model, windows):
    """Mean over all windows."""
    return math.fsum(window_nll(model, window) for window in windows) / len(windows)
