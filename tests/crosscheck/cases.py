"""What is quantized and checked: models, grids and formats as tables."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Model:
    """A source model with the texts it is calibrated and scored on."""

    name: str
    folder: Path
    text: str           # below text/ of the shared data
    calibration: str    # characters BEGIN:END of the text
    evaluation: str     # characters BEGIN:END, disjoint from the calibration
    length: int
    windows: int

    @property
    def present(self):
        return (self.folder / "config.json").exists()


def models(data, smollm2):
    """{name: Model}. The windows of SmolLM2 are short: vLLM scores it in bfloat16 on two cores."""
    stories = ("tinystories-sample.txt", "0:1000000", "1000000:1040000")
    return {
        "babyllama": Model("babyllama", data / "models/babyllama_tok105/hf", *stories, 256, 16),
        "stories260K": Model("stories260K", data / "models/stories260K/hf", *stories, 256, 16),
        "smollm2": Model("smollm2", smollm2, "wikitext2-test.raw.txt", "600000:", ":60000", 512, 8),
    }


@dataclass(frozen=True)
class Case:
    """One quantization of ours."""

    model: str
    format: str
    bits: int
    symmetric: bool
    group_size: int  # 0 = one group per row
    recipe: str = "gptq"
    settings: tuple = ()  # of --set

    @property
    def name(self):
        sign = "sym" if self.symmetric else "asym"
        group = f"g{self.group_size}" if self.group_size else "channel"
        settings = "".join(f" {setting}" for setting in self.settings)
        return f"{self.format} {self.model} {self.recipe} w{self.bits} {sign} {group}{settings}"

    @property
    def folder(self):
        return self.name.replace(" ", "-")

    def options(self):
        """Arguments of `halftone quantize` without the calibration."""
        return ["--recipe", self.recipe, "--format", self.format, "--bits", self.bits,
                "--group-size", self.group_size,
                "--set", f"grid.symmetric={'true' if self.symmetric else 'false'}",
                *(word for setting in self.settings for word in ("--set", setting))]


CT, V1, V2, DENSE = "compressed-tensors", "gptq", "gptq_v2", "dense"
BOTH_SIGNS = (True, False)

COMPRESSED_TENSORS = (
    # 3 bits is written because the format is asked for by name (formats.md 5).
    [Case("babyllama", CT, bits, sym, group)
     for bits in (2, 3, 4, 8) for sym in BOTH_SIGNS for group in (32, 0)]
    # 172 rows and columns fill no whole number of words: padding on both sides of the packing.
    + [Case("stories260K", CT, bits, sym, 0) for bits in (2, 4, 8) for sym in BOTH_SIGNS]
    + [Case("babyllama", CT, 4, False, 32, "rtn"), Case("smollm2", CT, 4, False, 64, "rtn")]
    # rotated: untied heads, and with `halftone` pre-shifted weights
    + [Case("babyllama", CT, 4, False, 32, "halftone"),
       Case("babyllama", CT, 4, True, 32, "quarot-gptq")]
)

# Rotated models as ordinary folders: 8 bits in small groups, so that what is left is the rotation.
QUAROT, ONLINE = "transform.rotation=quarot", "transform.online=true"
ROTATED = [Case("babyllama", DENSE, 8, False, 16, "rtn", (QUAROT,)),
           Case("babyllama", DENSE, 8, False, 16, "rtn", (QUAROT, ONLINE))]

# babyllama has 352 = 5.5 x 64 columns: a shorter last group.
GPTQ = (
    [Case("babyllama", V1, bits, True, group) for bits in (4, 8) for group in (32, 64, 0)]
    + [Case("babyllama", V1, 4, False, 32), Case("babyllama", V1, 2, True, 32)]
    + [Case("babyllama", V2, bits, sym, 32) for bits in (2, 3, 4, 8) for sym in BOTH_SIGNS]
    + [Case("babyllama", V2, 3, False, group) for group in (64, 0)]
)

# vLLM on a CPU: 4 bits only; its attention needs heads of 32 or more, which leaves SmolLM2.
VLLM = [Case("smollm2", CT, 4, True, 64, "rtn"), Case("smollm2", CT, 4, False, 32, "rtn"),
        Case("smollm2", CT, 4, True, 0, "rtn"), Case("smollm2", V1, 4, True, 64, "rtn"),
        # rotated, with an untied head
        Case("smollm2", CT, 4, False, 64, "halftone"), Case("smollm2", CT, 4, True, 64, "quarot-gptq")]

# No format of that name can hold these: refused before any work, nothing left behind.
REFUSED = [Case("babyllama", CT, 4, True, 64), Case("stories260K", CT, 4, True, 32),
           Case("stories260K", V1, 4, True, 0), Case("babyllama", V1, 3, True, 32)]


@dataclass(frozen=True)
class Written:
    """A folder that a library writes from babyllama, by one of the scripts in bench/peers."""

    environment: str
    script: str
    engine: str
    name: str
    options: tuple


def written_by_llmcompressor(name, *options):
    return Written("ct", "quantize_llmcompressor.py", "engine_ct", f"llm-compressor {name}",
                   options)


def written_by_gptqmodel(name, *options):
    return Written("gptq", "quantize_gptqmodel.py", "engine_gptq", f"GPTQModel {name}", options)


WRITTEN = [
    written_by_llmcompressor("rtn w4 sym g32", "--method", "rtn", "--group-size", 32),
    written_by_llmcompressor("rtn w3 asym g32", "--method", "rtn", "--bits", 3, "--group-size", 32,
                             "--asymmetric"),
    written_by_llmcompressor("rtn w8 asym channel bfloat16", "--method", "rtn", "--bits", 8,
                             "--group-size", 0, "--asymmetric", "--dtype", "bfloat16"),
    written_by_llmcompressor("gptq w4 asym g32 actorder weight", "--group-size", 32, "--asymmetric",
                             "--activation-order"),
    written_by_gptqmodel("w4 sym g32 v1", "--group-size", 32, "--dtype", "float16"),
    written_by_gptqmodel("w4 sym g32 v1 act-order", "--group-size", 32, "--activation-order",
                         "--dtype", "float16"),
    written_by_gptqmodel("w2 asym g32 v2", "--bits", 2, "--group-size", 32, "--asymmetric",
                         "--format", "gptq_v2", "--dtype", "float16"),
    written_by_gptqmodel("w3 asym g64 v2", "--bits", 3, "--group-size", 64, "--asymmetric",
                         "--format", "gptq_v2", "--dtype", "float16"),
    written_by_gptqmodel("w8 sym channel v1", "--bits", 8, "--group-size", 0, "--dtype", "float16"),
]

# Folders below golden/ that the libraries' earlier releases wrote. gptq/w3g32_sym_v1 is not among
# them: its zero points are damaged, and readers differ on purpose (formats.md 4).
GOLDEN = {
    "engine_ct": [f"compressed_tensors/{name}" for name in (
        "w2g32_sym", "w3g32_sym", "w4channel_sym", "w4g32_asym", "w4g32_sym", "w8g32_sym")],
    "engine_gptq": [f"gptq/{name}" for name in (
        "w2g32_sym_v1", "w4g32_asym_v2", "w4g32_sym_actorder_v1", "w4g32_sym_v1", "w4g32_sym_v2",
        "w8g32_sym_v1")],
}
