"""Writes library_expressions.jsonl (where the tokenizers library cuts a text at a regular expression, or that it refuses
the expression) and library_classes.json (the characters below U+3000 of each named class, as ranges).

    python3 make_library_expressions.py        needs: pip install tokenizers==0.22.2 (0.23.3 gives the same)
"""
import json, os
from tokenizers import Regex, normalizers, pre_tokenizers

HERE = os.path.dirname(os.path.abspath(__file__))
DIFFERENT = [  # each alone, on a text that shows what it means
    (r"[^\s]+$", "a\nb"), (r"a$", "a\r\n"), ("$", "a\nb"), (r"\n$", "a\n\n"), ("^b", "a\nb"), ("\n^", "a\n"), ("^a|^b", "ab\nb"),
    (r"\s+$", "a  \n  b \n"), (r"a.", "a\ra\u2028a\x85a\n"), ("(?m)a.", "a\n"), ("(?m:a.)b.", "a\nb\n"), ("(?im)A.", "a\n"), ("(?-m:a.)", "a\na"),
    (r"\w+", "½a½ a\u200db \u00b2x"), (r"\W+", "½a\u200d½!"), (r"[^\W]+", "a½b"), (r"[\w']+", "don't ½"), (r"[\W]+", "a½b"), (r"[\p{Word}]+", "a½b"), (r"a\b", "a½ a!"), (r"(?i)[\p{Lu}]+", "aA"), (r"\h+", "a z\tF"), (r"\H+", "az \t"),
    (r"[\h]+", "a z"), (r"\v", "a\x0ba\x0c"), (r"[\v]", "a\x0ba\x0c"), (r"[[:punct:]]+", "a+!=$b"), (r"[^[:punct:]]+", "a+!b"), (r"[[:^punct:]]+", "a!+"),
    (r"\p{Punct}+", "a+!"), (r"\p{^Punct}+", "a+!"), (r"\P{^Punct}+", "a+!"), (r"[[:alnum:]]+", "a\u0301b1½"), (r"[[:alpha:]]+", "a\u0301b1"),
    (r"[[:word:]]+", "a\u0301½_²"), (r"\p{Word}+", "a\u0301½_²"), (r"[[:xdigit:]]+", "aFg０１"), (r"\p{XDigit}+", "aFg０１"), (r"[[:cntrl:]]+", "a\u00ad\x01"),
    (r"[[:graph:]]+", "a b\u2028"), (r"[[:print:]]+", "a b\u2028\n"), (r"[[:blank:]]+", "a \t\n\u3000"), (r"[[:ascii:]]+", "aé"), (r"[a-z[:digit:]]+", "a1B"),
    ("a{2,3}+b", "aaaaaaab"), ("a{2,3}+a", "aaaa"), ("a{2}+", "aaaaa"), ("a{2}?b", "ab"), ("a{2}?b", "aaab"), ("a{,2}", "aaaaa"), ("a{2,3}?", "aaaaaa"),
    ("x{2,3}+?y", "xxxxxy"), ("(?:a|b){2,}+c", "ababc"), (r"\p{Nd}{1,3}+", "1234567"), ("[ab]{2}+c", "ababac"), ("a**b", "aab"), ("a+*b", "aab"), ("a{2}{2}", "aaaaa"),
    ("a{b}", "a{b}a"), ("a{", "a{a"), ("a}", "a}a"), ("a]", "a]a"), ("[]a]+", "]ab"), ("[a-]+", "a-b"), ("[-a]+", "a-b"), ("[a-c-e]+", "abd-e"),
    ("[a&b]+", "a&bc"), ("[a-z&&[^aeiou]]+", "abcde"), ("[a-z&&aeiou]+", "abei"), ("[a-w&&[^c-g]z]+", "acwz"), ("[+--]+", "a+,-b"), (r"[\]\[]+", "a[]"),
    (r"[(\s|[.,])]+", "(|., )a"), (r"\bb", "a b"), (r"b\b", "ab\u200dc b"), (r"\b", "a b"), (r"\Bb", "ab b"), (r"\ba\b", "a\u0301 a"), (r"a\Z", "a\n"),
    (r"a\Z", "a\r\n"), (r"a\z", "a\n"), (r"\Aa", "aa"), (r"\A\s+|\s+\Z", " a \n"), (r"\R", "\r\n\na"), (r"\N+", "ab\rd\nc"), (r"\O+", "ab\nc"),
    (r"\x41", "AB"), (r"\x{e9}+", "éa"), (r"\u00e9", "éa"), (r"[\x{4e00}-\x{9fff}]+", "一a"), (r"[\u4e00-\u9fff]+", "一a"), (r"[\b]", "a\x08"), (r"\e", "a\x1b"),
    (r"\_", "a_"), (r"\ ", "a b"), (r"\é", "éa"), ("(?i)[^k]+", "kK\u212aa"), ("(?i)ss", "aß"), ("(?i:'s)", "'S'\u017f"), (r"(?i)\p{Lu}+", "aA"),
    ("", "ab"), ("a|", "abba"), ("x*", "axxb"), (r"(?=\d)", "a12"), ("(?<=a)", "aab"), (r"(?<=\S)(?=\s)", "ab cd"), (r"(?!^)\p{Lu}", "AaB\nC"),
    (r"(?#comment)a", "ab"), ("(?<n>a)", "ab"), (r"(a)\1", "aab"), (r"(?<n>a)\k<n>", "aab"), ("(?>a+)b", "aab"), ("a++b", "aab"), ("(?<=a|bc)d", "ad bcd"),
    (r"[\S\n]+", "a \n"), (r"[^\S\r\n]+", "a \n"), (r"[\p{Han}&&[一-三]]+", "一四"), ("(?-i:A)", "aA"), ("a#b c", "a#b c"),
    # refused by the library
    ("(?s)a.", "a"), (r"\xe9", "é"), (r"[\w-.]+", "a"), ("[a--b]+", "a"), (r"[a-\d]", "a"), (r"[[:alpha:]-z]+", "a"), ("[^]", "a"), ("[", "["),
    ("(?a)a", "a"), ("(?P<n>a)", "a"), ("[[:foo:]]", "a"), ("(", "a")]
REFUSED = [  # what the library takes and we do not
    ("a(?i)b|c", "aBAC C"), ("(?x)a b", "ab"), (r"\X", "e\u0301a"), (r"a\Kb", "ab"), (r"\Ga", "aa b"), ("(?~ab)", "xxab"), (r"\101", "A"),
    (r"\i", "i"), (r"\pL", "a1"), ("[a-[b]]+", "a-b"), ("[[a]-[b]]+", "ab-"), (r"\Qa\E", "a")]
TIKTOKEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
PUBLISHED = {
    "GPT-2, SmolLM, OPT": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "Llama 3": TIKTOKEN % r"\p{N}{1,3}", "Qwen2": TIKTOKEN % r"\p{N}",
    "cl100k": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "DeepSeek-V3 words": r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "DeepSeek-V3 Chinese": "[一-龥\u3040-ゟ゠-ヿ]+", "DeepSeek-V3 digits": r"\p{N}{1,3}",
    "DeepSeek-LLM line ends": r"\s+$", "DeepSeek-LLM newlines": r"[\r\n]", "DeepSeek-LLM marks": r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
    "DeepSeek-LLM letters": r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ]+", "DeepSeek-LLM Chinese": "[一-龥ࠀ-一가-\ud7ff]+",
    "BLOOM": r" ?[^(\s|[.,!?…。，、।۔،])]+", "Falcon": r"[0-9][0-9][0-9]", "StarCoder2, Granite": r"\p{N}", "Poro": r" ?[^(\s|[.,!?…。，、।۔،])]+",
    "Qwen3-Next": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"}
CLASSES = [r"\w", r"\d", r"\s", r"\h", r"\v", ".", r"\N"] + ["[[:%s:]]" % n for n in (
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word", "xdigit")] + [
    r"\p{%s}" % n for n in ("Alnum", "Alpha", "Blank", "Cntrl", "Digit", "Graph", "Lower", "Print", "Punct", "Space", "Upper", "Word", "XDigit")]


def cut(expression, text):
    try:
        return [len(s.encode()) for s, _ in pre_tokenizers.Split(Regex(expression), "isolated").pre_tokenize_str(text)]
    except Exception as error:
        assert "Oniguruma" in str(error), error


def ranges(expression):
    characters = [chr(c) for c in range(1, 0x3000)]
    left = set(normalizers.Replace(Regex(expression), "").normalize_str("".join(characters)))
    found = []
    for c in (ord(c) for c in characters if c not in left):
        if found and found[-1][1] == c - 1:
            found[-1][1] = c
        else:
            found.append([c, c])
    return found


def rows():
    for expression, text in DIFFERENT:
        yield dict(expression=expression, rows=[[text, cut(expression, text)]])
    for expression, text in REFUSED:
        yield dict(expression=expression, refused=True, rows=[[text, cut(expression, text)]])
    with open(os.path.join(HERE, "library_splits.jsonl"), encoding="utf-8") as splits:
        texts = [json.loads(line)["text"] for line in splits][::6] + ["a  \nb \r\n  c\t\n\n", "一二ab １２３ 1234567 ٣٤"]
    for name, expression in PUBLISHED.items():
        yield dict(name=name, expression=expression, rows=[[text, cut(expression, text)] for text in texts])


if __name__ == "__main__":
    with open(os.path.join(HERE, "library_expressions.jsonl"), "w", encoding="utf-8", newline="") as out:
        for row in rows():
            out.write(json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n")
    with open(os.path.join(HERE, "library_classes.json"), "w", encoding="utf-8", newline="") as out:
        out.write("{\n" + ",\n".join(json.dumps(c) + ": " + json.dumps(ranges(c), separators=(",", ":")) for c in CLASSES) + "\n}\n")
