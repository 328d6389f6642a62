"""The module over the program that HALFTONE_PROGRAM names (ctest: python.module)."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest

import halftone
from halftone import _program

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples")
MODEL = os.path.join(EXAMPLES, "stories260K")
CALIBRATION = os.path.join(EXAMPLES, "tinystories-calibration.txt")
TEXT = os.path.join(EXAMPLES, "tinystories-evaluation.txt")
QUICK = {"recipe": "gptq", "bits": 3, "group_size": 32, "calibration": CALIBRATION, "sequences": 4, "length": 64}
COMMANDS = {"quantize": ["--out", "x"], "evaluate": [], "compare": ["x", "--text", "x"], "convert": ["--out", "x"], "generate": ["--prompt", "x"],
            "imatrix": ["--out", "x", "--calibration", "x"]}


def said_by_program(*arguments):
    done = subprocess.run([_program.path(), *arguments], capture_output=True, text=True, env=_program.environment())
    return done.returncode, done.stderr.strip().removeprefix("halftone: ")


def options_of(command):
    """(name, type or "") of every option in its help."""
    text = subprocess.run([_program.path(), command, "--help"], capture_output=True, text=True, check=True,
                          env=_program.environment()).stdout
    return [(name, kind) for name, kind in re.findall(r"^  --([a-z-]+)(?: ([A-Z|a-z=_]+))?", text, re.MULTILINE)]


class Options(unittest.TestCase):
    def test_every_option_of_every_command_is_reached_by_its_name(self):
        for command in COMMANDS:
            names = options_of(command)
            self.assertGreater(len(names), 3, command)
            for name, kind in names:
                value = "v" if kind else True
                expected = f"--{name}=v" if kind else f"--{name}"
                self.assertEqual(_program.arguments({name.replace("-", "_"): value}), [expected])

    def test_every_number_is_refused_as_the_program_refuses_it(self):
        walked = 0
        for command, needed in COMMANDS.items():
            for name, kind in options_of(command):
                if kind != "N":
                    continue
                status, line = said_by_program(command, MODEL, *needed, f"--{name}=many")
                self.assertEqual(status, 2, (command, name))
                places = [MODEL] + [part for part in needed[:1] if not part.startswith("-")]
                options = dict(zip([part[2:] for part in needed if part.startswith("--")], ["x"] * 3))
                with self.assertRaises(halftone.UsageError) as raised:
                    _program.run(command, places, {**options, name: "many"})
                self.assertEqual(str(raised.exception), line)
                walked += 1
        self.assertGreater(walked, 10)

    def test_an_unknown_option_is_refused(self):
        with self.assertRaisesRegex(halftone.UsageError, "--no-such-option"):
            halftone.evaluate(MODEL, text=TEXT, no_such_option=1)

    def test_values_become_text_as_the_program_reads_it(self):
        self.assertEqual(
            _program.arguments({"set": {"grid.symmetric": True, "grid.bits": 3}, "tasks": ["piqa", "arc_easy"],
                                "overwrite": True, "resume": False, "seed": None}),
            ["--set=grid.symmetric=true", "--set=grid.bits=3", "--tasks=piqa,arc_easy", "--overwrite"])
        self.assertEqual(_program.arguments({"calibration": ["a,b.txt:2", "c.txt"]}), ["--calibration=a,b.txt:2", "--calibration=c.txt"])


class Commands(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = os.path.join(folder.name, "out")

    def test_a_model_is_quantized_evaluated_and_loaded(self):
        seen = []
        report = halftone.quantize(MODEL, self.out, progress=lambda *step: seen.append(step), **QUICK)
        self.assertEqual(report["recipe"]["name"] if isinstance(report["recipe"], dict) else report["recipe"], "gptq")
        self.assertTrue(all(0 <= done <= total for _, done, total in seen) and seen)
        evaluation = halftone.evaluate(self.out, text=TEXT, reference=MODEL, length=64, windows=4, progress=None)
        self.assertGreater(evaluation["kl"]["mean"], 0)
        first, second = halftone.compare(MODEL, self.out, text=TEXT, length=64, windows=4, progress=None)
        self.assertNotIn("kl", first)
        self.assertEqual(second["kl"], evaluation["kl"])
        self.assertTrue(halftone.generate(self.out, "Once upon", max_tokens=4)["ids"])
        self.assertEqual(halftone.inspect(self.out)["quantized_linears"], 35)
        self.assertEqual(halftone.plan(MODEL, **QUICK)["parameters"], 260032)
        self.assertTrue(halftone.verify(self.out, source=MODEL, progress=None)["holds"])

    @unittest.skipUnless(importlib.util.find_spec("torch") and importlib.util.find_spec("safetensors"),
                         "needs torch and safetensors")
    def test_quantized_weights_are_loaded_de_quantized(self):
        halftone.quantize(MODEL, self.out, progress=None, **QUICK)
        weights, plain = halftone.load(self.out), halftone.load(MODEL)
        self.assertEqual(set(weights) - set(plain), set())
        name = "model.layers.0.mlp.up_proj.weight"
        self.assertEqual(weights[name].shape, plain[name].shape)
        self.assertLessEqual(len(weights[name][0, :32].unique()), 8)
        for tensor in weights.values():
            self.assertRegex(mapped_at(tensor.data_ptr()), r"/dense/\S+\.safetensors")  # the file's own pages: nothing is copied

    def test_what_fails_is_raised_with_the_programs_line(self):
        with self.assertRaises(halftone.Error) as raised:
            halftone.evaluate(self.out, text=TEXT)
        self.assertEqual(str(raised.exception), said_by_program("evaluate", self.out, "--text", TEXT)[1])
        with self.assertRaisesRegex(halftone.CheckFailed, "perplexity"):
            halftone.evaluate(MODEL, text=TEXT, length=64, windows=1, gate="perplexity.value<1", progress=None)

    def test_ctrl_c_ends_the_program_and_is_raised(self):
        interrupted = []

        def at_first_step(*_):
            if not interrupted:
                interrupted.append(True)
                os.kill(os.getpid(), signal.SIGINT)

        with self.assertRaises(KeyboardInterrupt):
            halftone.quantize(MODEL, self.out, calibration=CALIBRATION, sequences=64, progress=at_first_step)
        self.assertFalse(os.path.exists(self.out))


def mapped_at(address):
    """What of the file system lies at an address of this process."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            begin, end = (int(number, 16) for number in line.split()[0].split("-"))
            if begin <= address < end:
                return line
    return ""


class Import(unittest.TestCase):
    def test_brings_no_other_package_with_it(self):  # torch alone takes seconds
        code = "import sys; import halftone; print([name for name in ('torch', 'numpy', 'safetensors', 'tqdm') " \
               "if name in sys.modules])"
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        self.assertEqual(found.strip(), "[]")


if __name__ == "__main__":
    unittest.main()
