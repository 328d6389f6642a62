#!/usr/bin/env python3
"""Random vision transformers of a few kilobytes, with hidden states and logits by transformers in float32: the folders of
tests/data/forward/vision. Settings that the zoo's models do not show: no biases of q, k, v; oblong images and patches; one DeiT without a teacher.

    vision_models.py tests/data/forward/vision
"""
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file

out = pathlib.Path(sys.argv[1])
common = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, num_labels=5)
models = {
    "vit": (transformers.ViTConfig, transformers.ViTForImageClassification,
                   dict(image_size=[8, 12], patch_size=[4, 3], qkv_bias=False, hidden_act="gelu_new")),
    "deit": (transformers.DeiTConfig, transformers.DeiTForImageClassification, dict(image_size=8, patch_size=4, layer_norm_eps=1e-3)),
    "deit_teacher": (transformers.DeiTConfig, transformers.DeiTForImageClassificationWithTeacher, dict(image_size=8, patch_size=4)),
}
for name, (make_config, make_model, own) in models.items():
    torch.manual_seed(21)
    config = make_config(**common, **own)
    config._attn_implementation = "eager"
    model = make_model(config).eval()
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            tensor.copy_((torch.randn_like(tensor) * 0.3 + (1 if "norm" in key and key.endswith("weight") else 0)).to(torch.bfloat16))
        height, width = own["image_size"] if isinstance(own["image_size"], list) else [own["image_size"]] * 2
        images = torch.randn(3, 3, height, width)
        result = model(images, output_hidden_states=True)
    folder = out / name
    model.to(torch.bfloat16).save_pretrained(folder)
    saved = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(saved, indent=1) + "\n")
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": "ViTImageProcessor", "size": {"height": height, "width": width}, "do_center_crop": False}) + "\n")
    hidden = result.hidden_states
    save_file({"images": images, "hidden.embedding": hidden[0].clone(), "hidden.block0": hidden[1].clone(), "hidden.last": hidden[2].clone(),
               "logits": result.logits}, out / f"{name}.safetensors",
              metadata={"made_with": f"transformers {transformers.__version__}, torch {torch.__version__}, float32, eager attention"})
