"""The example runs as it is printed in the README, over the program that HALFTONE_PROGRAM names."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
EXAMPLE = os.path.join(ROOT, "examples", "python", "damage_against_size.py")


class Example(unittest.TestCase):
    def test_it_compares_nine_models_and_draws_them(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, EXAMPLE, folder], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            rows = [line.split() for line in done.stdout.splitlines() if line.split()[0] in ("rtn", "gptq", "halftone")]
            divergence = {(name, round(float(bits))): float(value) for name, bits, value in rows}
            self.assertEqual(len(divergence), 9)
            for bits in (3, 2):
                self.assertLess(divergence["gptq", bits], divergence["rtn", bits])
                self.assertLess(divergence["halftone", bits], divergence["gptq", bits])
            drawn = os.path.exists(os.path.join(folder, "damage_against_size.png"))
            self.assertEqual(drawn, importlib.util.find_spec("matplotlib") is not None)


if __name__ == "__main__":
    unittest.main()
