"""What the data say about words and classes, from gold labels alone: the contrast to a model."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .association_table import AssociationTable
from .columns import read_words
from .exact import IntArray
from .exact_test import exact_test
from .false_discovery import discrete_q_values
from .folding import BATCH_SIZE, ExtractedDataset, batches
from .gold import class_names, read_gold
from .grouping import group_words
from .log_odds import log_odds, pointwise_mutual_information
from .words import Normalization, WordRule

# Words of fewer texts are not tested: they could hardly be found, and would not be believed.
MIN_DOCUMENTS = 5


def association(
    dataset: ExtractedDataset,
    label_column: str = "label",
    *,
    lowercase: bool = True,
    normalization: Normalization | None = "NFC",
    min_documents: int = MIN_DOCUMENTS,
    provenance: Mapping[str, Any] | None = None,
    batch_size: int = BATCH_SIZE,
) -> AssociationTable:
    """How each word goes with each gold label, and which pairs are more than chance.

    The test permutes whole label rows over the texts: is the number of texts that have both word
    and label what chance would give? It knows the words and the labels, not the model; texts that
    the model was not trained on make it a second opinion on what the model learned. Copies of a
    text count as texts of their own: drop them first.

    Args:
        dataset: The column `words` as `extract` writes it, and gold labels: ClassLabel or
            List(ClassLabel), null or -1 where a text has none. Unlabelled texts are left out.
        label_column: Its name.
        lowercase: As for `fold`.
        normalization: As for `fold`.
        min_documents: Words of fewer texts are not tested.
        provenance: What the texts are, plain JSON values, for the table's description.
        batch_size: Texts at a time; changes the speed, never the result.

    Raises:
        InvalidInputError: If a column is missing or does not hold what it should.
    """
    labels = class_names(dataset.features, label_column)
    rule = WordRule(lowercase, normalization)
    counts = _Counts(len(labels))
    unlabelled = 0
    for first_row, batch in batches(dataset, batch_size):
        words = read_words(batch, first_row)
        gold = read_gold(batch[label_column], len(labels), first_row)
        keys, pairs = group_words(words, rule)
        known = gold.known[pairs.text].astype(np.int64)[:, None]
        has = gold.has[pairs.text]
        occurrences = pairs.occurrences[:, None]
        values = np.hstack([known, known * occurrences, has, has * occurrences])
        counts.add(keys, (pairs.groups @ values).astype(np.int64))
        kept = gold.known & (words.lengths > 0)
        counts.texts += int(kept.sum())
        counts.labelled += gold.has[kept].sum(axis=0)
        unlabelled += int((~gold.known).sum())
    return _table(
        counts,
        labels,
        min_documents,
        {
            "labels": list(labels),
            "word_rule": rule.describe(),
            "texts": counts.texts,
            "unlabelled_texts": unlabelled,
            "min_documents": min_documents,
            "provenance": dict(provenance or {}),
        },
    )


class _Counts:
    """Sums over texts: per word the texts and the occurrences, in all and within each class."""

    def __init__(self, n_classes: int) -> None:
        self.row_of: dict[str, int] = {}
        self.sums: IntArray = np.zeros((0, 2 + 2 * n_classes), np.int64)
        self.texts = 0
        self.labelled: IntArray = np.zeros(n_classes, np.int64)

    def add(self, words: list[str], sums: IntArray) -> None:
        rows = np.array([self.row_of.setdefault(w, len(self.row_of)) for w in words], np.int64)
        if len(self.row_of) > len(self.sums):  # doubling keeps the copying linear
            grown = np.zeros((2 * len(self.row_of), self.sums.shape[1]), np.int64)
            grown[: len(self.sums)] = self.sums
            self.sums = grown
        self.sums[rows] += sums

    def in_word_order(self) -> tuple[tuple[str, ...], IntArray]:
        """The words of labelled texts, sorted by code point, and their sums."""
        seen = [word for word, row in self.row_of.items() if self.sums[row, 0]]
        words = tuple(sorted(seen))
        return words, self.sums[np.array([self.row_of[word] for word in words], np.int64)]


def _table(
    counts: _Counts, labels: tuple[str, ...], min_documents: int, description: dict[str, Any]
) -> AssociationTable:
    words, sums = counts.in_word_order()
    documents, count = sums[:, 0], sums[:, 1]
    both, inside = np.split(sums[:, 2:], 2, axis=1)
    texts, labelled = counts.texts, counts.labelled
    odds = log_odds(inside, count)

    # What all texts have, or none, cannot go with anything.
    rows = np.flatnonzero((documents >= min_documents) & (documents < texts))
    columns = np.flatnonzero((labelled > 0) & (labelled < texts))
    tested = np.ix_(rows, columns)
    test = exact_test(both[tested], documents[rows], labelled[columns], texts)
    p_value, q_value = (np.full(both.shape, np.nan) for _ in range(2))
    p_value[tested], q_value[tested] = test.mid_p_value, discrete_q_values(test)
    return AssociationTable(
        words=words,
        labels=labels,
        count=count,
        document_count=documents,
        label_documents=labelled,
        documents_with_label=both,
        log_odds=odds.value,
        log_odds_standard_error=odds.standard_error,
        pmi=pointwise_mutual_information(both, documents, labelled, texts),
        p_value=p_value,
        q_value=q_value,
        description={**description, "tested": test.p_value.size},
    )
