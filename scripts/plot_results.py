#!/usr/bin/env python3
"""Draws KL against size from the table "Damage against size" of docs/results.md into docs/kl.svg (nothing but Python is needed).

    scripts/plot_results.py
"""
import math
import pathlib

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
# A row is called SERIES, WHICH: what is drawn as one line, who loads it.
SERIES = {"gptq": ("#b35806", "gptq (GPTQModel)"), "halftone": ("#2166ac", "halftone (transformers)"),
          "halftone-tied": ("#67a9cf", "halftone-tied (GPTQModel)"), "GGUF": ("#1b7837", "halftone-tied as GGUF (llama.cpp)"), "qep-spqr": ("#e08214", "qep-spqr (Halftone)"),
          "trellis": ("#762a83", "trellis (Halftone)"),
          "trellis with its embedding": ("#9970ab", "trellis, embedding too (Halftone)")}
WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 56, 24, 34, 44
FONT = 'font-family="sans-serif" font-size="12" fill="#333"'
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


def points():
    """{series: [(MiB, KL, row), ...]} of the table's rows."""
    section = (DOCS / "results.md").read_text(encoding="utf-8").split("### Damage against size\n")[1].split("\n### ")[0]
    found = {name: [] for name in SERIES}
    for line in section.splitlines():
        cells = [cell.strip(" *") for cell in line.split("|")]
        name = cells[1].split(",")[0] if len(cells) > 6 else ""
        if name in found:
            found[name].append((float(cells[3]), float(cells[5].split()[0]), cells[1]))
    return {name: sorted(rows) for name, rows in found.items() if rows}


FOUND = points()
SIZES = [size for rows in FOUND.values() for size, _, _ in rows]
KLS = [kl for rows in FOUND.values() for _, kl, _ in rows]
SIZE_RANGE = (min(SIZES) - 6, max(SIZES) + 10)
KL_RANGE = (min(KLS) / 1.4, max(KLS) * 1.4)


def x_of(size):
    return LEFT + (size - SIZE_RANGE[0]) / (SIZE_RANGE[1] - SIZE_RANGE[0]) * (WIDTH - LEFT - RIGHT)


def y_of(kl):
    return TOP + math.log(KL_RANGE[1] / kl) / math.log(KL_RANGE[1] / KL_RANGE[0]) * (HEIGHT - TOP - BOTTOM)


def text(x, y, words, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" {FONT} {more}>{words}</text>'


def axes():
    for kl in TICKS:
        if not KL_RANGE[0] < kl < KL_RANGE[1]:
            continue
        yield f'<line x1="{LEFT}" y1="{y_of(kl):.1f}" x2="{WIDTH - RIGHT}" y2="{y_of(kl):.1f}" stroke="#ddd"/>'
        yield text(LEFT - 8, y_of(kl) + 4, f"{kl:g}", 'text-anchor="end"')
    for size in range(math.ceil(SIZE_RANGE[0] / 20) * 20, math.floor(SIZE_RANGE[1]) + 1, 20):
        yield text(x_of(size), HEIGHT - BOTTOM + 18, str(size), 'text-anchor="middle"')
    yield f'<line x1="{LEFT}" y1="{HEIGHT - BOTTOM}" x2="{WIDTH - RIGHT}" y2="{HEIGHT - BOTTOM}" stroke="#333"/>'
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "MiB, embedding and head included", 'text-anchor="middle"')
    yield text(LEFT - 40, 20, "KL to full precision, nats a token (SmolLM2-135M, held-out C4); lower is better")


def line_of(name, rows, number):
    colour, label = SERIES[name]
    places = [(x_of(size), y_of(kl)) for size, kl, _ in rows]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for (x, y), (size, kl, row) in zip(places, rows):
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"><title>{row}: {size} MiB, {kl}</title></circle>'
    y = HEIGHT - BOTTOM - 14 - 17 * (len(FOUND) - 1 - number)
    yield f'<circle cx="{WIDTH - 236}" cy="{y - 4}" r="4" fill="{colour}"/>'
    yield text(WIDTH - 226, y, label, f'style="fill:{colour}"')


def main():
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', *axes()]
    for number, (name, rows) in enumerate(FOUND.items()):
        parts += line_of(name, rows, number)
    (DOCS / "kl.svg").write_text("\n".join(parts + ["</svg>", ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
