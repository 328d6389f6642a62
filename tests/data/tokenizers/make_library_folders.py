"""Writes library_folders.jsonl: the ids that transformers gives in folders whose tokenizer is spread over several files.

    python3 make_library_folders.py LATER.json > library_folders.jsonl    needs: transformers==4.57.6 tokenizers==0.22.2
                                                                          sentencepiece==0.2.3 protobuf
    python3 make_library_folders.py > LATER.json                          the same under transformers==5.24.0, before

A case holds its files (a tokenizer file as {"from": folder, fields to replace}), rows [text, ids, ids with special tokens]
of 4.57.6, and those of 5.24.0 as "later" where they differ. "follows": "later" where we do as the later version.
"""
import json, os, shutil, sys, tempfile
os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
import transformers
from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
B={"bos_token":"<s>","eos_token":"</s>","unk_token":"<unk>"}
def C(cls="LlamaTokenizer",**k):
    d=dict(B); 
    if cls: d["tokenizer_class"]=cls
    d.update(k); return d
def tok(c,special=False,**k): return dict(dict(content=c,lstrip=False,normalized=not special,rstrip=False,single_word=False,special=special),**k)
J={"from": "stories260k"}
LL={"model_type":"llama"}
CHAT={"<|im_start|>":512,"<|im_end|>":513}
NOPOST={"from": "stories260k", "post_processor": None}
EOS_FIRST={"from": "stories260k", "post_processor": {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"</s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":0}}],"special_tokens":{"</s>":{"id":"</s>","ids":[2],"tokens":["</s>"]}}}}
cases={}
def case(name,texts,**files): cases[name]=(texts,files)
T=["a</s>b","<|im_start|>Once<|im_end|>","x <|im_start|> y","Once upon <s> a <unk>"]
for cls in ("LlamaTokenizer","PreTrainedTokenizerFast"):
    case("json, added_tokens.json, "+cls,T,tokenizer=J,config=C(cls),added_tokens=CHAT)
    case("json, added_tokens_decoder, "+cls,T,tokenizer=J,config=C(cls,added_tokens_decoder={"512":tok("<|im_start|>",True),"513":tok("<|im_end|>",False,lstrip=True)}))
    case("json, added_tokens_decoder beside added_tokens.json, "+cls,T+["[X]"],tokenizer=J,config=C(cls,added_tokens_decoder={"512":tok("<|im_start|>",True)}),added_tokens={"[X]":512,"<|im_end|>":513})
    case("json, additional_special_tokens, "+cls,T,tokenizer=J,config=C(cls,additional_special_tokens=["<|im_end|>","<|im_start|>"]))
    case("json, extra_special_tokens, "+cls,T,tokenizer=J,config=C(cls,extra_special_tokens={"im_end_token":"<|im_end|>","z_token":"<|im_start|>"}))
    case("json, pad outside vocabulary, "+cls,["[PAD]a","a [PAD]"],tokenizer=J,config=C(cls,pad_token="[PAD]"))
    case("json, bos object outside vocabulary, "+cls,["[B]a","a [B] b"],tokenizer=J,config=C(cls,bos_token=tok("[B]",False,lstrip=True)))
    case("json, special_tokens_map, "+cls,T+["[PAD]"],tokenizer=J,config={"tokenizer_class":cls},special_tokens_map={"bos_token":tok("</s>"),"pad_token":"[PAD]","additional_special_tokens":["<|im_end|>","<|im_start|>"]})
    case("json, special_tokens_map against config, "+cls,T+["[PAD]"],tokenizer=J,config=C(cls),special_tokens_map={"bos_token":tok("</s>"),"pad_token":"[PAD]","additional_special_tokens":["<|im_end|>","<|im_start|>"]})
    case("json, special_tokens_map beside decoder, "+cls,T+["[PAD]"],tokenizer=J,config=C(cls,added_tokens_decoder={"512":tok("<|im_start|>",True)}),special_tokens_map={"bos_token":tok("</s>"),"pad_token":"[PAD]"})
    case("json, gap, "+cls,T,tokenizer=J,config=C(cls),added_tokens={"<|im_start|>":515,"<|im_end|>":514})
    case("json, flags override, "+cls,["a <s> b","a </s> b"],tokenizer=J,config=C(cls,added_tokens_decoder={"1":tok("<s>",True,lstrip=True,rstrip=True),"2":tok("</s>",True)}))
    case("json, vocabulary token, "+cls,["the cat","a the","athea"],tokenizer=J,config=C(cls,added_tokens_decoder={"512":tok("the",False)}))
    if cls != "LlamaTokenizer":  # there it would be put in front, and no file gives it an id: we refuse that
      case("json, vocabulary token in bos, "+cls,["the cat","a the","athea"],tokenizer=J,config=C(cls,bos_token="the"))
case("json, no config, llama",T,tokenizer=J,model=LL,added_tokens=CHAT)
case("json, no class, llama",T,tokenizer=J,model=LL,added_tokens=CHAT,config=C(None))
case("json no post, no config, llama",T,tokenizer=NOPOST,model=LL)
case("json, config chat specials",T,tokenizer=J,config=C(eos_token="<|im_end|>"),added_tokens=CHAT)
M={"from": "small_bpe"}
N={"<|im_start|>":420,"<|im_end|>":421}
T2=T+["a<user>b","a <user> b <ctl> c","<user>"," <s>","<s> a","<unk> a","<0x41>"]
for legacy in (None,True,False):
    k={} if legacy is None else {"legacy":legacy}
    case(f"model, legacy {legacy}",T2,model_file=M,config=C(**k),added_tokens=N)
    case(f"model, legacy {legacy}, no added",T2,model_file=M,config=C(**k))
case("model alone",T2,model_file=M,model=LL)
case("model alone, mistral",T2,model_file=M,model={"model_type":"mistral"})
case("model, class unnamed",T2,model_file=M,model=LL,config=C(None))
case("model, flags ft",T2[:2],model_file=M,config=C(add_bos_token=False,add_eos_token=True))
case("model, flags -t",T2[:2],model_file=M,config=C(add_eos_token=True))
case("model, flags f-",T2[:2],model_file=M,config=C(add_bos_token=False))
case("model, PTTF",T2[:2],model_file=M,config=C("PreTrainedTokenizerFast"))
case("model, added_tokens_decoder",T2,model_file=M,config=C(added_tokens_decoder={"0":tok("<unk>",True),"1":tok("<s>",True,rstrip=True),"2":tok("</s>",True),"420":tok("<|im_start|>",True),"421":tok("<|im_end|>",False,lstrip=True)}))
case("model, additional",T2,model_file=M,config=C(additional_special_tokens=["<|im_end|>","<|im_start|>"]))
case("model, pad, bos",["[PAD]a","Once"],model_file=M,config=C(pad_token="[PAD]",bos_token="</s>"))
case("model, map",T2+["[PAD]"],model_file=M,model=LL,special_tokens_map={"bos_token":"</s>","pad_token":"[PAD]"})
case("model, prefix",T2,model_file=M,config=C(add_prefix_space=False))
case("model, gap",T,model_file=M,config=C(),added_tokens={"<|im_start|>":425,"<|im_end|>":424})
V={"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "b": 5, "ab": 6, "Ġ": 7, "Ġab": 8, "<|endoftext|>":9,"<":10,"|":11,">":12,"s":13}
ME="#version: 0.2\na b\nĠ ab\n"
P=dict(vocab=V,merges=ME)
T3=["ab ab","<s>ab</s> ab","ab<pad>a","<|endoftext|>ab","<|im_start|> ab","ab <|im_end|> ab"]
N3={"<|im_start|>":14,"<|im_end|>":15}
for cls in ("GPT2Tokenizer","Qwen2Tokenizer",None):
  m={"model_type":"gpt2"} if cls is None else None
  D={} if cls is None else {"tokenizer_class":cls}
  for b in (None,True,False):
   for e in (None,True):
    c=dict(D,bos_token="<s>",eos_token="</s>",unk_token="<unk>",pad_token="<pad>")
    if b is not None: c["add_bos_token"]=b
    if e is not None: c["add_eos_token"]=e
    case(f"pair {cls} {b} {e}",T3[:3],model=m,config=c,**P)
  case(f"pair {cls} plain",T3,model=m,config=D,**P)
  case(f"pair {cls} added",T3,model=m,config=D,added_tokens=N3,**P)
  case(f"pair {cls} additional",T3,model=m,config=dict(D,additional_special_tokens=["<|im_end|>"],pad_token="[Z]"),**P)
  case(f"pair {cls} map",T3,model=m,config=D,special_tokens_map={"bos_token":"</s>","pad_token":"<pad>"},**P)
  case(f"pair {cls} prefix",T3,model=m,config=dict(D,add_prefix_space=True),**P)
  case(f"pair {cls} bom",T3,model=m,config=D,vocab=V,merges="\ufeff"+ME)
  case(f"pair {cls} bom no version",T3,model=m,config=D,vocab=V,merges="\ufeff"+ME.split("\n",1)[1])
  case(f"pair {cls} no version",T3,model=m,config=D,vocab=V,merges=ME.split("\n",1)[1])
case("pair bare",T3,model={"model_type":"gpt2"},**P)
case("pair bare opt",T3,model={"model_type":"opt"},**P)
case("pair bare llama",T3,model={"model_type":"llama"},**P)
LATER = {"json no post, no config, llama"} | {n for n in cases if n.endswith("no version")}  # 4.57 drops the first line of any merges.txt
for cls, mt in [("LlamaTokenizer", None), ("LlamaTokenizerFast", "qwen2"), ("CodeLlamaTokenizer", None), ("GemmaTokenizer", None), ("CohereTokenizer", None), ("GPTNeoXTokenizer", None),
                ("PreTrainedTokenizerFast", "llama"), ("GPT2Tokenizer", "llama"), ("Qwen2TokenizerFast", None), (None, "llama"), (None, "mistral"), (None, "qwen2")]:
    for post, template in (("BOS", J), ("none", NOPOST), ("EOS first", EOS_FIRST)):
        for bos in (None, True, False):
            for eos in (None, True, False):
                flags = {k: v for k, v in (("add_bos_token", bos), ("add_eos_token", eos)) if v is not None}
                names = dict(bos_token="<s>", eos_token="</s>") if "NeoX" not in str(cls) else B
                case(f"flags: {cls} {mt}, template {post}, BOS {bos}, EOS {eos}", ["Once"], tokenizer=template, model={"model_type": mt} if mt else None, config=dict(C(cls, **flags), **names))
FILES = dict(tokenizer="tokenizer.json", config="tokenizer_config.json", model="config.json", added_tokens="added_tokens.json",
             special_tokens_map="special_tokens_map.json", vocab="vocab.json", merges="merges.txt", model_file="tokenizer.model")


def build(files):
    folder = tempfile.mkdtemp()
    for name, content in files.items():
        path = os.path.join(folder, name)
        if name == "tokenizer.model":
            shutil.copy(os.path.join(HERE, content["from"], name), path)
            continue
        if isinstance(content, dict) and "from" in content:
            with open(os.path.join(HERE, content["from"], name), encoding="utf-8") as source:
                content = json.load(source) | {k: v for k, v in content.items() if k != "from"}
        with open(path, "w", encoding="utf-8") as out:
            out.write(content if isinstance(content, str) else json.dumps(content))
    return folder


def rows(texts, files):
    folder = build(files)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return [[t, tokenizer(t, add_special_tokens=False)["input_ids"], tokenizer(t)["input_ids"]] for t in texts]
    except Exception as error:
        return None
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    found = {}
    for name, (texts, files) in cases.items():
        files = {FILES[k]: v for k, v in files.items() if v is not None}
        found[name] = dict(name=name, files=files, rows=rows(texts, files))
    if len(sys.argv) < 2:
        print(json.dumps({name: one["rows"] for name, one in found.items()}))
        sys.exit()
    with open(sys.argv[1], encoding="utf-8") as later:
        later = json.load(later)
    for name, one in found.items():
        if later[name] != one["rows"]:
            one["later"] = later[name]
        if name in LATER:
            one["follows"] = "later"
        if one["rows"] is not None and not (name in LATER and later[name] is None):
            print(json.dumps(one, separators=(",", ":"), ensure_ascii=False))
