#!/usr/bin/env python3
"""llama.cpp's own quantizer.

  llama_stock.py PLAIN.gguf OUT.gguf TYPE [--mix] --library libllama.so [--imatrix IMATRIX.gguf]

Every matrix of a block becomes TYPE (as `llama-quantize --pure`; where rows are no whole blocks, the substitute that it chooses); embedding
and head stay in the type of PLAIN.gguf. With --mix TYPE names a mix, embedding and head included (`llama-quantize` as it comes). Needs the packages numpy and gguf, and the library: build the target `llama` of the llama.cpp that
llama-cpp-python 0.3.36 brings in its source distribution, with -DBUILD_SHARED_LIBS=ON.
"""
import argparse
import ctypes
import os
import sys

import numpy
from gguf import GGUFReader

# llama_ftype by the type of most tensors, and ggml_type
FILE_TYPES = {"Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K": 12, "Q4_K": 15, "Q5_K": 17, "Q6_K": 18,
              "IQ2_XXS": 19, "IQ2_XS": 20, "IQ3_XXS": 23, "IQ4_NL": 25, "IQ3_S": 26, "IQ2_S": 28, "IQ4_XS": 30, "Q2_0": 41}
F32, F16, BF16 = 0, 1, 30
# llama_ftype, of mixes whose types all have a grid here
MIXES = {"Q4_0": 2, "Q8_0": 7, "Q5_0": 8, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15,
         "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "IQ2_XXS": 19, "IQ2_XS": 20, "Q2_K_S": 21, "IQ3_XS": 22, "IQ3_XXS": 23,
         "IQ4_NL": 25, "IQ3_S": 26, "IQ3_M": 27, "IQ2_S": 28, "IQ2_M": 29, "IQ4_XS": 30, "Q2_0": 41}


class Importance(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("data", ctypes.POINTER(ctypes.c_float)), ("size", ctypes.c_size_t)]


class Options(ctypes.Structure):
    _fields_ = [("nthread", ctypes.c_int32), ("ftype", ctypes.c_int), ("output_tensor_type", ctypes.c_int),
                ("token_embedding_type", ctypes.c_int), ("allow_requantize", ctypes.c_bool), ("quantize_output_tensor", ctypes.c_bool),
                ("only_copy", ctypes.c_bool), ("pure", ctypes.c_bool), ("keep_split", ctypes.c_bool), ("dry_run", ctypes.c_bool),
                ("imatrix", ctypes.POINTER(Importance)), ("kv_overrides", ctypes.c_void_p), ("tt_overrides", ctypes.c_void_p),
                ("prune_layers", ctypes.c_void_p), ("max_buf_size", ctypes.c_size_t)]


def importance(path):
    tensors = {tensor.name: numpy.array(tensor.data, dtype=numpy.float32).reshape(-1) for tensor in GGUFReader(path).tensors}
    mean = {}
    for name, sums in tensors.items():
        if name.endswith(".in_sum2"):
            weight = name.removesuffix(".in_sum2")
            mean[weight] = numpy.ascontiguousarray(sums / tensors[weight + ".counts"][0])
    return mean


def load_library(path, log):
    """The library, its default options, and what must live as long as it; log(level, text): what it says."""
    lib = ctypes.CDLL(path)
    quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(
        lambda level, text, _: log(level, text.decode(errors="replace")))
    lib.llama_log_set(quiet, None)
    lib.llama_backend_init()
    lib.llama_model_quantize_default_params.restype = Options
    lib.llama_model_quantize.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(Options)]
    lib.llama_model_quantize.restype = ctypes.c_uint32
    return lib, lib.llama_model_quantize_default_params(), quiet


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plain")
    parser.add_argument("out")
    parser.add_argument("type", choices=sorted({**FILE_TYPES, **MIXES}))
    parser.add_argument("--mix", action="store_true")
    parser.add_argument("--library", required=True)
    parser.add_argument("--imatrix")
    options = parser.parse_args()
    plain = {int(t.tensor_type) for t in GGUFReader(options.plain).tensors if t.name == "token_embd.weight"}.pop()
    lib, chosen, kept = load_library(options.library,
                                     lambda level, text: sys.stderr.write(text) if level == 4 else None)
    chosen.ftype, chosen.pure, chosen.nthread = {**FILE_TYPES, **MIXES}[options.type], not options.mix, os.cpu_count()
    if not options.mix:
        chosen.output_tensor_type = chosen.token_embedding_type = plain
    if options.imatrix:
        mean = importance(options.imatrix)
        rows = (Importance * (len(mean) + 1))()
        for row, (name, values) in zip(rows, mean.items()):
            row.name, row.size = name.encode(), values.size
            row.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        chosen.imatrix = rows
    if lib.llama_model_quantize(os.fsencode(options.plain), os.fsencode(options.out), ctypes.byref(chosen)) != 0:
        sys.exit(f"llama_stock: llama.cpp did not quantize {options.plain} to {options.type}")


if __name__ == "__main__":
    main()
