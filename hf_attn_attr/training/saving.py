"""A trained model's folder, whole or not at all."""

import shutil
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..files import canonical_json, replacing, write_bytes
from ..layout import TRAINING
from ..tokenization import save_tokenizer
from ..vectors import source_name
from .settings import TrainingResult


def save_training(result: TrainingResult, folder: Path) -> None:
    """Write model, tokenizer and `training.json`, each file whole; then drop the checkpoints."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".saving-") as temporary:
        result.model.save_pretrained(temporary)
        save_tokenizer(result.tokenizer, temporary)
        write_bytes(Path(temporary) / TRAINING, canonical_json(_facts(result)))
        for path in sorted(Path(temporary).iterdir()):
            with replacing(folder / path.name) as target:  # safetensors would leave mode 0600
                path.replace(target)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


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
