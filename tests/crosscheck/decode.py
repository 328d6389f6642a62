"""Packed folders decoded by their documented formulas, in numpy and independently of every library.

Both formats hold their codes in one bit stream: the codes of a row or column laid end to end, least
significant bit first, cut into little-endian 32-bit words. `decode(folder)` returns
{linear: [out, in] float64}: the value of the formula before any rounding to a compute type.
"""

import numpy as np

from tensors import read_config, read_folder


def unpack_rows(words, bits, count):
    """words: int32 [rows, n] -> codes [rows, count]; every row is one stream."""
    rows = words.shape[0]
    stream = np.unpackbits(np.ascontiguousarray(words).view(np.uint8).reshape(rows, -1), axis=1,
                           bitorder="little")
    lanes = stream[:, :count * bits].reshape(rows, count, bits).astype(np.int64)
    return (lanes << np.arange(bits)).sum(axis=2)


def prefixes(tensors, suffix):
    """The linears that own a tensor of this name."""
    return sorted(name[:-len(suffix)] for name in tensors if name.endswith(suffix))


def decode_compressed_tensors(folder):
    """pack-quantized with one config group: w = (code - zero) * scale."""
    tensors = read_folder(folder)
    quantization = read_config(folder)["quantization_config"]
    groups = quantization["config_groups"]
    if len(groups) != 1:
        raise ValueError(f"{folder}: {len(groups)} config groups, this decoder knows one")
    bits = next(iter(groups.values()))["weights"]["num_bits"]
    weights = {}
    for linear in prefixes(tensors, ".weight_packed"):
        rows, columns = tensors[linear + ".weight_shape"]
        scale = tensors[linear + ".weight_scale"].astype(np.float64)  # [rows, groups]
        code = unpack_rows(tensors[linear + ".weight_packed"], bits, columns)
        if linear + ".weight_zero_point" in tensors:  # [ceil(rows * bits / 32), groups]
            zero = unpack_rows(tensors[linear + ".weight_zero_point"].T.copy(), bits, rows).T
        else:
            zero = np.full(scale.shape, 1 << (bits - 1))
        group = np.arange(columns) // (columns // scale.shape[1])
        weights[linear] = (code - zero[:, group]) * scale[:, group]
    return weights


def decode_gptq(folder):
    """GPTQ v1 and v2: w = scale * (code - zero); v1 stores zero - 1."""
    tensors = read_folder(folder)
    quantization = read_config(folder)["quantization_config"]
    bits = quantization["bits"]
    layout = quantization.get("checkpoint_format") or quantization.get("format") or "gptq"
    zero_offset = {"gptq": 1, "gptq_v2": 0}[layout]
    weights = {}
    for linear in prefixes(tensors, ".qweight"):
        scale = tensors[linear + ".scales"].astype(np.float64)  # [groups, out]
        group = tensors[linear + ".g_idx"]  # [in]
        code = unpack_rows(tensors[linear + ".qweight"].T.copy(), bits, group.size).T
        zero = unpack_rows(tensors[linear + ".qzeros"], bits, scale.shape[1]) + zero_offset
        weights[linear] = ((code - zero[group]) * scale[group]).T
    return weights


def decode_dense(folder):
    """The plain weights of an unquantized folder."""
    return {name.removesuffix(".weight"): value.astype(np.float64)
            for name, value in read_folder(folder).items()
            if name.endswith("_proj.weight")}


def decode(folder):
    """Decodes a folder by the method its config names."""
    method = read_config(folder).get("quantization_config", {}).get("quant_method")
    decoders = {"compressed-tensors": decode_compressed_tensors, "gptq": decode_gptq,
                None: decode_dense}
    return decoders[method](folder)


def compare_weights(expected, actual):
    """{linears, different (weights), largest (absolute difference)} of two {linear: array}."""
    if sorted(expected) != sorted(actual):
        raise ValueError(f"linears differ: {sorted(set(expected) ^ set(actual))[:4]}")
    different, largest = 0, 0.0
    for linear, value in expected.items():
        gap = np.abs(value.astype(np.float64) - actual[linear].astype(np.float64))
        different += int(np.count_nonzero(gap))
        largest = max(largest, float(gap.max()))
    return {"linears": len(expected), "different": different, "largest": largest}
