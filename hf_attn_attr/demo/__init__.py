"""Two corpora that need no network: real-looking sentences, and planted word influences."""

from .planted import (
    PlantedCorpus,
    PlantedSplit,
    Recovery,
    bayes_accuracy,
    generate_planted_corpus,
    recovery,
    to_dataset,
)
from .sentences import EMOTIONS, SENTENCES_LICENCE, load_sentences

__all__ = [
    "EMOTIONS",
    "SENTENCES_LICENCE",
    "PlantedCorpus",
    "PlantedSplit",
    "Recovery",
    "bayes_accuracy",
    "generate_planted_corpus",
    "load_sentences",
    "recovery",
    "to_dataset",
]
