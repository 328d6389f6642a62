"""Compares the linears of two folders, decoded by our own formulas; prints one JSON line a pair.

The second folder is dense in float32 or bfloat16: the formula's value is rounded to that first.
"""

import argparse
import json

import numpy as np

from decode import compare_weights, decode
from tensors import read_config


def rounded_to(dtype, values):
    """float64 values rounded once to float32 and, for a bfloat16 model, once more to bfloat16."""
    single = values.astype(np.float32)
    if dtype == "float32":
        return single
    if dtype != "bfloat16":
        raise ValueError(f"no rounding rule for {dtype}")
    bits = single.view(np.uint32)
    nearest_even = bits + 0x7FFF + ((bits >> 16) & 1)
    return (nearest_even & 0xFFFF0000).view(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packed")
    parser.add_argument("dense")
    arguments = parser.parse_args()
    config = read_config(arguments.dense)
    dtype = config.get("dtype") or config["torch_dtype"]
    packed = {name: rounded_to(dtype, value) for name, value in decode(arguments.packed).items()}
    print(json.dumps(compare_weights(packed, decode(arguments.dense))))


if __name__ == "__main__":
    main()
