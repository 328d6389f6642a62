"""Import this before gptqmodel: its thread pools refuse a machine with one or two cores."""

import os

CORES_IT_WANTS = 8

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # compiling costs more than these models' runs
_real_count = os.cpu_count()
os.cpu_count = lambda: max(_real_count or 1, CORES_IT_WANTS)
