"""Models of this program in lm-evaluation-harness: every folder and .gguf file that it reads, de-quantized.

    python -m halftone.lm_eval run --model halftone --model_args pretrained=llama-w3,dtype=float32 --tasks piqa

The command line is the harness's own. Releases after 0.4.13 find the model by this package's entry point, so that there
`lm_eval` itself does. Arguments of the model are those of its `hf`; a .gguf file needs `tokenizer=FOLDER` besides.
"""

from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM

from ._commands import dense_folder


@register_model("halftone")
class HalftoneLM(HFLM):
    def __init__(self, pretrained, **arguments):
        with dense_folder(pretrained) as folder:
            super().__init__(pretrained=folder, **arguments)


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
