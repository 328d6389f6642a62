#!/usr/bin/env python3
"""Checks that every page, section and step that a comment or a page cites is there.

A reference is a page's name, then numbers of sections or a title, then items of a list or words of the last section:

    methods.md 7.6                           formats.md "One bit stream"
    methods.md 2.5, 4.1 and 7.2              methods.md 7.1, "refit reads the block copy"
    methods.md 11, identities 4-9 and 12     methods.md 5.1, step A

Pages lie in docs/; others are cited by path. Links of the pages ([text](page.md#heading)) are checked as well.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CODE = {".h", ".cpp", ".cu", ".cuh"}  # only their comments are read; of the others everything
OTHER = {".py", ".sh", ".toml", ".cmake", ".md", ".txt", ""}
SKIPPED = ("tests/data/", "examples/", "LICENSE")

NUMBER = r"\d+(?:\.\d+)*"
ITEM = r"(?:\d+(?:-\d+)?|[A-Z]\b)"
JOIN = r"(?:,? and |, )"
REFERENCE = re.compile(
    rf"(?P<page>[\w./-]*\w\.md)\b"
    rf"(?:,? \"(?P<title>[^\"]+)\"|,? (?P<sections>{NUMBER}(?:{JOIN}{NUMBER})*)"
    rf"(?:, (?:identity|identities|steps?) (?P<items>{ITEM}(?:{JOIN}{ITEM})*)|, \"(?P<words>[^\"]+)\")?)?")
NAMELESS = re.compile(rf"\b(METHODS|FORMATS|INTERFACE|EVALUATION|HOUSE|ARCHITECTURE)\b(?=,? (?:{NUMBER}|\")|[):.])")
LINK = re.compile(r"\]\((?!\w+:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")


class Page:
    """The headings of a page and what stands below each."""

    def __init__(self, path):
        self.sections, self.titles, self.anchors = {}, set(), set()
        text, below = path.read_text(encoding="utf-8"), []
        fenced = False
        for line in text.splitlines():
            fenced ^= line.startswith("```")
            heading = None if fenced else re.match(rf"#+ (?:({NUMBER})\.? )?(.*)", line)
            if not heading:
                below.append(line)
                continue
            below = []
            number, title = heading.groups()
            self.titles.add(title.lower())
            self.sections[number] = below
            self.anchors.add(re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-"))

    def items(self, section):
        return {match.group(1) for line in self.sections[section] if (match := re.match(r"\s*(\d+|[A-Z])\. ", line))}

    def words(self, section):
        return " ".join(" ".join(self.sections[section]).split()).lower()


def pages():
    known = {}

    def page(path):
        if path not in known:
            known[path] = Page(path)
        return known[path]
    return page


def texts(path):
    """(first line, text) for each stretch that a reference may span, line ends and comment marks as one space."""
    lines = path.read_text(encoding="utf-8").splitlines()
    first, words = 1, []
    for number, line in enumerate(lines, 1):
        code = path.suffix in CODE
        comment = re.search(r"//+ ?(.*)", line) if code else re.match(r"\s*(?:#|//)?\s?(.*)", line)
        begins = code and (not comment or line[:comment.start()].strip())
        if begins and words:
            yield first, words
            words = []
        if not words:
            first = number
        words.append(comment.group(1) if comment else "")
    yield first, words


def expanded(items):
    for item in re.findall(ITEM, items):
        low, _, high = item.partition("-")
        yield from (str(i) for i in range(int(low), int(high) + 1)) if high else [item]


def find_page(name, citing):
    for base in (ROOT / "docs", citing.parent, ROOT):
        if (base / name).is_file():
            return (base / name).resolve()
    return None


def missing(reference, page):
    """What of a reference its page does not have."""
    title, sections, items, words = reference.group("title", "sections", "items", "words")
    if title and title.lower() not in page.titles:
        yield f'has no heading "{title}"'
    numbers = re.findall(NUMBER, sections or "")
    absent = [number for number in numbers if number not in page.sections]
    yield from (f"has no section {number}" for number in absent)
    if not numbers or absent:
        return
    if items:
        have = page.items(numbers[-1])
        yield from (f"{numbers[-1]} has no item {item}" for item in expanded(items) if item not in have)
    if words and words.lower() not in page.words(numbers[-1]):
        yield f'{numbers[-1]} does not say "{words}"'


def problems_of(path, page):
    for first, lines in texts(path):
        text = " ".join(line.strip() for line in lines)
        starts, at = [], 0
        for line in lines:
            starts.append(at)
            at += len(line.strip()) + 1

        def where(match):
            return f"{path.relative_to(ROOT)}:{first + sum(start <= match.start() for start in starts) - 1}"

        if "CMake" not in path.name and path.suffix != ".cmake":
            for match in NAMELESS.finditer(text):
                yield f"{where(match)}: {match.group(1)} is no page of this repository; cite docs/: {match.group(1).lower()}.md N"
        for match in REFERENCE.finditer(text):
            target = find_page(match.group("page").removeprefix("docs/"), path) or find_page(match.group("page"), path)
            if target is None:
                yield f"{where(match)}: {match.group('page')}: there is no such page"
                continue
            yield from (f"{where(match)}: {match.group('page')} {what}" for what in missing(match, page(target)))
        for match in LINK.finditer(text) if path.suffix == ".md" else ():
            target = (path.parent / match.group("path")).resolve() if match.group("path") else path
            if not target.exists():
                yield f"{where(match)}: link to {match.group('path')}: there is no such file"
            elif match.group("anchor") and match.group("anchor") not in page(target).anchors:
                yield f"{where(match)}: link to {match.group('path')}#{match.group('anchor')}: no such heading"


def main():
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"],
                            check=True, capture_output=True, text=True).stdout.splitlines()
    page, found, own = pages(), [], pathlib.Path(__file__).resolve()
    for name in listed:
        path = ROOT / name
        if path.is_file() and path.suffix in CODE | OTHER and not name.startswith(SKIPPED) and path != own:
            found += problems_of(path, page)
    print("\n".join(found) if found else "references hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
