#!/usr/bin/env python3
"""Task scores of lm-evaluation-harness beside ours, on the same files: prompts, log-likelihoods, decisions, time.

    PYTHON tests/crosscheck/harness_tasks.py MODEL --data DIR [--tasks LIST] [--limit N] [--shots N] [--batch N]

PYTHON has lm_eval 0.4.13, transformers and torch; MODEL is a Hugging Face folder; DIR holds the data files as our tasks name them
(HellaSwag with its published fields). Both run in float32. With --shots the examples come from the training files there. Exit
status 1 if a log-likelihood is off by more than 1e-3 or a decision differs; items whose two best choices are nearer than 1e-4
are listed and may differ.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("HALFTONE", str(ROOT / "build/halftone"))
TOLERANCE, MARGIN = 1e-3, 1e-4


def multiple_choice(text, choices, target):
    return {"doc_to_text": text, "doc_to_choice": choices, "doc_to_target": target}


def hellaswag_rows(dataset):
    from lm_eval.tasks.hellaswag.utils import process_docs
    return process_docs(dataset)


def winogrande():
    blank = lambda doc: doc["sentence"].index("_")
    return {"doc_to_text": lambda doc: {"1": 0, "2": 1}[doc["answer"]],
            "doc_to_target": lambda doc: doc["sentence"][blank(doc) + 1:].strip(),
            "doc_to_choice": lambda doc: [doc["sentence"][:blank(doc)] + doc[name] for name in ("option1", "option2")]}


ARC = multiple_choice("Question: {{question}}\nAnswer:", "{{choices}}", "{{gold}}")
TASKS = {  # name -> file, training file, whether it is a test split, the rest of the harness's configuration
    "piqa": ("piqa_valid.jsonl", "piqa_train.jsonl", False,
             multiple_choice("Question: {{goal}}\nAnswer:", "{{[sol1, sol2]}}", "label")),
    "winogrande": ("winogrande_dev.jsonl", "winogrande_train.jsonl", False, winogrande()),
    "arc_easy": ("arc_easy_test.jsonl", "arc_easy_train.jsonl", True, ARC),
    "arc_challenge": ("arc_challenge_test.jsonl", "arc_challenge_train.jsonl", True, ARC),
    "hellaswag": ("hellaswag_val.jsonl", "hellaswag_train.jsonl", False,
                  dict(multiple_choice("{{query}}", "choices", "{{label}}"), process_docs=hellaswag_rows)),
}


def rows_with_labels(path):
    """PIQA's labels lie in a file beside; the harness wants them inside."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    labels = path.with_name(path.stem + "_labels.lst")
    if labels.exists():
        for row, label in zip(rows, labels.read_text().split()):
            row["label"] = int(label)
    return rows


def configuration(name, data, folder, shots):
    file, train, is_test, rest = TASKS[name]
    files = {"test" if is_test else "validation": file}
    if shots:
        files["train"] = train
    for split, source in files.items():
        rows = rows_with_labels(data / source)
        (folder / f"{name}_{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    paths = {split: str(folder / f"{name}_{split}.jsonl") for split in files}
    return {"task": name, "dataset_path": "json", "dataset_kwargs": {"data_files": paths}, "output_type": "multiple_choice",
            **{split + "_split" if split != "train" else "training_split": split for split in files},
            "metric_list": [{"metric": metric} for metric in (["acc"] if name == "winogrande" else ["acc", "acc_norm"])], **rest}


def harness(args, folder):
    import lm_eval
    tasks = [configuration(name, args.data, folder, args.shots) for name in args.tasks]
    model = {"pretrained": args.model, "dtype": "float32"}
    start = time.time()
    results = lm_eval.simple_evaluate(model="hf", model_args=model, tasks=tasks, num_fewshot=args.shots, limit=args.limit,
                                      batch_size=args.batch, device="cpu", log_samples=True, bootstrap_iters=0)
    return results["samples"], time.time() - start


def ours(args, folder):
    start = time.time()
    subprocess.run([PROGRAM, "evaluate", args.model, "--tasks", ",".join(args.tasks), "--task-data", args.data, "--limit",
                    str(args.limit), "--shots", str(args.shots), "--items", folder / "items.jsonl"], check=True)
    lines = [json.loads(line) for line in (folder / "items.jsonl").read_text(encoding="utf-8").splitlines()]
    return {(line["task"], line["index"]): line for line in lines}, time.time() - start


def compare(name, samples, items):
    largest, beyond, near, differing = 0.0, 0, [], 0
    for sample in samples:
        item = items[name, sample["doc_id"]]
        theirs = [float(response[0]) for response in sample["filtered_resps"]]
        difference = max(abs(a - b) for a, b in zip(item["loglikelihoods"], theirs, strict=True))
        largest, beyond = max(largest, difference), beyond + (difference > MARGIN)
        best = sorted(theirs)[-2:]
        if best[1] - best[0] < MARGIN:
            near.append(sample["doc_id"])
        elif any(metric in item and item[metric] != sample[metric] for metric in ("acc", "acc_norm")):
            differing += 1
    print(f"{name:14} {len(samples)} items, largest difference {largest:.2e} ({beyond} above {MARGIN}), decisions that differ "
          f"{differing}, items without a clear best choice {near}")
    return largest <= TOLERANCE and differing == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--tasks", type=lambda text: text.split(","), default=list(TASKS))
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--shots", type=int, default=0)
    parser.add_argument("--batch", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        items, our_seconds = ours(args, folder)
        samples, their_seconds = harness(args, folder)
        good = [compare(task, samples[task], items) for task in args.tasks]
    print(f"halftone {our_seconds:.0f} s, lm-evaluation-harness {their_seconds:.0f} s (batch {args.batch})")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
