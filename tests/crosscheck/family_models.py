#!/usr/bin/env python3
"""Random decoders of some kilobytes, with what each block gives and logits by transformers in float32: folders of tests/data/forward in settings
that no trained model of the zoo has.

    family_models.py tests/data/forward [NAME ...]
"""
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

# NAME: configuration, its settings, lengths of the sequences of each file of values
MODELS = {
    "phi3/phi4_mini": (
        transformers.Phi3Config,
        dict(vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
             tie_word_embeddings=True, max_position_embeddings=64, original_max_position_embeddings=16, partial_rotary_factor=0.75, pad_token_id=0,
             rope_scaling=dict(type="longrope", short_factor=[1.0, 1.1, 1.3, 1.7, 2.0, 2.2], long_factor=[1.2, 2.5, 4.0, 9.0, 11.0, 30.0])),
        {"": 24, "_short": 16}),
    # sinks, a window of 5 in the first layer, YaRN from 16 tokens to 64, gates clamped at 1.5
    "mixtures/gpt_oss": (
        transformers.GptOssConfig,
        dict(vocab_size=96, hidden_size=64, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
             num_local_experts=4, num_experts_per_tok=2, sliding_window=5, swiglu_limit=1.5, max_position_embeddings=64, pad_token_id=0,
             rope_scaling=dict(rope_type="yarn", factor=4.0, beta_fast=32.0, beta_slow=1.0, truncate=False, original_max_position_embeddings=16)),
        {"": 24}),
}


def random_model(config):
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.copy_((torch.randn_like(tensor) * 0.3 + (1 if "norm" in name else 0)).to(torch.bfloat16))
    return model


def in_mxfp4(model):
    """Puts numbers of MXFP4 into the experts. Returns the tensors of the published layout in the place of those."""
    stored = {}
    for name, tensor in model.named_parameters():
        if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            continue
        experts, wide, rows = tensor.shape
        blocks = torch.randint(0, 256, (experts, rows, wide // 32, 16), dtype=torch.uint8)
        scales = torch.randint(122, 126, (experts, rows, wide // 32), dtype=torch.uint8)
        with torch.no_grad():
            tensor.copy_(convert_moe_packed_tensors(blocks, scales, dtype=torch.float32))
        stored |= {name + "_blocks": blocks, name + "_scales": scales}
    return stored


def save_mxfp4(model, stored, folder):
    """The folder as published, beside the plain one."""
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router",
                                                                                         "model.embed_tokens", "lm_head"]}
    published = folder.with_name(folder.name + "_mxfp4")
    published.mkdir(exist_ok=True)
    (published / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    kept = {name: tensor.contiguous() for name, tensor in model.state_dict().items() if name + "_blocks" not in stored}
    save_file(kept | stored, published / "model.safetensors", metadata={"format": "pt"})


def values_of(model, length):
    """What enters the first block, what each block gives, logits; of mixtures the experts that each token goes to, best first."""
    ids = torch.randint(0, model.config.vocab_size, (2, length))
    kept = {}
    layers = model.model.layers
    hooks = [layers[0].register_forward_pre_hook(lambda _, inputs: kept.update(hidden_0=inputs[0].clone()))]
    for index, layer in enumerate(layers):
        hooks.append(layer.register_forward_hook(
            lambda _, __, output, index=index: kept.update({f"hidden_{index + 1}": (output[0] if isinstance(output, tuple) else output).clone()})))
        if hasattr(layer.mlp, "router"):
            hooks.append(layer.mlp.router.register_forward_hook(
                lambda _, __, output, index=index: kept.update({f"experts_{index}": output[2].view(*ids.shape, -1).to(torch.int32)})))
    with torch.no_grad():
        logits = model(ids).logits
    for hook in hooks:
        hook.remove()
    return {"ids": ids.to(torch.int32), "logits": logits, **kept}


def main():
    out = pathlib.Path(sys.argv[1])
    made_with = {"made_with": f"transformers {transformers.__version__}, torch {torch.__version__}, float32, eager attention"}
    for name in sys.argv[2:] or MODELS:
        make_config, settings, lengths = MODELS[name]
        torch.manual_seed(21)
        model = random_model(make_config(**settings))
        stored = in_mxfp4(model)
        values = {suffix: values_of(model, length) for suffix, length in lengths.items()}
        folder = out / name
        model.to(torch.bfloat16).save_pretrained(folder)
        saved = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(saved, indent=1) + "\n")
        if stored:
            save_mxfp4(model, stored, folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        for suffix, tensors in values.items():
            save_file(tensors, f"{folder}{suffix}.safetensors", metadata=made_with)


main()
