#!/usr/bin/env python3
"""gguf/vocabulary.json, texts.json and pre_tokenizers.jsonl: ids of hard texts by each name of a GGUF pre-tokenizer.

    python3 make_gguf_cases.py NAME...     needs: tokenizers (0.23.3), gguf (0.19.0), xllamacpp (2026.10.11549, which holds llama.cpp)

The vocabulary is a small byte-level BPE, trained on the texts themselves across words, so that other cuts give other ids. A line of
pre_tokenizers.jsonl: {"names", "by", "ids"}, ids of each text with special tokens. By llama.cpp, but for names whose model cuts otherwise
than llama.cpp does (it has no normalizer, takes marks for no letters, and white space beyond ASCII for a tab): by tokenizers, with the
expressions that the model's tokenizer.json has."""
import ctypes as C
import glob, json, os, sys, tempfile
import gguf, tokenizers, xllamacpp
from tokenizers import models, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
SPECIAL, USER = "<|endoftext|>", "<user>"

TEXTS = ["Hello world! It's 2024, I'LL say: don't; you'Ve (12,345.678) won $1234567 & 99%.",
         "  two  spaces\tand\ttabs \n\n new  lines \r\n\r\nend   ", "\n", " ", "   ", "a", "12", "1234", " 1 22 333 4444 55555",
         "def f(x):\n    return x**2 + self._y[\"key\"] != None  # comment\n\n\nclass A_B2: pass\n",
         "\u4f60\u597d\uff0c\u4e16\u754c\uff01\u4eca\u5929\u662f2024\u5e745\u670817\u65e5\u3002", "\u3053\u3093\u306b\u3061\u306f\u30c6\u30b9\u30c8\u3067\u3059",
         "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u00c4\u00d6\u00dc \u00e9t\u00e9 na\u00efve",
         "\u0645\u0631\u062d\u0628\u0627\u060c \u0643\u064a\u0641 \u062d\u0627\u0644\u0643\u061f \u0661\u0662\u0663", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e\u0964 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
         "HTTPServer camelCase XMLHttpRequest iPhone ALLCAPS mIxEd", "\u2026 \u2014 \u201cquoted\u201d \u2018single\u2019 \u00ab\u00bb !!! ??? ...", "\U0001f600\U0001f680 \U0001f468\u200d\U0001f469\u200d\U0001f467 emoji",
         "x\u00b2 + y\u00b3 = \u00bd \u2167 \u2460", "e\u0301 combining a\u0308o", "\u00a0nbsp\u2003em\u3000ideographic", "'s 't 're 've 'm 'll 'd 'S 'T 'RE", "path/to/file.txt?q=1&r=2#z",
         "!word @name #tag $var (paren) [brack] {curl} -dash _under ~tilde", "<|endoftext|>start <user> and<user>end<|endoftext|>",
         "1,000,000.00\u20ac +-*/=<>^|~`", "a\nb\r\nc\rd\n\n\ne", "trailing spaces   \n  next"]


UP, LOW = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
FIRST, END, SHORT = r"[^\r\n\p{L}\p{N}]?", r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+", "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
HAN = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
LETTERS = ("\\s?[A-Za-z\xb5\xc0-\xd6\xd8-\xf6\xf8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f"
           "\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd"
           "\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57"
           "\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec"
           "\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-"
           "\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f"
           "\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-"
           "\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943]+")
# a line of Split expressions each; NFC in front: the normalizer
OWN = {
    "qwen2": ["NFC", SHORT + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "tekken": [f"{FIRST}{UP}*{LOW}+|{FIRST}{UP}+{LOW}*" + r"|\p{N}" + END],
    "gpt-4o": [f"{FIRST}{UP}*{LOW}+{SHORT}?|{FIRST}{UP}+{LOW}*{SHORT}?" + r"|\p{N}{1,3}" + END],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", HAN, r"\p{N}"],
    "deepseek-llm": [r"[\r\n]", LETTERS, "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+", r"\s+$", HAN, r"\p{N}+"],
}
OWN["llama4"] = OWN["minimax-m2"] = OWN["gpt-4o"]
ADDS_BOS = {"tekken"}


def library_ids(vocabulary, name):
    tok = tokenizers.Tokenizer(models.BPE({t: i for i, t in enumerate(vocabulary["tokens"])}, [tuple(m.split(" ")) for m in vocabulary["merges"]],
                               ignore_merges=name == "tekken"))
    steps = list(OWN[name])
    if steps[0] == "NFC":
        tok.normalizer = tokenizers.normalizers.NFC()
        del steps[0]
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(tokenizers.Regex(e), "isolated") for e in steps]
                                                + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.add_tokens([tokenizers.AddedToken(SPECIAL, special=True, normalized=False), tokenizers.AddedToken(USER, normalized=False)])
    bos = [vocabulary["bos"]] if name in ADDS_BOS else []
    return [bos + tok.encode(t).ids for t in TEXTS]


def write_vocabulary(path):
    tok = tokenizers.Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tok.train_from_iterator([t for t in TEXTS if SPECIAL not in t] * 2, trainers.BpeTrainer(vocab_size=660, show_progress=False,
                            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), max_token_length=8))
    model = json.loads(tok.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get) + [SPECIAL, USER]
    json.dump({"tokens": tokens, "types": [1] * (len(tokens) - 2) + [3, 4], "merges": [" ".join(m) for m in model["merges"]],
               "bos": len(tokens) - 2}, open(path, "w", encoding="utf-8"), ensure_ascii=False, separators=(",", ":"))


def write_gguf(path, vocabulary, pre):
    w = gguf.GGUFWriter(path, "llama")
    w.add_tokenizer_model("gpt2"); w.add_tokenizer_pre(pre)
    w.add_token_list(vocabulary["tokens"]); w.add_token_types(vocabulary["types"]); w.add_token_merges(vocabulary["merges"])
    w.add_bos_token_id(vocabulary["bos"]); w.add_eos_token_id(vocabulary["bos"])
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()


class Params(C.Structure):  # llama_model_params of llama.h
    _fields_ = [("pointers", C.c_void_p * 2), ("ints", C.c_int32 * 5), ("more", C.c_void_p * 4), ("vocab_only", C.c_bool), ("rest", C.c_char * 69)]


def load_library():
    lib = C.CDLL(glob.glob(os.path.dirname(xllamacpp.__file__) + "/xllamacpp*.so")[0])
    lib.llama_model_default_params.restype = Params
    lib.llama_model_load_from_file.argtypes, lib.llama_model_load_from_file.restype = [C.c_char_p, Params], C.c_void_p
    lib.llama_model_get_vocab.argtypes, lib.llama_model_get_vocab.restype = [C.c_void_p], C.c_void_p
    lib.llama_tokenize.argtypes = [C.c_void_p, C.c_char_p, C.c_int32, C.c_void_p, C.c_int32, C.c_bool, C.c_bool]
    lib.quiet = C.CFUNCTYPE(None, C.c_int, C.c_char_p, C.c_void_p)(lambda *_: None)
    lib.llama_log_set(lib.quiet, None)
    lib.llama_backend_init()
    return lib


def encode(lib, path, texts):
    params = lib.llama_model_default_params()
    params.vocab_only = True
    model = lib.llama_model_load_from_file(path.encode(), params)
    if not model: return None
    vocab, out = lib.llama_model_get_vocab(model), []
    for text in texts:
        data = text.encode()
        ids = (C.c_int32 * (len(data) + 8))()
        out.append(list(ids[:lib.llama_tokenize(vocab, data, len(data), ids, len(ids), True, True)]))
    return out


def main(names):
    vocabulary_path = os.path.join(HERE, "gguf/vocabulary.json")
    write_vocabulary(vocabulary_path)
    vocabulary, lib = json.load(open(vocabulary_path, encoding="utf-8")), load_library()
    ids = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = os.path.join(folder, name + ".gguf")
            write_gguf(path, vocabulary, name)
            result = encode(lib, path, TEXTS)
            if result is None: print("llama.cpp refuses", name)
            else: ids[name] = result
    groups = {}
    for name, result in ids.items():
        own = name in OWN
        groups.setdefault((own, json.dumps(library_ids(vocabulary, name) if own else result)), []).append(name)
    with open(os.path.join(HERE, "gguf/pre_tokenizers.jsonl"), "w", encoding="utf-8") as out:
        for (own, result), same in groups.items():
            out.write(json.dumps({"names": same, "by": "tokenizers" if own else "llama.cpp", "ids": json.loads(result)}, separators=(",", ":")) + "\n")
    json.dump(TEXTS, open(os.path.join(HERE, "gguf/texts.json"), "w", encoding="utf-8"))


if __name__ == "__main__":
    main(sys.argv[1:])
