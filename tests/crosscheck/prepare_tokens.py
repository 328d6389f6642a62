"""Writes token ids of a text as `.tokens` (little-endian int32) with the field's own tokenizers."""

import argparse
from pathlib import Path

import numpy as np


def encode(model, text):
    """Ids without special tokens, by tokenizer.model or tokenizer.json of the model's folder."""
    pieces = Path(model) / "tokenizer.model"
    if pieces.exists():
        from sentencepiece import SentencePieceProcessor
        return SentencePieceProcessor(model_file=str(pieces)).encode(text)
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(str(Path(model) / "tokenizer.json"))
    return tokenizer.encode(text, add_special_tokens=False).ids


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("out")
    parser.add_argument("--characters", help="BEGIN:END of the text, either may be missing")
    parser.add_argument("--tokens", type=int, help="keep the first N ids")
    arguments = parser.parse_args()
    with open(arguments.text, encoding="utf-8", newline="") as file:
        text = file.read()
    if arguments.characters:
        begin, end = (int(part) if part else None for part in arguments.characters.split(":"))
        text = text[begin:end]
    ids = encode(arguments.model, text)[:arguments.tokens]
    np.array(ids, dtype="<i4").tofile(arguments.out)
    print(f"{arguments.out}: {len(ids)} ids")


if __name__ == "__main__":
    main()
