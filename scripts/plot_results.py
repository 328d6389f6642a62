#!/usr/bin/env python3
"""Draws KL against bits per weight from the first table of docs/results.md into docs/kl.svg (nothing but Python is needed).

    scripts/plot_results.py
"""
import math
import pathlib
import re

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
COLOURS = {"rtn": "#6e6e6e", "gptq": "#b35806", "halftone": "#2166ac"}
WIDTH, HEIGHT = 560, 330
LEFT, RIGHT, TOP, BOTTOM = 56, 92, 34, 44
BITS, KL = (2.1, 4.5), (0.05, 15)
FONT = 'font-family="sans-serif" font-size="12" fill="#333"'


def points():
    """{recipe: [(bits, KL), ...]} of the rows `NAME` N bits."""
    table = (DOCS / "results.md").read_text(encoding="utf-8").split("| recipe | bits | WikiText-2 |")[1].split("\n\n")[0]
    found = {}
    for line in table.splitlines():
        cells = [cell.strip(" *") for cell in line.split("|")]
        row = re.fullmatch(r"`(\w+)` \d bits", cells[1]) if len(cells) > 5 else None
        if row and row.group(1) in COLOURS:
            found.setdefault(row.group(1), []).append((float(cells[2]), float(cells[5].split()[0])))
    return {name: sorted(found[name]) for name in COLOURS}


def x_of(bits):
    return LEFT + (bits - BITS[0]) / (BITS[1] - BITS[0]) * (WIDTH - LEFT - RIGHT)


def y_of(kl):
    return TOP + math.log(KL[1] / kl) / math.log(KL[1] / KL[0]) * (HEIGHT - TOP - BOTTOM)


def text(x, y, words, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" {FONT} {more}>{words}</text>'


def axes():
    for kl in (0.1, 0.3, 1, 3, 10):
        yield f'<line x1="{LEFT}" y1="{y_of(kl):.1f}" x2="{WIDTH - RIGHT}" y2="{y_of(kl):.1f}" stroke="#ddd"/>'
        yield text(LEFT - 8, y_of(kl) + 4, f"{kl:g}", 'text-anchor="end"')
    for bits in (2.5, 3, 3.5, 4):
        yield text(x_of(bits), HEIGHT - BOTTOM + 18, f"{bits:g}", 'text-anchor="middle"')
    yield f'<line x1="{LEFT}" y1="{HEIGHT - BOTTOM}" x2="{WIDTH - RIGHT}" y2="{HEIGHT - BOTTOM}" stroke="#333"/>'
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "bits per weight", 'text-anchor="middle"')
    yield text(LEFT - 40, 20, "KL to full precision, nats a token (SmolLM2-135M, held-out C4); lower is better")


def line_of(name, values):
    places = [(x_of(bits), y_of(kl)) for bits, kl in values]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{path}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>'
    for (x, y), (bits, kl) in zip(places, values):
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS[name]}"><title>{name}, {bits} bits: {kl}</title></circle>'
    yield text(places[-1][0] + 10, places[-1][1] + 4, name, f'style="fill:{COLOURS[name]};font-weight:bold"')


def main():
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', *axes()]
    for name, values in points().items():
        parts += line_of(name, values)
    (DOCS / "kl.svg").write_text("\n".join(parts + ["</svg>", ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
