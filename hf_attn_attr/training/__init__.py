"""Labelled texts to a fine-tuned model: a thin layer over `Trainer`."""

from .fitting import fit, train
from .saving import save_training
from .settings import Source, TrainingResult, TrainingSettings
from .starting import new_model

__all__ = [
    "Source",
    "TrainingResult",
    "TrainingSettings",
    "fit",
    "new_model",
    "save_training",
    "train",
]
