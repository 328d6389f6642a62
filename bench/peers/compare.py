"""Halftone against its peers on one model: CPU seconds, wall seconds, peak memory, and the ratios.

`bench/peers.sh` starts this; it needs nothing but the standard library. Every program runs alone,
one after another, with the same number of threads. Ours is charged with its whole process (loading,
writing and reading back included); a peer is shown with its work alone and with its whole process.
Ratios are the peer's CPU seconds over ours: the stricter one, "work", is the figure to quote.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
COLUMNS = "  {:34} {:>10} {:>10} {:>10} {:>10} {:>9} {:>9}  {}"


def run_alone(command, threads):
    """(stdout, CPU seconds, wall seconds, peak RSS in bytes) of one process and its children."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.monotonic()
        child = subprocess.Popen([str(word) for word in command], stdout=out, stderr=err,
                                 env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode != 0:
            raise RuntimeError(f"{command[0]}: status {child.returncode}: {err.read()[-400:]}")
        return out.read(), usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024


def progress(row):
    """One line as soon as a program is done; the table with the ratios comes last."""
    print(f"{row['name']}: {row['work_cpu']:.1f} CPU s of {row['process_cpu']:.1f}, "
          f"{row['wall']:.1f} s, {row['rss'] / 2**20:.0f} MiB", file=sys.stderr, flush=True)
    return row


def measure_ours(name, command, threads):
    """One row for halftone; its JSON output, if any, is kept."""
    out, cpu, wall, rss = run_alone(command, threads)
    row = {"name": name, "work_cpu": cpu, "process_cpu": cpu, "wall": wall, "rss": rss}
    if out.lstrip().startswith("{"):
        row["perplexity"] = json.loads(out)["perplexity"]["value"]
    return progress(row)


def measure_peer(python, script, options, threads):
    """One row for a peer: the JSON line that its script printed, and the process from outside."""
    command = [python, HERE / script, *options, "--threads", threads]
    out, cpu, wall, rss = run_alone(command, threads)
    said = json.loads([line for line in out.splitlines() if line.startswith('{"')][-1])
    row = {"name": f"{said['peer']} {said['version']} ({said['dtype']})", "process_cpu": cpu,
           "work_cpu": said["cpu_seconds"], "wall": wall, "rss": rss}
    if "perplexity" in said:
        row["perplexity"] = said["perplexity"]
    return progress(row)


def print_table(title, rows, ours):
    """The rows with the ratios to `ours` (a row), then all of it as one JSON line."""
    print(title)
    print(COLUMNS.format("", "work CPU s", "all CPU s", "wall s", "peak MiB", "work/ours",
                         "all/ours", "").rstrip())
    for row in rows:
        row["work_ratio"] = row["work_cpu"] / ours["process_cpu"]
        row["process_ratio"] = row["process_cpu"] / ours["process_cpu"]
        note = f"perplexity {row['perplexity']:.4f}" if "perplexity" in row else ""
        print(COLUMNS.format(row["name"], f"{row['work_cpu']:.1f}", f"{row['process_cpu']:.1f}",
                             f"{row['wall']:.1f}", f"{row['rss'] / 2**20:.0f}",
                             f"{row['work_ratio']:.2f}", f"{row['process_ratio']:.2f}",
                             note).rstrip())
    print(json.dumps({"title": title, "rows": rows}), flush=True)


def quantization(arguments):
    """GPTQ at 4 bits, symmetric groups of 64, the same calibration ids for all."""
    shared = ["--sequences", arguments.sequences, "--length", arguments.length]
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        for name, extra in (("halftone", []),
                            ("halftone, no clip search", ["--set", "grid.clip_search=false"])):
            rows.append(measure_ours(name, [
                arguments.halftone, "quantize", arguments.model, "--out", Path(scratch) / "ours",
                "--overwrite", "--no-check", "--recipe", "gptq", "--bits", 4, "--group-size", 64,
                "--set", "grid.symmetric=true", "--format", "compressed-tensors",
                "--calibration", arguments.calibration, *shared, "--threads", arguments.threads,
                *extra], arguments.threads))
    options = [arguments.model, "--tokens", arguments.calibration, *shared, "--bits", 4,
               "--group-size", 64]
    for python, script in ((arguments.ct_python, "quantize_llmcompressor.py"),
                           (arguments.gptq_python, "quantize_gptqmodel.py")):
        rows.append(measure_peer(python, script, options, arguments.threads))
    print_table(f"GPTQ, 4 bits symmetric g64, {arguments.sequences} x {arguments.length} tokens, "
                f"{arguments.threads} threads", rows, rows[0])


def evaluation(arguments, dtype):
    """Perplexity of the unquantized model in one compute dtype."""
    shared = ["--length", arguments.length, "--windows", arguments.windows]
    ours = measure_ours(f"halftone ({dtype})", [
        arguments.halftone, "evaluate", arguments.model, "--text", arguments.evaluation, *shared,
        "--compute", dtype, "--json", "-"], arguments.threads)
    peer = measure_peer(arguments.ct_python, "perplexity_transformers.py",
                        [arguments.model, "--tokens", arguments.evaluation, *shared,
                         "--dtype", dtype], arguments.threads)
    print_table(f"perplexity, {arguments.windows} x {arguments.length} tokens, {dtype}, "
                f"{arguments.threads} threads", [ours, peer], ours)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=("quantize", "evaluate", "all"), nargs="?", default="all")
    parser.add_argument("--halftone", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--calibration", required=True, help=".tokens file")
    parser.add_argument("--evaluation", required=True, help=".tokens file")
    parser.add_argument("--ct-python", required=True, help="has llm-compressor and transformers")
    parser.add_argument("--gptq-python", required=True, help="has GPTQModel")
    parser.add_argument("--scratch", help="where our output is written and removed again")
    parser.add_argument("--sequences", type=int, default=16)
    parser.add_argument("--windows", type=int, default=10)
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    try:
        if arguments.work in ("quantize", "all"):
            quantization(arguments)
        if arguments.work in ("evaluate", "all"):
            for dtype in ("float32", "bfloat16"):
                evaluation(arguments, dtype)
    except RuntimeError as error:
        sys.exit(f"peers: {error}")


if __name__ == "__main__":
    main()
