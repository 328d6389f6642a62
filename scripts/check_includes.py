#!/usr/bin/env python3
"""Checks who includes whom in src/ against the one table below (docs/architecture.md explains it)."""
import pathlib
import re
import sys

BELOW_PIPELINE = ["base", "checkpoint", "text", "model", "transform", "calibrate", "quantize", "kernels", "matrix", "format",
                  "evaluate", "report", "recipe", "task", "image"]
MAY_INCLUDE = {  # room -> rooms
    "base": [],
    "kernels": [],
    "matrix": ["kernels", "base"],
    "recipe": ["base"],
    "text": ["base"],
    "task": ["text", "base"],
    "image": ["base"],
    "report": ["base"],
    "checkpoint": ["kernels", "base"],
    "model": ["checkpoint", "matrix", "kernels", "base"],
    "transform": ["model", "matrix", "checkpoint", "base"],
    "calibrate": ["model", "matrix", "kernels", "base"],
    "quantize": ["matrix", "kernels", "base"],
    "format": ["quantize", "checkpoint", "kernels", "base"],
    "evaluate": ["model", "text", "kernels", "base"],
    "pipeline": BELOW_PIPELINE,
    "cli": BELOW_PIPELINE + ["pipeline"],
}
SINGLE_HEADERS = {  # plain structs through which rooms meet
    "calibrate": ["recipe/linear_recipe.h", "recipe/model_recipe.h", "recipe/held_out.h"],
    "quantize": ["calibrate/linear_statistics.h", "recipe/linear_recipe.h"],
    "format": ["recipe/linear_recipe.h"],
}
WITHOUT_TORCH = ["kernels", "base", "text", "image", "recipe", "task", "report"]
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')
PRINTS = re.compile(r"std::(cout|cerr|clog|exit|abort|quick_exit)|\b(printf|fprintf|puts|exit|abort|getenv)\s*\(")


def problems(src):
    for path in sorted(src.rglob("*")):
        if path.suffix not in (".h", ".cpp", ".cu", ".cuh"):
            continue
        room = path.relative_to(src).parts[0]
        if room not in MAY_INCLUDE:
            yield f"{path}: no such room '{room}' in the table"
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            where = f"{path}:{number}"
            include = INCLUDE.match(line)
            if include:
                target = include.group(2)
                other = target.split("/")[0]
                if target == "torch/torch.h":
                    yield f"{where}: torch/torch.h costs 20 s a file; ATen is enough"
                elif re.match(r"(ATen|c10|torch)/", target) and room in WITHOUT_TORCH:
                    yield f"{where}: {room}/ never includes torch"
                elif include.group(1) == '"' and other != room and other not in MAY_INCLUDE[room] \
                        and target not in SINGLE_HEADERS.get(room, []):
                    yield f"{where}: {room}/ may not include {target}"
            elif room != "cli" and PRINTS.search(line.split("//")[0]):
                yield f"{where}: only cli/ prints, exits or reads the environment"


def node_of(name):
    """What a ring is looked for among: the folders of a room, and each file that lies in the room itself."""
    parts = name.split("/")
    return "/".join(parts[:2])


def rings(src):
    """Rings between folders of one room, also by way of the room's own headers; one line for each."""
    edges = {}
    for path in sorted(src.rglob("*")):
        if path.suffix not in (".h", ".cpp", ".cu", ".cuh"):
            continue
        name = path.relative_to(src).as_posix()
        for line in path.read_text(encoding="utf-8").splitlines():
            include = INCLUDE.match(line)
            if include and include.group(1) == '"' and include.group(2).split("/")[0] == name.split("/")[0] \
                    and node_of(include.group(2)) != node_of(name):
                edges.setdefault(node_of(name), {})[node_of(include.group(2))] = name
    done = set()

    def walk(node, way):
        if node in way:
            return way[way.index(node):] + [node]
        if node in done:
            return None
        for after in sorted(edges.get(node, {})):
            ring = walk(after, way + [node])
            if ring:
                return ring
        done.add(node)
        return None

    for start in sorted(edges):
        ring = walk(start, [])
        if ring:
            yield " -> ".join(ring) + ": a ring; " + ", ".join(edges[a][b] for a, b in zip(ring, ring[1:])) + " include it"
            return


def main():
    src = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "src")
    found = list(problems(src)) + list(rings(src))
    print("\n".join(found) if found else "include rules hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
