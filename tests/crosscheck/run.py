"""Our folders in the field's own libraries, and theirs in ours; scripts/crosscheck.sh starts this.

Parts: ct (transformers + compressed-tensors), rotated (dense folders in transformers), gptq (GPTQModel), vllm, written (folders that the
libraries write now, evaluated here), golden (folders that earlier releases wrote), refused.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

import cases
from programs import HERE, PEERS, Environment, Halftone, last_line
from report import Report

ROOT = HERE.parents[1]

# Largest accepted difference of the mean NLL (nats per token) from ours, which is always float32.
# The library multiplies the same weights:
#   float32   sums in another order move a single logit by about 4e-5
#             (golden/forward/small_models.json), the mean over some thousand targets by 1e-7;
#   float16   11 significant bits in weights and activations: 2.5e-4 seen on babyllama;
#   bfloat16  8 significant bits: transformers' own bfloat16 differs from its float32 by 5e-3 on
#             babyllama's golden folders.
NLL_TOLERANCE = {"float32": 1e-6, "float16": 1e-3, "bfloat16": 1e-2}

# What rounding to 8 bits in groups of 16 may change the mean NLL of a rotated model by.
ROTATED_NLL_TOLERANCE = 1e-3

CALIBRATION_SEQUENCES = 8


class Crosscheck:
    """Everything the parts share: programs, models, token files, the report."""

    def __init__(self, arguments):
        self.report = Report()
        self.halftone = Halftone(arguments.halftone)
        self.without_halftone = arguments.without_halftone
        self.data = arguments.data
        self.models = cases.models(arguments.data, arguments.smollm2)
        self.work = arguments.home / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self.environments = {name: Environment(arguments.home, name)
                             for name in ("ct", "gptq", "vllm")}

    # -- token files ---------------------------------------------------------------------------

    def tokens(self, model, use):
        """The model's `.tokens` file, `use` being "calibration" or "evaluation"; written once."""
        # Twice what calibration reads, so that random windows differ from the first ones.
        windows = {"calibration": 2 * CALIBRATION_SEQUENCES, "evaluation": model.windows}[use]
        path = self.work / f"{model.name}.{use}.{windows}x{model.length}.tokens"
        if not path.exists():
            self.environments["ct"].run(
                HERE / "prepare_tokens.py", model.folder, self.data / "text" / model.text,
                path.with_suffix(".part"), f"--characters={getattr(model, use)}",
                "--tokens", windows * model.length)
            path.with_suffix(".part").rename(path)
        return path

    def calibration(self, model):
        """The options of `halftone quantize` that name the calibration."""
        return ["--calibration", self.tokens(model, "calibration"),
                "--sequences", CALIBRATION_SEQUENCES, "--length", model.length]

    # -- single checks -------------------------------------------------------------------------

    def quantize(self, case):
        """Our folder of a case, or None after reporting why not."""
        model = self.models[case.model]
        if not model.present:
            self.report.skip(case.name, f"{model.name} is not at hand: {model.folder}")
            return None
        options = case.options()
        if case.recipe != "rtn":
            options += self.calibration(model)
        out = self.work / case.folder
        done = self.halftone.quantize(model.folder, out, *options)
        if done.returncode != 0:
            self.report.check(case.name, False, last_line(done.stderr))
            return None
        return out

    def weights(self, name, result):
        """The library's weights against our decoder, bit for bit."""
        weights = result["weights"]
        self.report.check(f"{name}: weights", weights["different"] == 0,
                          f"{weights['linears']} linears, {weights['different']} different, "
                          f"largest difference {weights['largest']:.3g} ({result['dtype']})")

    def nll(self, name, ours, theirs, dtype):
        """Two mean NLL against the tolerance of the library's compute dtype."""
        gap = abs(ours - theirs)
        self.report.check(f"{name}: NLL", gap <= NLL_TOLERANCE[dtype],
                          f"ours {ours:.6f}, theirs {theirs:.6f} ({dtype}), "
                          f"difference {gap:.1e} <= {NLL_TOLERANCE[dtype]:.0e}")

    def our_nll(self, name, folder, model):
        """Our mean NLL of a folder, or None after reporting why not."""
        if self.without_halftone:
            self.report.skip(f"{name}: NLL", "run without halftone")
            return None
        try:
            return self.halftone.mean_nll(folder, self.tokens(model, "evaluation"), model.length)
        except (RuntimeError, ValueError, KeyError) as error:
            self.report.check(f"{name}: evaluate", False, f"{type(error).__name__}: {error}")
            return None

    def compare(self, engine, environment, model, folders):
        """Scores {name: folder} in a library and here, and reports weights and NLL of each."""
        if not folders:
            return
        tokens = self.tokens(model, "evaluation")
        try:
            results = environment.score(engine, folders.values(), tokens, model.length)
        except RuntimeError as error:
            self.report.check(f"{engine} {model.name}", False, str(error))
            return
        for name, folder in folders.items():
            result = results.get(folder, {"error": "the script ended before this folder"})
            if "error" in result:
                self.report.check(f"{name}: loads", False, result["error"])
                continue
            self.weights(name, result)
            ours = self.our_nll(name, folder, model)
            if ours is None:
                continue
            self.nll(name, ours, result["nll"], result["dtype"])
            if "nll_float32" in result and result["dtype"] != "float32":
                self.nll(f"{name}, in float32", ours, result["nll_float32"], "float32")

    def ready(self, *names):
        """Are these environments installed? The missing ones are reported as skipped."""
        missing = [name for name in names if not self.environments[name].installed]
        for name in missing:
            self.report.skip(name, f"could not be installed (.crosscheck/{name}.log)")
        return not missing

    # -- parts ---------------------------------------------------------------------------------

    def our_folders(self, all_cases):
        """{model name: {case name: folder}} of our quantizations."""
        folders = {}
        for case in all_cases:
            out = self.quantize(case)
            if out:
                folders.setdefault(case.model, {})[case.name] = out
        return folders

    def check_ours(self, engine, environment, all_cases):
        """Our folders of all cases in one library."""
        for model, folders in self.our_folders(all_cases).items():
            self.compare(engine, self.environments[environment], self.models[model], folders)

    def check_dense(self, packed_format):
        """The same run written dense holds the very weights that the packed folder decodes to."""
        # 8 significant bits of scale are exact in every format, so both runs take the same grid.
        pair = []
        for kind in (packed_format, cases.DENSE):
            case = cases.Case("babyllama", kind, 4, True, 32)
            model = self.models[case.model]
            out = self.work / f"dense-check-{packed_format}-{kind}"
            done = self.halftone.quantize(
                model.folder, out, *case.options(), "--set", "grid.scale_bits=8",
                *self.calibration(model))
            if done.returncode != 0:
                self.report.check(f"{case.name} as dense", False, last_line(done.stderr))
                return
            pair.append(out)
        result, = self.environments["ct"].run(HERE / "same_weights.py", *pair)
        self.report.check(f"{packed_format} w4 sym g32 decodes to the dense folder",
                          result["different"] == 0,
                          f"{result['linears']} linears, {result['different']} different")

    def part_ct(self):
        if self.ready("ct"):
            self.check_dense(cases.CT)
            self.check_ours("engine_ct", "ct", cases.COMPRESSED_TENSORS)

    def part_rotated(self):
        """transformers computes the original's function from rotated folders, as we do."""
        if not self.ready("ct"):
            return
        model = self.models["babyllama"]
        folders = {case.name: self.quantize(case) for case in cases.ROTATED}
        folders = {name: folder for name, folder in folders.items() if folder}
        results = self.environments["ct"].score(
            "engine_plain", [model.folder, *folders.values()], self.tokens(model, "evaluation"),
            model.length)
        original = results[model.folder]["nll_float32"]
        for name, folder in folders.items():
            if "error" in results[folder]:
                self.report.check(f"{name}: loads", False, results[folder]["error"])
                continue
            theirs = results[folder]["nll_float32"]
            gap = abs(theirs - original)
            self.report.check(f"{name}: the original's NLL", gap <= ROTATED_NLL_TOLERANCE,
                              f"original {original:.6f}, rotated {theirs:.6f} (transformers, "
                              f"float32), difference {gap:.1e} <= {ROTATED_NLL_TOLERANCE:.0e}")
            ours = self.our_nll(name, folder, model)
            if ours is not None:
                self.nll(name, ours, theirs, "float32")

    def part_gptq(self):
        if self.ready("ct", "gptq"):
            self.check_dense(cases.V2)
            self.check_ours("engine_gptq", "gptq", cases.GPTQ)

    def part_vllm(self):
        if not self.ready("ct", "vllm"):
            return
        for case in cases.VLLM:
            out = self.quantize(case)
            ours = self.our_nll(case.name, out, self.models[case.model]) if out else None
            if ours is not None:
                self.check_in_vllm(f"vllm {case.name}", out, self.models[case.model], ours)

    def check_in_vllm(self, name, folder, model, ours):
        """One folder in vLLM, which shows log-probabilities only."""
        try:
            results = self.environments["vllm"].score(
                "engine_vllm", [folder], self.tokens(model, "evaluation"), model.length)
        except RuntimeError as error:
            self.report.check(f"{name}: loads", False, str(error))
            return
        self.nll(name, ours, results[folder]["nll"], results[folder]["dtype"])

    def part_written(self):
        model = self.models["babyllama"]
        for environment in ("ct", "gptq"):
            if not self.ready("ct", environment):
                continue
            written = [item for item in cases.WRITTEN if item.environment == environment]
            folders = {item.name: self.work / item.name.replace(" ", "-") for item in written}
            for item in written:
                if not self.write(item, folders[item.name], model):
                    folders.pop(item.name)
            if written:
                self.compare(written[0].engine, self.environments[environment], model, folders)

    def write(self, item, out, model):
        """Lets a library quantize; False after reporting why it could not."""
        shutil.rmtree(out, ignore_errors=True)
        try:
            self.environments[item.environment].run(
                PEERS / item.script, model.folder, "--out", out, *item.options,
                "--tokens", self.tokens(model, "calibration"),
                "--sequences", CALIBRATION_SEQUENCES, "--length", model.length)
        except RuntimeError as error:
            self.report.check(f"{item.name}: the library writes it", False, str(error))
            return False
        return True

    def part_golden(self):
        model = self.models["babyllama"]
        for engine, names in cases.GOLDEN.items():
            environment = engine.removeprefix("engine_")
            if self.ready("ct", environment):
                folders = {f"golden {name}": self.stage(name, model) for name in names}
                self.compare(engine, self.environments[environment], model, folders)

    def stage(self, name, model):
        """A golden folder with the tokenizer beside it (GPTQModel wants one) and without the
        expected values (loaders take every *.safetensors of a folder)."""
        out = self.work / "golden" / name
        out.mkdir(parents=True, exist_ok=True)
        for file in ("config.json", "quantize_config.json", "model.safetensors"):
            if (self.data / "golden" / name / file).exists():
                shutil.copyfile(self.data / "golden" / name / file, out / file)
        shutil.copyfile(model.folder / "tokenizer.model", out / "tokenizer.model")
        return out

    def part_refused(self):
        if not self.ready("ct"):
            return
        for case in cases.REFUSED:
            model, out = self.models[case.model], self.work / ("refused-" + case.folder)
            shutil.rmtree(out, ignore_errors=True)
            done = self.halftone.quantize(model.folder, out, *case.options(),
                                          *self.calibration(model))
            # The words must be about formats, native among those that can: not some other error.
            holds = done.returncode == 1 and not out.exists() and "native" in done.stderr
            self.report.check(f"{case.name}: refused", holds,
                              f"status {done.returncode}: {last_line(done.stderr)}")


PARTS = {name.removeprefix("part_"): method for name, method in vars(Crosscheck).items()
         if name.startswith("part_")}
PARTS_WITHOUT_HALFTONE = ("written", "golden")


def parse_arguments():
    """Paths come from the environment, as everywhere in scripts/."""
    home = Path(os.environ.get("CROSSCHECK_HOME", ROOT / ".crosscheck"))
    data = Path(os.environ.get("HALFTONE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--halftone", type=Path,
                        default=os.environ.get("HALFTONE", ROOT / "build" / "halftone"))
    parser.add_argument("--home", type=Path, default=home)
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--smollm2", type=Path,
                        default=os.environ.get("SMOLLM2", home / "smollm2" / "hf"))
    parser.add_argument("--without-halftone", action="store_true",
                        help="check the decoders and the libraries alone")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.parts) - set(PARTS))
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    return arguments


def main():
    arguments = parse_arguments()
    if not arguments.without_halftone and not os.access(arguments.halftone, os.X_OK):
        sys.exit(f"crosscheck: no program at {arguments.halftone}; "
                 "run make build, or name it in HALFTONE")
    if not (arguments.data / "models").is_dir():
        sys.exit(f"crosscheck: no data at {arguments.data}; name it in HALFTONE_SHARED_DATA")
    every = PARTS_WITHOUT_HALFTONE if arguments.without_halftone else tuple(PARTS)
    crosscheck = Crosscheck(arguments)
    for part in arguments.parts or every:
        PARTS[part](crosscheck)
    return crosscheck.report.close()


if __name__ == "__main__":
    sys.exit(main())
