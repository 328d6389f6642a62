#!/usr/bin/env python3
"""Writes tests/data/generate/greedy.json: what transformers generates greedily behind a few tokens, with its cache.

    tests/crosscheck/greedy_tokens.py [DIR]     DIR: the zoo of shared data (default ../shared/data/models/zoo)

Needs transformers and torch. Of every model the tokens of each prompt and those behind it, cut where the likeliest token is no more than
MARGIN ahead of the next: there rounding decides.
"""
import json
import pathlib
import sys

import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[2]
MARGIN, NEW_TOKENS = 1e-3, 48


def prompts(vocab, context):
    short = [(3 + 5 * i) % vocab for i in range(min(7, context // 4))]
    long = [(11 + 7 * i * i + 3 * i) % vocab for i in range(min(90, context // 2))]
    return [short, long]


def greedy(model, ids, count):
    out = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=False,
                         max_new_tokens=count, min_new_tokens=count, eos_token_id=None, pad_token_id=0, return_dict_in_generate=True,
                         output_logits=True)
    new = out.sequences[0, len(ids):].tolist()
    for at, logits in enumerate(out.logits):
        best = logits[0].float().topk(2).values
        if (best[0] - best[1]).item() <= MARGIN:
            return new[:at]
    return new


def main():
    zoo = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared/data/models/zoo"
    folders = {"stories260K": ROOT / "examples/stories260K"}
    folders |= {name: ROOT / "tests/data/forward" / name for name in ("qwen2", "smollm3", "phi3_longrope")}
    folders |= {f"zoo/{folder.name}": folder for folder in sorted(zoo.iterdir())
                if (folder / "config.json").exists() and "ForCausalLM" in (folder / "config.json").read_text()
                or (folder / "config.json").exists() and "LMHeadModel" in (folder / "config.json").read_text()}
    models = {}
    for name, folder in folders.items():
        config = transformers.AutoConfig.from_pretrained(folder)
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        context = getattr(config, "max_position_embeddings", None) or config.n_positions
        rows = []
        for ids in prompts(config.vocab_size, context):
            count = min(NEW_TOKENS, context - len(ids))
            rows.append({"prompt": ids, "greedy": greedy(model, ids, count)})
        models[name] = rows
        print(name, [len(row["greedy"]) for row in rows])
    out = {"made_by": f"transformers {transformers.__version__}, torch {torch.__version__}, float32, eager attention", "models": models}
    text = json.dumps(out).replace('"zoo/', '\n"zoo/').replace('{"prompt"', '\n{"prompt"') + "\n"
    path = ROOT / "tests/data/generate/greedy.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    with torch.no_grad():
        main()
