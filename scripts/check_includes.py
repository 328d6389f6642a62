#!/usr/bin/env python3
"""Checks who includes whom in src/ against the one table below (docs/architecture.md explains it)."""
import pathlib
import re
import sys

BELOW_PIPELINE = ["base", "checkpoint", "text", "model", "transform", "calibrate", "quantize", "kernels", "matrix", "format",
                  "evaluate", "report", "recipe"]
MAY_INCLUDE = {  # room -> rooms
    "base": [],
    "kernels": [],
    "matrix": ["kernels", "base"],
    "recipe": ["base"],
    "text": ["base"],
    "report": ["base"],
    "checkpoint": ["base"],
    "model": ["checkpoint", "matrix", "kernels", "base"],
    "transform": ["model", "matrix", "checkpoint", "base"],
    "calibrate": ["model", "matrix", "kernels", "base"],
    "quantize": ["matrix", "kernels", "base"],
    "format": ["quantize", "checkpoint", "base"],
    "evaluate": ["model", "text", "kernels", "base"],
    "pipeline": BELOW_PIPELINE,
    "cli": BELOW_PIPELINE + ["pipeline"],
}
SINGLE_HEADERS = {  # plain structs through which rooms meet
    "calibrate": ["recipe/linear_recipe.h", "recipe/model_recipe.h"],
    "quantize": ["calibrate/linear_statistics.h", "recipe/linear_recipe.h"],
    "format": ["recipe/linear_recipe.h"],
}
WITHOUT_TORCH = ["kernels", "base", "text", "recipe", "report"]
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
            include = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
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


def main():
    src = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "src")
    found = list(problems(src))
    print("\n".join(found) if found else "include rules hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
