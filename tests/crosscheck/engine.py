"""What the engines' scripts share: folders in, one JSON line a folder out."""
import argparse
import json

from scoring import read_windows


def run(check, description):
    """check(folder, windows) -> dictionary; what a library throws becomes its "error"."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--tokens", required=True)
    parser.add_argument("--length", type=int, required=True)
    arguments = parser.parse_args()
    windows = read_windows(arguments.tokens, arguments.length)
    for folder in arguments.folders:
        try:
            result = check(folder, windows)
        except Exception as error:  # whatever a library throws is the finding
            result = {"error": f"{type(error).__name__}: {error}"[:400]}
        print(json.dumps({"folder": folder, **result}), flush=True)


