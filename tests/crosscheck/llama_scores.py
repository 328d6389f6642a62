#!/usr/bin/env python3
"""GGUF files in llama.cpp itself: perplexity and KL divergence to the first of them, on windows of token ids.

  llama_scores.py REFERENCE.gguf FILE.gguf ... --text TEXT --halftone PROGRAM [--length N] [--windows N]

The library is the one inside the wheel of xllamacpp (pip install xllamacpp numpy), called through its C interface; files of llama-quantize
are scored like ours. Windows follow each other from the first token; in each, every token but the first is predicted, as `halftone evaluate`
does with the same --length and --windows; what it says of each file stands beside. llama.cpp rounds activations to 8 bits: where
the two divergences differ by more than a tenth and 0.01, the exit status is 1.
"""
import argparse
import ctypes
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import numpy

ROOM = 512  # bytes for structs whose ends this script does not name


def library():
    spec = importlib.util.find_spec("xllamacpp")
    if spec is None:
        sys.exit("llama_scores: expected the package xllamacpp (pip install xllamacpp numpy)")
    shared = next(pathlib.Path(spec.origin).parent.glob("*.so"))
    return ctypes.CDLL(str(shared))


class Opaque(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint8 * ROOM)]


class ContextOptions(ctypes.Structure):
    _fields_ = [("n_ctx", ctypes.c_uint32), ("n_batch", ctypes.c_uint32), ("n_ubatch", ctypes.c_uint32),
                ("rest", ctypes.c_uint8 * ROOM)]


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", ctypes.c_void_p),
                ("pos", ctypes.POINTER(ctypes.c_int32)), ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
                ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))), ("logits", ctypes.POINTER(ctypes.c_int8))]


LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class Llama:
    def __init__(self):
        self.lib = library()
        self.quiet = LOG(lambda level, text, _: sys.stderr.write(text.decode(errors="replace")) if level == 4 else None)
        lib = self.lib
        lib.llama_log_set.argtypes = [LOG, ctypes.c_void_p]
        lib.llama_log_set(self.quiet, None)
        lib.llama_model_default_params.restype = Opaque
        lib.llama_model_load_from_file.argtypes = [ctypes.c_char_p, Opaque]
        lib.llama_context_default_params.restype = ContextOptions
        lib.llama_init_from_model.argtypes = [ctypes.c_void_p, ContextOptions]
        lib.llama_batch_init.restype = Batch
        lib.llama_decode.argtypes = [ctypes.c_void_p, Batch]
        lib.llama_get_logits.argtypes = [ctypes.c_void_p]
        lib.llama_get_logits.restype = ctypes.POINTER(ctypes.c_float)
        for name in ("llama_model_load_from_file", "llama_init_from_model", "llama_get_memory", "llama_model_get_vocab"):
            getattr(lib, name).restype = ctypes.c_void_p
        for name in ("llama_free", "llama_model_free", "llama_get_memory", "llama_model_get_vocab", "llama_vocab_n_tokens"):
            getattr(lib, name).argtypes = [ctypes.c_void_p]
        lib.llama_memory_clear.argtypes = [ctypes.c_void_p, ctypes.c_bool]
        lib.llama_backend_init()

    def log_probabilities(self, path, windows):
        """windows: (count, length) ids -> of each window in turn (length - 1, vocabulary) float32"""
        lib = self.lib
        model = lib.llama_model_load_from_file(os.fsencode(path), lib.llama_model_default_params())
        if not model:
            sys.exit(f"llama_scores: llama.cpp did not load {path}")
        vocabulary = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
        length = windows.shape[1]
        options = lib.llama_context_default_params()
        options.n_ctx = options.n_batch = options.n_ubatch = max(length, 64)
        context = lib.llama_init_from_model(model, options)
        batch = lib.llama_batch_init(length, 0, 1)
        for window in windows:
            lib.llama_memory_clear(lib.llama_get_memory(context), True)
            batch.n_tokens = length
            for i, token in enumerate(window):
                batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = int(token), i, 1, 1
                batch.seq_id[i][0] = 0
            if lib.llama_decode(context, batch) != 0:
                sys.exit(f"llama_scores: llama.cpp did not run {path}")
            logits = numpy.ctypeslib.as_array(lib.llama_get_logits(context), (length, vocabulary))[:-1].astype(numpy.float32)
            logits = logits - logits.max(axis=1, keepdims=True)
            yield logits - numpy.log(numpy.exp(logits).sum(axis=1, keepdims=True))
        lib.llama_free(context)
        lib.llama_model_free(model)


def halftone_json(program, *arguments):
    return json.loads(subprocess.run([program, *arguments, "--json", "-"], check=True, capture_output=True).stdout)


def scores(llama, reference, path, windows):
    loss, divergence, agree = [], [], []
    for window, expected, found in zip(windows, reference, llama.log_probabilities(path, windows)):
        loss.append(-found[numpy.arange(len(window) - 1), window[1:]].astype(numpy.float64))
        divergence.append((numpy.exp(expected) * (expected - found)).sum(axis=1, dtype=numpy.float64))
        agree.append(expected.argmax(axis=1) == found.argmax(axis=1))
    loss, divergence, agree = (numpy.concatenate(x) for x in (loss, divergence, agree))
    return numpy.exp(loss.mean()), divergence.mean(), agree.mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--text", required=True)
    parser.add_argument("--halftone", required=True)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--windows", type=int, default=4)
    options = parser.parse_args()
    ids = numpy.array(halftone_json(options.halftone, "tokenize", options.reference, "--text", options.text)["ids"])
    count = min(options.windows, len(ids) // options.length)
    windows = ids[:count * options.length].reshape(count, options.length)
    llama = Llama()
    reference = list(llama.log_probabilities(options.reference, windows))
    agree = True
    print(f"{'file':24} {'MB':>8} {'perplexity':>11} {'KL':>9} {'top-1':>6} {'ours: perplexity':>17} {'KL':>9}")
    for path in [options.reference, *options.files]:
        perplexity, divergence, top = scores(llama, reference, path, windows)
        ours = halftone_json(options.halftone, "evaluate", path, "--reference", options.reference, "--text", options.text,
                             "--length", str(options.length), "--windows", str(count))
        expected = ours["kl"]["mean"]
        agree = agree and abs(divergence - expected) <= 0.01 + 0.1 * expected
        print(f"{os.path.basename(path):24} {os.path.getsize(path) / 1e6:8.1f} {perplexity:11.4f} {divergence:9.4f} {top:6.3f}"
              f" {ours['perplexity']['value']:17.4f} {expected:9.4f}", flush=True)
    sys.exit(0 if agree else 1)


if __name__ == "__main__":
    main()
