"""Quantizes a model with GPTQModel on the CPU; prints one JSON line of its cost."""

import argparse
import json
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "crosscheck"))
import gptqmodel_on_small_machines  # noqa: E402, F401  (before gptqmodel)
import torch  # noqa: E402
from gptqmodel import GPTQModel, QuantizeConfig  # noqa: E402

import calibration  # noqa: E402
from usage import Usage  # noqa: E402


def configuration(arguments):
    """The uniform grid asked for; -1 is its word for one group per row."""
    config = QuantizeConfig(bits=arguments.bits, group_size=arguments.group_size or -1,
                            sym=not arguments.asymmetric, desc_act=arguments.activation_order,
                            format=arguments.format, device="cpu", offload_to_disk=False)
    if hasattr(config, "act_group_aware"):  # its own reordering of groups, on by default
        config.act_group_aware = False
    return config


def calibration_set(arguments):
    """The windows as GPTQModel wants them."""
    ids = calibration.read_windows(arguments.tokens, arguments.length, arguments.sequences)
    return [{"input_ids": row[None], "attention_mask": torch.ones_like(row[None])}
            for row in torch.from_numpy(ids)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    calibration.add_arguments(parser)
    parser.add_argument("--format", choices=("gptq", "gptq_v2"), default="gptq")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dtype = "auto" if arguments.dtype == "auto" else getattr(torch, arguments.dtype)
    model = GPTQModel.load(arguments.model, configuration(arguments), dtype=dtype)
    samples = calibration_set(arguments)
    with Usage() as usage:
        model.quantize(samples, batch_size=1)
    if arguments.out:
        model.save(arguments.out)
    print(json.dumps({"peer": "GPTQModel", "version": version("gptqmodel"), "method": "gptq",
                      "bits": arguments.bits, "group_size": arguments.group_size,
                      "sequences": arguments.sequences, "length": arguments.length,
                      "threads": arguments.threads, "dtype": arguments.dtype, **usage.as_dict()}))


if __name__ == "__main__":
    main()
