"""Quantizes a model with llm-compressor on the CPU; prints one JSON line of its cost."""

import argparse
import json
import os
import shutil
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from llmcompressor import oneshot  # noqa: E402
from llmcompressor.modifiers.quantization import GPTQModifier, QuantizationModifier  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

import calibration  # noqa: E402
from usage import Usage  # noqa: E402


def weight_scheme(arguments):
    """The config group of the uniform grid asked for."""
    weights = {"num_bits": arguments.bits, "type": "int", "symmetric": not arguments.asymmetric,
               "strategy": "group" if arguments.group_size else "channel"}
    if arguments.group_size:
        weights["group_size"] = arguments.group_size
    if arguments.activation_order:
        weights["actorder"] = "weight"
    return {"group_0": {"targets": ["Linear"], "weights": weights}}


def calibration_set(arguments):
    """The windows as the dataset that oneshot wants."""
    ids = calibration.read_windows(arguments.tokens, arguments.length, arguments.sequences)
    return Dataset.from_dict({"input_ids": ids.tolist(),
                              "attention_mask": (ids >= 0).astype(int).tolist()})


def quantize(model, arguments):
    """Runs the method in place."""
    groups = weight_scheme(arguments)
    if arguments.method == "rtn":
        rtn = QuantizationModifier(config_groups=groups, ignore=["lm_head"])
        oneshot(model=model, recipe=[rtn])
        return
    gptq = GPTQModifier(config_groups=groups, ignore=["lm_head"])
    oneshot(model=model, recipe=[gptq], dataset=calibration_set(arguments),
            processor=AutoTokenizer.from_pretrained(arguments.model),
            max_seq_length=arguments.length, num_calibration_samples=arguments.sequences)


def save(model, arguments):
    """The packed folder with the source's tokenizer files beside it."""
    model.save_pretrained(arguments.out, save_compressed=True)
    for tokenizer in Path(arguments.model).glob("token*"):
        shutil.copyfile(tokenizer, Path(arguments.out) / tokenizer.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    calibration.add_arguments(parser)
    parser.add_argument("--method", choices=("gptq", "rtn"), default="gptq")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=arguments.dtype)
    with Usage() as usage:
        quantize(model, arguments)
    if arguments.out:
        save(model, arguments)
    print(json.dumps({"peer": "llm-compressor", "version": version("llmcompressor"),
                      "method": arguments.method, "bits": arguments.bits,
                      "group_size": arguments.group_size, "sequences": arguments.sequences,
                      "length": arguments.length, "threads": arguments.threads,
                      "dtype": str(model.dtype).removeprefix("torch."), **usage.as_dict()}))


if __name__ == "__main__":
    main()
