"""A trained model's folder, whole or not at all."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..files import canonical_json, replacing_together
from ..layout import TRAINING
from ..tokenization import save_tokenizer
from ..vectors import source_name
from .resuming import CHECKPOINTS, drop
from .settings import TrainingResult


def save_training(result: TrainingResult, folder: Path) -> None:
    """Write model, tokenizer and `training.json`, all or none; then drop the checkpoints."""
    with replacing_together(folder) as temporary:
        result.model.save_pretrained(temporary)
        save_tokenizer(result.tokenizer, str(temporary))
        (temporary / TRAINING).write_bytes(canonical_json(_facts(result)))
    drop(folder / CHECKPOINTS)


def _facts(result: TrainingResult) -> dict[str, Any]:
    texts = {"train": result.train, "validation": result.validation}
    settings = asdict(result.settings)
    for name in ("init_embeddings", "teacher"):  # never the absolute path of somebody's folder
        settings[name] = settings[name] and source_name(settings[name])
    return {
        "preset": result.preset,
        "config": result.config,
        "unlabelled": result.unlabelled,
        "settings": settings,
        "metrics": result.metrics,
        "seeds": result.seeds,
        "texts": {
            name: {
                "source": part.source,
                "revision": part.revision,
                "rows": len(part.dataset),
                "dropped": part.dropped,
                "rationales": sum(map(bool, part.rationales)),
                "sha256": part.digest,
            }
            for name, part in texts.items()
        },
    }
