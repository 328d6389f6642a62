"""Reading safetensors with numpy alone: nothing here shares code with a library under test."""

import json
import struct
from pathlib import Path

import numpy as np

NUMPY_TYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
}


def bfloat16_to_float32(bits):
    """bfloat16 is the upper half of a float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def read_file(path):
    """{name: array} of one safetensors file; bfloat16 comes back widened to float32."""
    raw = Path(path).read_bytes()
    header_size, = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + header_size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + header_size + offset for offset in entry["data_offsets"])
        array = np.frombuffer(raw[begin:end], NUMPY_TYPES[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = bfloat16_to_float32(array) if entry["dtype"] == "BF16" else array
    return tensors


def read_folder(folder):
    """All tensors of a model folder, sharded or not."""
    folder = Path(folder)
    index = folder / "model.safetensors.index.json"
    if index.exists():
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    else:
        names = sorted(path.name for path in folder.glob("*.safetensors")
                       if not path.name.startswith("dequantized"))
    tensors = {}
    for name in names:
        tensors.update(read_file(folder / name))
    return tensors


def read_config(folder):
    """config.json of a model folder."""
    return json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
