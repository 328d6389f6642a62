"""The program's commands as functions: results are the JSON that docs/interface.md lists."""

import contextlib
import glob
import json
import os
import tempfile

from . import _program


@contextlib.contextmanager
def _scratch():
    with tempfile.TemporaryDirectory(prefix="halftone-") as folder:
        yield folder


def _read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def quantize(model, out, *, progress=True, **options):
    """`halftone quantize MODEL --out OUT ...`; returns the report (docs/interface.md 5)."""
    with _scratch() as folder:
        report = options.pop("report", None)
        own = report is None or not os.fspath(report).endswith(".json")
        if own and report is not None:
            raise _program.UsageError(f"report={report!r}: expected a name that ends with .json")
        place = os.path.join(folder, "report.json") if own else report
        _program.run("quantize", [model], {"out": out, **options, "report": place}, progress)
        return _read(place)


def plan(model, **options):
    """`halftone plan MODEL ...`, with the options of quantize; returns what its --json says (docs/interface.md 7)."""
    return _json("plan", [model], options, None)


def evaluate(model, *, progress=True, **options):
    """`halftone evaluate MODEL ...`; returns the evaluation (docs/interface.md 6)."""
    return _json("evaluate", [model], options, progress)


def compare(*models, progress=True, **options):
    """`halftone compare MODEL MODEL... --text FILE`; returns a list of evaluations, the reference's first."""
    return _json("compare", models, options, progress)


def convert(model, out, *, progress=True, **options):
    """`halftone convert MODEL --out OUT --format FORMAT`; returns what `inspect` says of it."""
    said = _program.run("convert", [model], {"out": out, **options}, progress)
    return inspect(said.splitlines()[0].removeprefix("wrote "))  # of several files the first


def generate(model, prompt, **options):
    """`halftone generate MODEL --prompt PROMPT ...`; returns what its --json says (docs/interface.md 7)."""
    return _json("generate", [model], {"prompt": prompt, **options}, None)


def imatrix(model, out, *, progress=True, **options):
    """`halftone imatrix MODEL --out NAME.gguf --calibration FILE ...`; returns the place."""
    _program.run("imatrix", [model], {"out": out, **options}, progress)
    return out


def verify(path, *, progress=True, **options):
    """`halftone verify PATH [--source MODEL]`; returns the files' hashes and the checks (docs/interface.md)."""
    return _json("verify", [path], options, progress)


def inspect(path, **options):
    """What a folder or file holds (docs/interface.md)."""
    return json.loads(_program.run("inspect", [path], {**options, "json": True}))


def recipes(name=None):
    """The built-in recipes' table as text, or one recipe as TOML."""
    return _program.run("recipes", [] if name is None else [name], {})


def load(path, *, as_model=False, progress=None, **arguments):
    """De-quantized weights of a folder or .gguf file: a dict of torch tensors by name, or, as_model, the model of
    transformers with them (`arguments` go to its from_pretrained)."""
    with dense_folder(path, progress) as plain:
        if as_model:
            from transformers import AutoModelForCausalLM

            return AutoModelForCausalLM.from_pretrained(plain, **arguments)
        from safetensors.torch import load_file

        tensors = {}
        for part in sorted(glob.glob(os.path.join(glob.escape(plain), "*.safetensors"))):
            tensors.update(load_file(part))
        return tensors


@contextlib.contextmanager
def dense_folder(path, progress=None):
    """A folder with the de-quantized weights in float32, which any library loads; of a model that is not packed its own."""
    with _scratch() as folder:
        plain = os.fspath(path)
        if plain.endswith(".gguf") or "quantization_config" in _config(plain):
            plain = os.path.join(folder, "dense")
            _program.run("convert", [path], {"out": plain, "format": "dense", "type": "F32"}, progress)
        yield plain


def _config(folder):
    try:
        return _read(os.path.join(folder, "config.json"))
    except OSError as error:
        raise _program.Error(f"{folder}: expected a model folder or a .gguf file ({error.strerror})") from error


def _json(command, places, options, progress):
    target = options.pop("json", None) or "-"
    printed = _program.run(command, places, {**options, "json": target}, progress)
    return json.loads(printed) if target == "-" else _read(target)
