"""A small corpus whose labels follow from its words, and models that learn it."""

import numpy as np
import pandas as pd

from hf_attn_attr import AttributionExtractor
from hf_attn_attr.loading import load_model

TINY = {"embedding_size": 16, "hidden_size": 8, "attention_size": 8, "char_ngram_buckets": 0}
GOOD = ["good", "lovely", "great", "fine", "superb", "warm"]
BAD = ["bad", "awful", "poor", "grim", "dull", "cold"]
FILLER = [f"w{number}" for number in range(40)]


def reviews(count, seed):
    """Texts whose label follows from two words among fillers."""
    rng = np.random.default_rng(seed)
    rows = []
    for row in range(count):
        words = list(rng.choice(FILLER, 6)) + list(rng.choice([GOOD, BAD][row % 2], 2))
        rows.append((" ".join(rng.permutation(words)), ["pos", "neg"][row % 2]))
    return pd.DataFrame(rows, columns=["text", "label"])


def extractor(folder, **arguments):
    return AttributionExtractor(*load_model(folder), **arguments)
