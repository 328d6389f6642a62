#!/usr/bin/env python3
"""Does a run survive what may happen to it? Kills, full disks, two runs at once, inputs that vanish.

    scripts/chaos.py PROGRAM [--kills 200] [--seed 0] [NAME...]

Quantizes the demo model, its MLP widened to whole blocks by zeros, in nine pairs of recipe and format. KILLS times, dealt out among the pairs, a run gets SIGKILL at a
random moment (half of the times its resumption does too) and is resumed: the output has to be byte for byte that of an
undisturbed run, and nothing else may be left beside it. Then, once a pair: files that may not grow beyond a random
size, two runs to one place, a calibration text that vanishes. Each has to end in the same bytes or in one line that
says why, with no output. NAME: only the pairs whose name holds it. Exit status 1 if something did not hold.
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXT = ROOT / "examples/tinystories-calibration.txt"
PAIRS = {  # output's name, options
    "halftone-native": ("out", ["--recipe", "halftone", "--bits", "3", "--group-size", "64", "--format", "native"]),
    "gptq-compressed": ("out", ["--recipe", "gptq", "--bits", "4", "--group-size", "0", "--format", "compressed-tensors"]),
    "gptq-gptq": ("out", ["--recipe", "gptq", "--bits", "4", "--group-size", "32", "--format", "gptq"]),
    "gptq-awq": ("out", ["--recipe", "gptq", "--bits", "4", "--group-size", "32", "--format", "awq"]),
    "qep-mlx": ("out", ["--recipe", "qep", "--bits", "3", "--group-size", "32", "--format", "mlx"]),
    "tied-gguf": ("out.gguf", ["--recipe", "halftone-tied", "--type", "Q4_0"]),
    "spqr-native": ("out", ["--recipe", "spqr", "--format", "native"]),
    "oac-native": ("out", ["--recipe", "oac", "--format", "native"]),
    "rtn-dense": ("out", ["--recipe", "rtn", "--bits", "4", "--group-size", "0", "--format", "dense"]),
}


def widened(model, out, width=192):
    """The model in float32 with zeros added to its MLP: of 172 columns no block of GPTQ's or GGUF's formats is full."""
    shutil.copytree(model, out)
    config = json.loads((model / "config.json").read_text())
    old, config["intermediate_size"] = config["intermediate_size"], width
    (out / "config.json").write_text(json.dumps(config))
    data = (model / "model.safetensors").read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8:start]), b""
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        assert tensor["dtype"] == "F32", tensor
        begin, end = (start + place for place in tensor["data_offsets"])
        values, shape = data[begin:end], tensor["shape"]
        if shape[0] == old:
            values += bytes(4 * (width - old) * shape[1])
            tensor["shape"] = [width, shape[1]]
        elif shape[-1] == old:
            values = b"".join(values[4 * old * row : 4 * old * (row + 1)] + bytes(4 * (width - old)) for row in range(shape[0]))
            tensor["shape"] = [shape[0], width]
        tensor["data_offsets"] = [len(body), len(body) + len(values)]
        body += values
    text = json.dumps(header).encode()
    (out / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)


def command(program, model, pair, folder, text=TEXT, resume=True):
    name, options = PAIRS[pair]
    words = [program, "quantize", str(model), "--out", str(folder / name), "--threads", "1"] + options
    if "rtn" not in pair:
        words += ["--calibration", str(text), "--sequences", "16", "--length", "128"]
    return words + (["--resume"] if resume else [])


def contents(folder):
    """Every file below the folder, its bytes by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def run(words, **options):
    return subprocess.run(words, capture_output=True, text=True, **options)


def run_and_kill(words, seconds):
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return process.returncode == -signal.SIGKILL


def fault_of(done, folder, expected, may_fail):
    """What is wrong with how a run ended; "" if nothing is."""
    if done.returncode == 0:
        found = contents(folder)
        different = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        return "differs: " + ", ".join(different) if different else ""
    said = [line for line in done.stderr.splitlines() if line.startswith("halftone: ")]
    if not may_fail or done.returncode != 1 or len(said) != 1:
        return f"status {done.returncode}: {done.stderr.strip()[-300:]}"
    left = [name for name in contents(folder) if ".journal" not in name and name in expected]
    return "failed, yet left " + ", ".join(left) if left else ""


class Pair:
    def __init__(self, program, name, model, work):
        self.program, self.name, self.model, self.work = program, name, model, work
        folder = self.folder()
        start = time.monotonic()
        done = run(self.command(folder, resume=False))
        if done.returncode:
            sys.exit(f"chaos: {name}: {done.stderr.strip()}")
        self.seconds = time.monotonic() - start
        self.expected = contents(folder)

    def command(self, folder, **options):
        return command(self.program, self.model, self.name, folder, **options)

    def folder(self):
        return pathlib.Path(tempfile.mkdtemp(dir=self.work))

    def end(self, folder, may_fail=False, **options):
        fault = fault_of(run(self.command(folder, **options)), folder, self.expected, may_fail)
        shutil.rmtree(folder)
        return fault

    def kill(self, draw):
        folder, killed = self.folder(), 0
        for _ in range(draw.choice([1, 2])):
            killed += run_and_kill(self.command(folder), draw.uniform(0, self.seconds))
        half = sorted(set(contents(folder)) & set(self.expected))
        if half and contents(folder) != self.expected and len(half) != len(self.expected):
            return f"killed, and a part of the output is there: {', '.join(half)}", killed
        return self.end(folder), killed

    def full_disk(self, draw):
        """Every file ends at a random size, as on a full disk; afterwards there is room again."""
        folder, most = self.folder(), draw.randint(0, max(map(len, self.expected.values())))
        limit = lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
        words = self.command(folder)
        fault = fault_of(run(words, preexec_fn=limit), folder, self.expected, may_fail=True)
        return fault and f"{most} bytes a file: {fault}" or self.end(folder)

    def two_at_once(self, _):
        folder = self.folder()
        words = self.command(folder)
        first = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        second = run(words)
        error = first.communicate()[1]
        done = [second, subprocess.CompletedProcess(words, first.returncode, "", error)]
        if all(run_.returncode for run_ in done):
            return "both failed: " + error.strip()[-200:]
        for run_ in done:  # one of them has written the output by now
            said = [line for line in run_.stderr.splitlines() if line.startswith("halftone: ")]
            if run_.returncode not in (0, 1) or (run_.returncode == 1 and len(said) != 1):
                return f"status {run_.returncode}: {run_.stderr.strip()[-300:]}"
        return self.end(folder)

    def vanished_text(self, draw):
        if "rtn" in self.name:
            return ""
        folder, text = self.folder(), pathlib.Path(self.work) / "text.txt"
        shutil.copy(TEXT, text)
        words = self.command(folder, text=text)
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(draw.uniform(0, self.seconds / 2))
        text.unlink()
        error = process.communicate()[1]
        if process.returncode not in (0, 1):
            return f"status {process.returncode}: {error.strip()[-300:]}"
        shutil.rmtree(folder)
        return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw, faults = random.Random(options.seed), 0
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    names = [name for name in PAIRS if not options.names or any(wanted in name for wanted in options.names)]
    with tempfile.TemporaryDirectory() as work:
        model = pathlib.Path(work) / "model"
        widened(ROOT / "examples/stories260K", model)
        for place, name in enumerate(names):
            pair, killed, found = Pair(options.program, name, model, work), 0, []
            runs = len(range(place, options.kills, len(names)))
            for _ in range(runs):
                fault, count = pair.kill(draw)
                killed += count
                found += [f"kill: {fault}"] if fault else []
            for event in (pair.full_disk, pair.two_at_once, pair.vanished_text):
                fault = event(draw)
                found += [f"{event.__name__}: {fault}"] if fault else []
            print(f"{name}: {runs} runs killed {killed} times, {len(found)} faults", *found, sep="\n  ", flush=True)
            faults += len(found)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
