"""The model's own code beside its weights, for those who do not have this package.

`trust_remote_code=True` then loads model and pipelines from the repository. The config names that
code only in its published form: where this package is imported its own classes are used, and they
never look at what a config names.
"""

from pathlib import Path
from typing import Any

from .. import models

FILES = (
    "configuration_self_attentive.py",
    "modeling_self_attentive.py",
    "pipeline_attention_attribution.py",
    "precision.py",
    "words.py",
)
_NAMED = {
    "auto_map": {
        "AutoConfig": "configuration_self_attentive.SelfAttentiveConfig",
        "AutoModel": "modeling_self_attentive.SelfAttentiveModel",
        "AutoModelForSequenceClassification": (
            "modeling_self_attentive.SelfAttentiveForSequenceClassification"
        ),
    },
    "custom_pipelines": {
        "attention-attribution": {
            "impl": "pipeline_attention_attribution.AttentionAttributionPipeline",
            "pt": ["AutoModelForSequenceClassification"],
            "type": "text",
        }
    },
}


def write_code(folder: Path) -> None:
    """Copy the code that a self-attentive model needs into `folder`."""
    for name in FILES:
        source = Path(models.__file__).with_name(name)
        (folder / name).write_bytes(source.read_bytes())


def published_config(config: dict[str, Any], *, code: bool) -> dict[str, Any]:
    """The config as it goes up: with the code that lies beside it (`code`), or without any."""
    unwanted = set(_NAMED)
    if config.get("model_type") == "self_attentive":
        unwanted.add("use_cache")  # which Trainer sets in passing
    plain = {name: value for name, value in config.items() if name not in unwanted}
    return {**plain, **_NAMED} if code else plain
