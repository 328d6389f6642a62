"""Finds the program, runs it, and turns what it says into progress, results and exceptions."""

import importlib.metadata
import importlib.util
import os
import re
import signal
import subprocess
import threading

_HERE = os.path.dirname(os.path.abspath(__file__))
_PROGRESS = re.compile(r"(?P<step>.+?) (?P<done>\d+)/(?P<total>\d+)(?:, .*)?$")


class Error(RuntimeError):
    """The request failed: `place: expected, actual, likely cause`."""


class UsageError(Error, ValueError):
    """The options are wrong by themselves."""


class CheckFailed(Error):
    """A condition of `gate` does not hold, or an output did not read back as calibrated."""


def path():
    """The program: HALFTONE_PROGRAM, or the wheel's own."""
    program = os.environ.get("HALFTONE_PROGRAM") or os.path.join(_HERE, "bin", "halftone")
    if not os.access(program, os.X_OK):
        raise Error(f"{program}: expected the program; a wheel carries it, HALFTONE_PROGRAM names another")
    return program


def environment():
    """That of the program: it finds libtorch in the torch that is installed here, other libraries in the wheel."""
    if os.environ.get("HALFTONE_PROGRAM"):
        return dict(os.environ)
    folders = [os.path.join(_HERE, "lib")]
    torch = importlib.util.find_spec("torch")  # finds it without importing it
    if torch is not None and torch.origin:
        folders.append(os.path.join(os.path.dirname(torch.origin), "lib"))
    before = os.environ.get("LD_LIBRARY_PATH")
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(folders + ([before] if before else []))}


def require_torch():
    """ImportError where the torch that is installed is not the one the program was built for."""
    try:
        from ._built import TORCH_VERSION
    except ImportError:  # a checkout: the program brings its own
        return
    try:
        found = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        found = None
    if found is None or not (found + ".").startswith(TORCH_VERSION + "."):
        raise ImportError(
            f"halftone: this wheel was built for torch {TORCH_VERSION}, found {found or 'none'}; "
            f"`pip install 'torch=={TORCH_VERSION}.*'`"
        )


def version():
    """"halftone 0.1.0" and, a line each, what it computes with."""
    return run("version", [], {})


def _text(value):
    if isinstance(value, bool):
        return str(value).lower()
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


_REPEATED = ("calibration", "text", "stop")  # whose values may hold commas


def arguments(options):
    """Keyword arguments as options: `group_size=64` is --group-size=64; True a flag; a dict one option a key, as `set`
    wants it; a list its parts with commas between, or one option each."""
    found = []
    for name, value in options.items():
        option = "--" + name.rstrip("_").replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            found.append(option)
        elif isinstance(value, dict):
            found += [f"{option}={key}={_text(part)}" for key, part in value.items()]
        elif isinstance(value, (list, tuple)) and name in _REPEATED:
            found += [f"{option}={_text(part)}" for part in value]
        elif isinstance(value, (list, tuple)):
            found.append(f"{option}={','.join(_text(part) for part in value)}")
        else:
            found.append(f"{option}={_text(value)}")
    return found


class _Bar:
    """tqdm, or nothing where it is not installed."""

    def __init__(self):
        try:
            from tqdm.auto import tqdm
        except ImportError:
            tqdm = None
        self._tqdm, self._bar, self._step = tqdm, None, None

    def __call__(self, step, done, total):
        if self._tqdm is None:
            return
        if step != self._step or (self._bar is not None and self._bar.total != total):
            self.close()
            self._bar, self._step = self._tqdm(total=total, desc=step), step
        self._bar.update(done - self._bar.n)

    def close(self):
        if self._bar is not None:
            self._bar.close()
        self._bar = None


def _raise(status, lines):
    errors = [line.removeprefix("halftone: ") for line in lines if line.startswith("halftone: ")]
    said = "\n".join(errors or lines) or f"the program ended with status {status}"
    if status == 2:
        raise UsageError(said)
    if status == 3:
        raise CheckFailed(said)
    if status in (130, -signal.SIGINT):
        raise KeyboardInterrupt(said)
    raise Error(said)


def run(command, places, options, progress=None):
    """Runs one command; returns what it printed.

    progress: None for none, True for a bar, or a function of (step, done, total). Ctrl-C reaches the program, which
    keeps what `resume` needs, and is raised again here.
    """
    bar = _Bar() if progress is True else progress
    # a session of its own: a terminal's Ctrl-C comes through this process alone, once
    process = subprocess.Popen(
        [path(), command, *arguments(options), "--", *map(os.fspath, places)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    said = []

    def listen():
        for line in process.stderr:
            found = _PROGRESS.match(line.rstrip("\n"))
            if found is None:
                said.append(line.rstrip("\n"))
            elif bar:
                bar(found["step"], int(found["done"]), int(found["total"]))

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        printed = process.stdout.read()
        process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    finally:
        listener.join(timeout=10)
        process.stdout.close()
        process.stderr.close()
        if isinstance(bar, _Bar):
            bar.close()
    if process.returncode != 0:
        _raise(process.returncode, said)
    return printed
