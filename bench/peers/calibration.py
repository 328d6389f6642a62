"""Calibration windows for the peers: the same `.tokens` ids that halftone reads."""

import numpy as np


def read_windows(path, length, count):
    """The first `count` disjoint windows [count, length] of little-endian int32 ids."""
    ids = np.fromfile(path, dtype="<i4").astype(np.int64)
    if len(ids) < count * length:
        raise SystemExit(f"{path} holds {len(ids)} ids, {count} x {length} were asked for")
    return ids[:count * length].reshape(count, length)


def add_arguments(parser):
    """The options that every quantizing peer takes."""
    parser.add_argument("model")
    parser.add_argument("--out", help="folder to write; nothing is written without it")
    parser.add_argument("--tokens", help=".tokens file of little-endian int32 ids")
    parser.add_argument("--sequences", type=int, default=4)
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--group-size", type=int, default=64, help="0 = one group per row")
    parser.add_argument("--asymmetric", action="store_true")
    parser.add_argument("--activation-order", action="store_true")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int, default=2)
