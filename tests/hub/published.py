"""A published model, and names that tests share."""

from contextlib import contextmanager

import torch

REPO = "owner/model"
CODE = {
    *("configuration_self_attentive.py", "modeling_self_attentive.py"),
    *("pipeline_attention_attribution.py", "precision.py", "words.py"),
}
MODEL = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
INFLUENCE = {"influence/influence.parquet", "influence/manifest.json"}
TEXTS = ["What a lovely surprise!", "", "I am so angry, unforeseen \u65e5\u672c"]


@contextmanager
def retrained(model, step=1.0):
    """The model with other weights within, those it had afterwards."""
    with torch.no_grad():
        model.classifier.bias.add_(step)
    try:
        yield
    finally:
        with torch.no_grad():
            model.classifier.bias.sub_(step)
