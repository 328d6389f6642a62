#!/usr/bin/env python3
"""What Jinja itself writes for chat templates, set up as transformers does it: tests/data/chat_templates/cases.json.

    tests/crosscheck/chat_cases.py [FOLDER...]      folders of .jinja files; default: that of the cases

Needs jinja2 (made with 3.1.6). Every template is run with every conversation; `null` stands where it raises.
"""
import json
import pathlib
import sys

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

DATA = pathlib.Path(__file__).resolve().parents[1] / "data/chat_templates"
TURNS = [
    [["user", "Hello"]],
    [["system", " Be brief.\n"], ["user", "What is 2 + 2?"], ["assistant", "<think>easy</think>\n\n4 "], ["user", "\tThanks — naïve 猫!\n"]],
    [["user", "a"], ["assistant", "b"], ["user", "c"], ["assistant", "d"]],
    [["assistant", "first"], ["user", "{{ no }} {% tag %}"]],
    [["user", "one"], ["user", "two"]],
    [],
]


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, indent=None):
    return json.dumps(value, ensure_ascii=False, indent=indent)


def main():
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    cases = []
    for folder in map(pathlib.Path, sys.argv[1:] or [DATA]):
        for file in sorted(folder.glob("*.jinja")):
            text, written = file.read_bytes().decode(), []
            template = environment.from_string(text)
            for turns in TURNS:
                messages = [{"role": role, "content": content} for role, content in turns]
                try:
                    written.append(template.render(messages=messages, add_generation_prompt=True, bos_token="<s>", eos_token="</s>"))
                except Exception:  # whatever it is, the template cannot take these turns
                    written.append(None)
            cases.append({"name": file.stem, "template": text, "written": written})
    print(json.dumps({"turns": TURNS, "cases": cases}, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
