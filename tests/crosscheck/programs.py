"""The programs under comparison, each as a process: halftone itself and the libraries' scripts."""

import json
import math
import os
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE.parents[1] / "bench" / "peers"


def last_line(text):
    """The last line that says something, for an error message."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no output"


class Halftone:
    """The command line program."""

    def __init__(self, program):
        self.program = str(program)

    def quantize(self, model, out, *options):
        """Writes `out`; the finished process, whatever it said."""
        command = [self.program, "quantize", str(model), "--out", str(out), "--overwrite", "--no-check",
                   *map(str, options)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def mean_nll(self, model, tokens, length):
        """Mean NLL of a folder in float32; raises RuntimeError with the program's own words."""
        command = [self.program, "evaluate", str(model), "--text", str(tokens),
                   "--length", str(length), "--compute", "float32", "--json", "-"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(last_line(done.stderr))
        return math.log(json.loads(done.stdout)["perplexity"]["value"])


class Environment:
    """A virtual environment under .crosscheck/ and the scripts that run in it."""

    def __init__(self, home, name):
        self.name = name
        self.python = Path(home) / name / "bin" / "python"
        self.installed = (Path(home) / name / ".installed").exists()

    def run(self, script, *arguments):
        """Runs a script; the JSON objects it printed, one a line."""
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1",
                       "TOKENIZERS_PARALLELISM": "false"}
        command = [str(self.python), str(script), *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{Path(script).name}: {last_line(done.stderr)}")
        # Libraries print to stdout too, configurations over several lines among it.
        return [json.loads(line) for line in done.stdout.splitlines()
                if line.startswith('{"') and line.endswith("}")]

    def score(self, engine, folders, tokens, length, *options):
        """{folder: result} of one of the engine_*.py scripts."""
        results = self.run(HERE / f"{engine}.py", *folders, "--tokens", tokens, "--length", length,
                           *options)
        return {Path(result["folder"]): result for result in results}
