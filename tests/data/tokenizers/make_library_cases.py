"""Writes library_cases.jsonl and library_splits.jsonl: what the tokenizers library (0.22.2) makes of small tokenizers
that use one part each, and of the hard texts cut by the well-known expressions.

    python3 make_library_cases.py TEXTS.jsonl        needs: pip install tokenizers==0.22.2

TEXTS.jsonl: the "text" fields of golden/tokenizers/gpt2.jsonl of the shared data.
"""
import json, os, sys
from tokenizers import Regex, Tokenizer, pre_tokenizers

HERE = os.path.dirname(os.path.abspath(__file__))
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
TIKTOKEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
            r"|\s*[\r\n]+|\s+(?!\S)|\s+")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
          r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def model(tokens, merges=(), **flags):
    return dict(type="BPE", vocab={t: i for i, t in enumerate(tokens)}, merges=[list(m) for m in merges], **flags)


def added(content, **flags):
    fields = dict(content=content, single_word=False, lstrip=False, rstrip=False, normalized=False, special=False)
    return fields | flags


def tokenizer(model, **parts):
    vocab = model["vocab"] if isinstance(model["vocab"], dict) else {text: id for id, (text, _) in enumerate(model["vocab"])}
    known = len(vocab)  # the library numbers new tokens on from there, whatever the file says
    for token in parts.get("added_tokens", []):
        token["id"] = vocab.get(token["content"], known)
        known += token["id"] == known
    empty = dict(version="1.0", truncation=None, padding=None, added_tokens=[], normalizer=None, pre_tokenizer=None,
                 post_processor=None, decoder=None)
    return empty | parts | dict(model=model)


def unigram(tokens, unk_id=0, **flags):
    return dict(type="Unigram", vocab=[list(token) for token in tokens], unk_id=unk_id, **flags)


BYTES = ["<0x%02X>" % b for b in range(256)]
LETTERS = list("abcdeABC ▁_-.,1234é\u0301\t\n")
ABC = model(LETTERS, unk_token=None)
SPM = model(["<unk>", "<s>", *BYTES, "▁", "a", "b", "▁a", "▁▁", "ab", "▁ab", "a▁", "a▁b", ">", "b>"],
            [("▁", "a"), ("a", "b"), ("▁", "ab"), ("▁a", "b"), ("▁", "▁"), ("a", "▁"), ("a▁", "b"), ("b", ">")],
            unk_token="<unk>", fuse_unk=True, byte_fallback=True)
UNK = model(["<unk>", "a", "b", "<0xC3>", "<0xA9>"], unk_token="<unk>")
SPM_NORMALIZER = dict(type="Sequence", normalizers=[
    dict(type="Prepend", prepend="▁"), dict(type="Replace", pattern=dict(String=" "), content="▁")])
SPM_DECODER = dict(type="Sequence", decoders=[
    dict(type="Replace", pattern=dict(String="▁"), content=" "), dict(type="ByteFallback"), dict(type="Fuse"),
    dict(type="Strip", content=" ", start=1, stop=0)])
BOS_EOS = dict(type="TemplateProcessing", single=[dict(SpecialToken=dict(id="<s>", type_id=0)),
               dict(Sequence=dict(id="A", type_id=0)), dict(SpecialToken=dict(id="</s>", type_id=0))], pair=[
               dict(Sequence=dict(id="A", type_id=0)), dict(Sequence=dict(id="B", type_id=0))],
               special_tokens={"<s>": dict(id="<s>", ids=[len(LETTERS)], tokens=["<s>"]),
                               "</s>": dict(id="</s>", ids=[len(LETTERS) + 1, len(LETTERS)], tokens=["</s>", "<s>"])})


PIECES = [("<unk>", 0.0), ("a", -3.0), ("b", -3.5), ("ab", -4.0), ("▁", -2.0), ("▁a", -4.5), ("▁ab", -5.5), ("c", -6.0), ("abc", -9.0),
          ("bc", -5.0), ("aa", -6.0), ("é", -7.0), (">", -8.0), ("x", -8.5)]


def split(pattern, behavior, invert=False, **kind):
    return dict(type="Split", pattern=kind or dict(Regex=pattern), behavior=behavior, invert=invert)


CASES = {
    "longest leftmost added token": tokenizer(ABC, added_tokens=[
        added("ab"), added("abc"), added("bc"), added("<s>", special=True)]),
    "added token takes spaces": tokenizer(ABC, added_tokens=[
        added("<l>", lstrip=True), added("<r>", rstrip=True), added("<b>", lstrip=True, rstrip=True)]),
    "added token is a single word": tokenizer(ABC, added_tokens=[added("ab", single_word=True)]),
    "normalized added token": tokenizer(ABC, normalizer=dict(type="NFC"), added_tokens=[
        added("e\u0301", normalized=True), added("a\u0301")]),
    "prepended added token": tokenizer(SPM, normalizer=SPM_NORMALIZER, decoder=SPM_DECODER, added_tokens=[
        added("<s>", special=True), added("ab", normalized=True)]),
    "sentencepiece": tokenizer(SPM, normalizer=SPM_NORMALIZER, decoder=SPM_DECODER),
    "unknown tokens": tokenizer(UNK),
    "fused unknown tokens": tokenizer(model(["<unk>", "a", "b", "<0xC3>", "<0xA9>"], unk_token="<unk>", fuse_unk=True)),
    "byte fallback without all bytes": tokenizer(
        model(["<unk>", "a", "b", "<0xC3>", "<0xA9>"], unk_token="<unk>", byte_fallback=True)),
    "fused byte fallback without all bytes": tokenizer(
        model(["<unk>", "a", "b", "<0xC3>", "<0xA9>"], unk_token="<unk>", byte_fallback=True, fuse_unk=True)),
    "no unknown token": tokenizer(model(["a", "b"])),
    "whole piece wins": tokenizer(model(["a", "b", "c", "ab", "bc", "abc"], [("b", "c")], ignore_merges=True),
                                  pre_tokenizer=split(" ", "Removed", String=" ")),
    "lowest rank first": tokenizer(model(["a", "b", "c", "ab", "bc", "abc"], [("b", "c"), ("a", "b"), ("ab", "c"), ("a", "bc")])),
    "ties to the left": tokenizer(model(["a", "aa", "aaa"], [("a", "a"), ("aa", "a")])),
    "metaspace always": tokenizer(SPM, pre_tokenizer=dict(type="Metaspace", replacement="▁", prepend_scheme="always", split=True),
                                  decoder=dict(type="Metaspace", replacement="▁", prepend_scheme="always", split=True),
                                  added_tokens=[added("<s>", special=True)]),
    "metaspace first": tokenizer(SPM, pre_tokenizer=dict(type="Metaspace", replacement="▁", prepend_scheme="first", split=False),
                                 decoder=dict(type="Metaspace", replacement="▁", prepend_scheme="first", split=False),
                                 added_tokens=[added("<s>", special=True)]),
    "metaspace never": tokenizer(SPM, pre_tokenizer=dict(type="Metaspace", replacement="▁", prepend_scheme="never", split=True),
                                 decoder=dict(type="Metaspace", replacement="▁", prepend_scheme="never", split=True)),
    "template": tokenizer(ABC, post_processor=BOS_EOS, added_tokens=[
        added("<s>", special=True), added("</s>", special=True)]),
    "template in a sequence": tokenizer(ABC, post_processor=dict(type="Sequence", processors=[
        dict(type="ByteLevel", add_prefix_space=True, trim_offsets=False, use_regex=True), BOS_EOS]), added_tokens=[
        added("<s>", special=True), added("</s>", special=True)]),
    "replace by an expression": tokenizer(ABC, normalizer=dict(type="Replace", pattern=dict(Regex=r"\s+"), content="_")),
    "strip": tokenizer(ABC, decoder=dict(type="Sequence", decoders=[
        dict(type="Fuse"), dict(type="Strip", content="a", start=2, stop=0)])),
    "compatibility forms": tokenizer(ABC, normalizer=dict(type="NFKC")),
}
UNIGRAMS = {
    "unigram": tokenizer(unigram(PIECES), normalizer=SPM_NORMALIZER, decoder=SPM_DECODER),
    "unigram with all bytes": tokenizer(unigram([*PIECES, *((byte, -20.0) for byte in BYTES)], byte_fallback=True),
                                        normalizer=SPM_NORMALIZER, decoder=SPM_DECODER),
    "unigram without all bytes": tokenizer(unigram([*PIECES, ("<0xC3>", -20.0)], byte_fallback=True)),
    "unigram in words": tokenizer(unigram(PIECES), added_tokens=[added("<s>", special=True)],
                                  pre_tokenizer=dict(type="Metaspace", replacement="▁", prepend_scheme="always", split=True),
                                  decoder=dict(type="Metaspace", replacement="▁", prepend_scheme="always", split=True)),
    "unigram of one score": tokenizer(unigram([("<unk>", 0.0), ("a", -1.0), ("b", -1.0), ("ab", -2.0), ("ba", -2.0), ("aa", -2.0)])),
}
CASES |= UNIGRAMS
for behavior in ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]:
    for invert in [False, True]:
        # the pieces show in the tokens: merges across a cut cannot happen
        pairs = model([*LETTERS, *(a + b for a in "abc -" for b in "abc -")], [(a, b) for a in "abc -" for b in "abc -"])
        CASES[f"split {behavior}{' inverted' if invert else ''}"] = tokenizer(
            pairs, pre_tokenizer=split(r"[ \-]", behavior, invert))
TEXTS = ["", "a", "ab", "abc", "abcabc ab", "xabx ab, ab_ _ab ab- 1ab éab ab", " <l> a <l>b", "a <r> b<r>  ", "a  <b>  <b> b",
         "<l><r>", "\t<l>\n<r>\n", "<s>ab</s>", " <s> ab", "ab<s>ab", "a b", "  a  b ", "a▁b", "▁ab", "aaaaa", "aaaaaaaaaa",
         "e\u0301é a\u0301á", "ééxé", "axéb", "xx", "xyéz\u4e16a", "a\nb", "\u2581", "a>b> a", "a-b--c  a- -b", "- a -", "--", "aabaac",
         "ﬁ ½ Ａ", "\U0001f44d\U0001f3fd", "<0x41>", "ba ab ba", "\xa0a\u2003b"]


def rows(name, description):
    """What is the same twice is written once: ids_special only where it is not ids, decoded_skipping likewise."""
    tok = Tokenizer.from_str(json.dumps(description))
    for text in TEXTS:
        if name.startswith("split") and not {" ", "-"} & set(text):
            continue
        ids, special = tok.encode(text, add_special_tokens=False).ids, tok.encode(text).ids
        decoded, skipping = tok.decode(ids, skip_special_tokens=False), tok.decode(special, skip_special_tokens=True)
        row = dict(text=text, ids=ids, decoded=decoded)
        if special != ids:
            row["ids_special"] = special
        if skipping != decoded:
            row["decoded_skipping"] = skipping
        yield row


def write(name, lines):
    with open(os.path.join(HERE, name), "w", encoding="utf-8", newline="") as out:
        for line in lines:
            out.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")


def splits():
    cuts = {"gpt2": pre_tokenizers.Split(Regex(GPT2), "isolated"),
            "llama3": pre_tokenizers.Split(Regex(TIKTOKEN % r"\p{N}{1,3}"), "isolated"),
            "qwen2": pre_tokenizers.Split(Regex(TIKTOKEN % r"\p{N}"), "isolated"),
            "tekken": pre_tokenizers.Split(Regex(TEKKEN), "isolated"),
            "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                               pre_tokenizers.Split(Regex(GPT2), "isolated")])}
    with open(sys.argv[1], encoding="utf-8") as golden:
        texts = [json.loads(line)["text"] for line in golden]
    for text in texts:
        if len(text) < 200:
            yield dict(text=text) | {name: [len(s.encode()) for s, _ in cut.pre_tokenize_str(text)] for name, cut in cuts.items()}


if __name__ == "__main__":
    write("library_cases.jsonl", (dict(name=name, tokenizer=t, rows=list(rows(name, t))) for name, t in CASES.items()))
    write("library_splits.jsonl", splits())
