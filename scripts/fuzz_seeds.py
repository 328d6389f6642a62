"""What each fuzz program begins with: small files of the tests, and a few made here byte by byte."""
import json
import struct

TEST_FILES = {  # reader -> patterns below the project's folder
    "safetensors": ["tests/data/safetensors_cases/*.safetensors"],
    "tokenizer_json": ["tests/data/tokenizers/*/tokenizer.json"],
    "tokenizer_model": ["tests/data/tokenizers/*/tokenizer.model"],
    "tokenizer_folder": ["tests/data/tokenizers/*/tokenizer_config.json"],
    "chat_template": ["tests/data/chat_templates/*.jinja"],
    "config": ["tests/data/**/config.json"],
    "recipe": ["recipes/*.toml"],
    "mix": ["recipes/mixes/*.toml"],
    "png": ["tests/data/images/*.png"],
    "jpeg": ["tests/data/images/*.jpg"],
    "preprocessor": ["tests/data/**/preprocessor_config.json"],
    "task": ["tasks/*.toml"],
}


def json_lines(path):
    return [json.loads(row) for row in path.read_text(encoding="utf-8").split("\n") if row]


def as_bytes(value):
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode()


def safetensors_headers(root):
    for path in sorted(root.glob("tests/data/safetensors_cases/*.safetensors")):
        file = path.read_bytes()
        if len(file) >= 8:
            yield file[8:8 + struct.unpack("<Q", file[:8])[0]]


def shard_indices(_):
    yield as_bytes({"metadata": {"total_size": 16}, "weight_map": {"a": "model-00001-of-00002.safetensors"}})
    yield as_bytes({"metadata": {"total_size": 1.6e1}, "weight_map": {"a": "../b"}})


def tokenizer_descriptions(root):
    for row in json_lines(root / "tests/data/tokenizers/library_cases.jsonl"):
        yield as_bytes(row["tokenizer"])
    vocabulary = {"a": 0, "b": 1, " ": 2, "1": 3, "\n": 4}
    for row in json_lines(root / "tests/data/tokenizers/library_expressions.jsonl")[::8]:
        split = {"type": "Split", "pattern": {"Regex": row["expression"]}, "behavior": "Isolated", "invert": False}
        yield as_bytes({"model": {"type": "BPE", "vocab": vocabulary, "merges": []}, "pre_tokenizer": split})


def folder_files(root, name):
    rows = json_lines(root / "tests/data/tokenizers/library_folders.jsonl")
    return [as_bytes(row["files"][name]) for row in rows[::8] if isinstance(row["files"].get(name), (dict, str))]


def tokenizer_settings(root):
    yield from folder_files(root, "tokenizer_config.json")
    yield as_bytes({"bos_token": {"content": "<s>", "lstrip": False},
                    "chat_template": [{"name": "default", "template": "{{ messages }}"}],
                    "added_tokens_decoder": {"0": {"content": "<s>", "special": True}}})


def gpt2_pairs(_):
    yield as_bytes({"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}) + b"\0#version: 0.2\na b\n"


def templates(root):
    for case in json.loads((root / "tests/data/chat_templates/cases.json").read_text(encoding="utf-8"))["cases"]:
        yield as_bytes(case["template"])


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(value)) + value


NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9


def item(kind, value):
    return text(value) if kind == STRING else struct.pack(NUMBERS[kind], value)


def gguf(metadata, tensors):
    """metadata: key -> (kind, value or list); tensors: name -> (type, dimensions fastest first, data)."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, (kind, value) in metadata.items():
        head += text(key)
        if isinstance(value, list):
            head += struct.pack("<IIQ", ARRAY, kind, len(value)) + b"".join(item(kind, each) for each in value)
        else:
            head += struct.pack("<I", kind) + item(kind, value)
    data = b""
    for name, (kind, dimensions, numbers) in tensors.items():
        head += text(name) + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, kind, len(data))
        data = padded(data + numbers)
    return padded(head) + data


def padded(part):
    return part + bytes(-len(part) % 32)


BLOCKS = {  # type -> weights and bytes of a block
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84), 11: (256, 110),
    12: (256, 144), 13: (256, 176), 14: (256, 210), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50),
    20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8),
    29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18), 42: (64, 18)}


def gguf_of_types(_):
    kinds = {f"kind.{kind}": (kind, 1) for kind in NUMBERS} | {"kind.text": (STRING, "text")}
    lists = {f"list.{kind}": (kind, [0, 1]) for kind in NUMBERS} | {"list.text": (STRING, ["a", ""])}
    yield gguf(kinds | lists, {f"tensor.{kind}": (kind, [length, 2], bytes(range(bytes_))[:bytes_] * 2)
                               for kind, (length, bytes_) in BLOCKS.items() if bytes_ <= 256})
    for kind, (length, bytes_) in BLOCKS.items():
        yield gguf({"general.alignment": (4, 32)}, {"tensor": (kind, [length], bytes(range(bytes_)))})


def small_model(architecture, kind):
    """A layer of 32 wide, every matrix of one type."""
    length, bytes_ = BLOCKS[kind]

    def matrix(columns, rows):
        return (kind, [columns, rows], bytes(columns * rows // length * bytes_))
    vector = (0, [32], bytes(32 * 4))
    tensors = {"token_embd.weight": matrix(32, 3), "output_norm.weight": vector, "output.weight": matrix(32, 3)}
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        tensors[f"blk.0.{name}.weight"] = matrix(32, 32)
    for name in ("attn_norm", "ffn_norm"):
        tensors[f"blk.0.{name}.weight"] = vector
    sizes = {"block_count": 1, "embedding_length": 32, "feed_forward_length": 32, "attention.head_count": 2,
             "attention.head_count_kv": 2, "context_length": 64, "rope.dimension_count": 16}
    metadata = {"general.architecture": (STRING, architecture), "general.file_type": (4, 0)}
    metadata |= {f"{architecture}.{key}": (4, value) for key, value in sizes.items()}
    metadata |= {f"{architecture}.attention.layer_norm_rms_epsilon": (6, 1e-5), f"{architecture}.rope.freq_base": (6, 1e4)}
    return gguf(metadata, tensors)


def gguf_models(_):
    for architecture in ("llama", "qwen2", "qwen3", "gemma2"):
        for kind in (0, 1, 8):
            yield small_model(architecture, kind)


def imatrices(_):
    sums = struct.pack("<4f", 1, 2, 3, 4)
    yield struct.pack("<ii", 1, 19) + b"blk.0.attn_q.weight" + struct.pack("<ii", 2, 4) + sums
    yield gguf({"general.type": (STRING, "imatrix")},
               {"blk.0.attn_q.weight.in_sum2": (0, [4, 1], sums), "blk.0.attn_q.weight.counts": (0, [1, 1], sums[:4])})


def records(_):
    yield bytes([2]) + bytes(3072)
    yield (bytes([1]) + bytes(range(256)) * 12) * 2


def rows(_):
    yield as_bytes('{"goal": "a", "label": 1}\n{"text": "b"}\n')
    yield as_bytes([{"text": "a"}, {"text": "b"}])
    yield as_bytes('{"messages": [{"role": "user", "content": "a"}]}\n')


MADE = {
    "safetensors_header": safetensors_headers, "shard_index": shard_indices, "tokenizer_json": tokenizer_descriptions,
    "tokenizer_folder": tokenizer_settings, "gpt2_files": gpt2_pairs, "chat_template": templates, "gguf": gguf_of_types,
    "gguf_model": gguf_models, "imatrix": imatrices, "cifar": records, "data_rows": rows,
}


def of(reader, root):
    for pattern in TEST_FILES.get(reader, []):
        for path in sorted(root.glob(pattern)):
            yield path.read_bytes()
    if reader in MADE:
        yield from MADE[reader](root)
