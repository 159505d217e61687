"""Word x class association in the data, as `association` measures it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .exact import FloatArray, IntArray


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AssociationTable:
    """How words go with gold labels. W words, C labels; NaN means undefined or not tested.

    Attributes:
        words: Keys of the words of the labelled texts, sorted by code point.
        labels: Names of the classes, as the label column has them.
        count: Occurrences, int64 (W,).
        document_count: Texts that hold the word, int64 (W,).
        label_documents: Texts that have the label, int64 (C,).
        documents_with_label: Texts that have both, int64 (W, C).
        log_odds: Log-odds of the word in texts with the label against texts without, (W, C).
        log_odds_standard_error: Its standard error, (W, C).
        pmi: Pointwise mutual information over texts, shrunk, (W, C).
        p_value: Mid-p-value of the permutation test, two-sided, (W, C).
        q_value: The share of false findings among all cells of this q or less, (W, C).
        description: labels, word_rule, texts, unlabelled_texts, min_documents, tested (cells),
            provenance; plain JSON values.
    """

    words: tuple[str, ...]
    labels: tuple[str, ...]
    count: IntArray
    document_count: IntArray
    label_documents: IntArray
    documents_with_label: IntArray
    log_odds: FloatArray
    log_odds_standard_error: FloatArray
    pmi: FloatArray
    p_value: FloatArray
    q_value: FloatArray
    description: dict[str, Any]

    def __repr__(self) -> str:
        return (
            f"AssociationTable({len(self.words)} words x {list(self.labels)}, "
            f"{self.description['texts']} texts)"
        )

    def to_pandas(self) -> pd.DataFrame:
        """A row per word and label: texts with the word, with the label, with both; measures."""
        n_words, n_labels = len(self.words), len(self.labels)
        cells = {
            "documents_with_label": self.documents_with_label,
            "log_odds": self.log_odds,
            "log_odds_standard_error": self.log_odds_standard_error,
            "pmi": self.pmi,
            "p_value": self.p_value,
            "q_value": self.q_value,
        }
        return pd.DataFrame(
            {
                "word": np.repeat(np.array(self.words, object), n_labels),
                "label": np.tile(np.array(self.labels, object), n_words),
                "count": np.repeat(self.count, n_labels),
                "documents": np.repeat(self.document_count, n_labels),
                "label_documents": np.tile(self.label_documents, n_words),
                **{name: values.reshape(-1) for name, values in cells.items()},
            }
        )
