"""Three recipes, three sizes, one picture: what do bits cost?

    python examples/python/damage_against_size.py [FOLDER]     default: a folder of its own; there the picture ends up

Needs the module halftone (`make wheel`, or PYTHONPATH=python and HALFTONE_PROGRAM=build/halftone), and matplotlib for the
picture. The cells, which start with `# %%`, run one by one in editors that know them.
"""

# %% The model that comes with the project, and two halves of a text: one to learn from, one to measure on
import pathlib
import sys
import tempfile

import halftone

EXAMPLES = pathlib.Path(__file__).resolve().parents[1]
MODEL = EXAMPLES / "stories260K"
CALIBRATION = EXAMPLES / "tinystories-calibration.txt"
TEXT = EXAMPLES / "tinystories-evaluation.txt"
folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="halftone-"))
folder.mkdir(parents=True, exist_ok=True)

# %% Quantize: rounding alone, with errors compensated, and the recommended recipe
outputs = {}
for recipe in ("rtn", "gptq", "halftone"):
    measured = {} if recipe == "rtn" else {"calibration": CALIBRATION, "sequences": 32}
    for bits in (4, 3, 2):
        out = outputs[recipe, bits] = folder / f"{recipe}-{bits}bit"
        # 172 columns are no whole number of groups: of all formats only the native one holds such rows
        halftone.quantize(MODEL, out, recipe=recipe, bits=bits, group_size=64, format="native", overwrite=True, **measured)

# %% Compare: the first model is the reference of the others
rows = halftone.compare(MODEL, *outputs.values(), text=TEXT, windows=24)[1:]
table = {key: (row["bits_per_weight"]["quantized"], row["kl"]["mean"]) for key, row in zip(outputs, rows)}
print("recipe      bits a weight   KL to the unquantized model")
for (recipe, _), (stored, divergence) in table.items():
    print(f"{recipe:10} {stored:14.2f} {divergence:29.4f}")

# %% Plot
try:
    import matplotlib
except ImportError:
    print("no picture: matplotlib is not installed")
else:
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for recipe in dict.fromkeys(name for name, _ in table):
        axes.plot(*zip(*[point for key, point in table.items() if key[0] == recipe]), marker="o", label=recipe)
    axes.set(xlabel="stored bits a weight", ylabel="KL divergence, nats a token", yscale="log", title="stories260K: what do bits cost?")
    axes.legend()
    figure.savefig(folder / "damage_against_size.png", dpi=150)
    print(f"picture: {folder / 'damage_against_size.png'}")
