"""Adding up texts: the part of a fold that can be spread over shards, processes and machines."""

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import numpy as np
from scipy.sparse import csr_array

from hf_attn_attr.errors import IncompatibleError, InvalidInputError
from hf_attn_attr.files import sha256_of_file

from .columns import ProblemType, Words, read_words
from .estimation import estimate
from .exact import FloatArray, IntArray, Limbs, add, sum_groups, zeros
from .grouping import pairs_of
from .matrix import InfluenceMatrix
from .ragged import Batch
from .running_sums import RunningSums
from .terms import Columns, Terms, read_columns
from .totals import BITS, Totals, damaged, load_totals, save_totals
from .vocabulary import OTHER, Found, Vocabulary
from .words import Normalization, WordRule

_N_LABELS = {
    "single_label_classification": (2, math.inf),
    "multi_label_classification": (1, math.inf),
    "regression": (1, 1),
}


class InfluenceAccumulator:
    """Exact, mergeable totals of the extracted columns of many texts.

    Any order of updates, any split into shards and any tree of merges gives the same state, the
    same file and the same matrix, bit for bit. After a change that was cut off (Ctrl-C, no memory)
    every method refuses, because the sums are those of no texts.

    Args:
        labels: Names of the classes in model order; one pseudo label for regression.
        problem_type: What the probabilities are. Attributions of a single-label model are centred
            over the classes, because shifting all logits of a softmax changes nothing.
        lowercase: Whether words that differ in case are one word.
        normalization: Unicode normal form under which words are compared, or None.
        method: How the attributions were made; recorded, and only equal methods merge.
        classes: The labels that `attribution` has columns for, in model order, if not all; it is
            then centred already. Influence on the other labels is undefined.
        max_words: Words that are told apart, the first to appear; it bounds the memory, at 16
            bytes a word and label and sum. All words that appear later are counted as one word,
            "[other words]". What is kept is exact, but which words are kept depends on the order
            of the texts, and folds that kept different words do not merge.

    Raises:
        InvalidInputError: If labels are missing, repeated or empty, their number does not fit the
            problem type, or an option is unknown.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        problem_type: ProblemType = "single_label_classification",
        lowercase: bool = True,
        normalization: Normalization | None = "NFC",
        method: str = "contribution",
        classes: Sequence[str] | None = None,
        max_words: int | None = None,
    ) -> None:
        _check_labels(labels, problem_type)
        _check_classes(classes, labels)
        self.labels = tuple(labels)
        self.problem_type: ProblemType = problem_type
        self.word_rule = WordRule(lowercase, normalization)
        self.method = method
        self.classes = None if classes is None else tuple(classes)
        if max_words is not None and max_words < 1:
            raise InvalidInputError(f"max_words is {max_words}; pass a number from 1 on, or None.")
        self.max_words = max_words
        self._vocabulary = Vocabulary(self.word_rule, max_words)
        self._sums = RunningSums()
        self._class_sums = zeros((len(self.labels),))
        self._texts = 0
        self._empty_texts = 0
        # Which sets of texts are in here: this one's own, and those of all that were merged. Copies
        # have the same, but for copies of an empty one, which have texts of their own.
        self._own: Hashable = None
        self._parts: set[Hashable] = set()
        self._cut_off = False

    def update(self, batch: Batch, *, first_row: int = 0) -> None:
        """Add a batch of texts, or refuse it and change nothing.

        Args:
            batch: Columns `words`, `attention`, `attribution`, `probabilities` and perhaps
                `attribution_context` as `extract` writes them: a pyarrow.Table, or a mapping to
                Arrow arrays, numpy arrays or lists.
            first_row: Number of the batch's first row, for messages.

        Raises:
            NonFiniteError: If a number is NaN or infinite.
            InvalidInputError: If columns are missing, do not fit each other or do not hold what
                they should, or attributions come and go between batches.
        """
        words = read_words(batch, first_row)
        n_classes = len(self.classes or self.labels)
        columns = read_columns(batch, words, len(self.labels), n_classes, self.problem_type)
        filled = self._sums.names()
        if len(words.codes) and filled and filled != columns.names():
            raise InvalidInputError(
                f"The batch from row {first_row} on fills {sorted(columns.names())}, the batches "
                f"before filled {sorted(filled)}. Fold only texts extracted with the same method."
            )
        class_sums = add(self._class_sums, self._sum_classes(columns.probabilities, words.lengths))
        found = self._vocabulary.find(words) if len(words.codes) else None
        terms = found and self._terms(columns, words, found)
        texts = int((words.lengths > 0).sum())
        with self._changing():
            if found and terms:
                self._sums.add_terms(terms, found.rows)
                self._vocabulary.add(found)
            self._class_sums = class_sums
            self._texts += texts
            self._empty_texts += len(words.lengths) - texts
            self._own = self._own or uuid4()
            self._parts.add(self._own)

    def merge(self, other: "InfluenceAccumulator") -> None:
        """Add the texts of `other`, which stays as it is.

        Raises:
            IncompatibleError: If the two differ in labels, problem type, word rule, method, or in
                which columns were filled, or under max_words kept different words.
            InvalidInputError: If texts would count twice: `other` is this accumulator, was merged
                already, or is a copy of one that was, or was saved to or loaded from the same file.
                What was merged before it was saved is not known to whoever loads it.
        """
        if other is self or self._parts & other._parts:
            raise InvalidInputError(
                "An accumulator cannot be merged with itself, nor with one that is in it already: "
                "its texts would count twice. Pass another."
            )
        if self._description() != other._description():
            raise IncompatibleError(
                f"This accumulator is {self._description()} but the other is "
                f"{other._description()}. Merge only folds made with equal settings."
            )
        here, there = self._sums.names(), other._sums.names()
        if here and there and here != there:
            raise IncompatibleError(
                f"This accumulator has {sorted(here)} but the other {sorted(there)}. Merge only "
                "folds of texts extracted with the same method."
            )
        if not self._vocabulary.agrees_with(other._vocabulary):
            raise IncompatibleError(
                f"With max_words={self.max_words} the two folds kept different words, and what one "
                "counts as other words cannot be taken apart. Raise max_words, or fold all texts "
                "in one accumulator."
            )
        self._add(other._totals(), other._parts)

    def save(self, path: str | Path) -> None:
        """Write the exact state to one safetensors file, whole or not at all."""
        path = Path(path).resolve()
        self._parts.add((path, save_totals(path, self._totals(), self._description())))

    @classmethod
    def load(cls, path: str | Path) -> "InfluenceAccumulator":
        """The accumulator that `save` wrote.

        Raises:
            CorruptArtifactError: If the file is missing, or anything in it has changed since.
            IncompatibleError: If another format version wrote it.
        """
        path = Path(path).resolve()
        totals, description = load_totals(path)
        try:
            rule = description.pop("word_rule")
            accumulator = cls(**description, **rule)
        except (KeyError, TypeError, InvalidInputError) as error:
            raise damaged(path, str(error)) from error
        kept = len(totals.words) - (OTHER in totals.words)
        if accumulator.max_words is not None and kept > accumulator.max_words:
            raise damaged(path, f"it tells {kept} words apart, more than its max_words")
        accumulator._add(totals, {(path, sha256_of_file(path))})
        return accumulator

    def finalize(self, provenance: Mapping[str, Any] | None = None) -> InfluenceMatrix:
        """The influence matrix of all texts added so far; adding may go on afterwards.

        Args:
            provenance: What the texts and the model were (corpus, revision, digests, ...), plain
                JSON values; recorded in the manifest.
        """
        return estimate(self._totals(), self._description(), dict(provenance or {}))

    def _terms(self, columns: Columns, words: Words, found: Found) -> Terms:
        single = self.problem_type == "single_label_classification"
        return Terms(
            columns,
            pairs_of(found.codes, words.offsets),
            words.lengths,
            len(self.labels),
            None if self.classes is None else [self.labels.index(c) for c in self.classes],
            single and self.classes is None,
        )

    def _sum_classes(self, probabilities: FloatArray | None, lengths: IntArray) -> Limbs:
        if probabilities is None:
            return zeros((len(self.labels),))
        counted = csr_array((lengths > 0)[None, :].astype(np.float64))
        total = sum_groups(probabilities, counted, BITS["joint"], 1.0)
        return Limbs(total.high[0], total.low[0])

    def _add(self, part: Totals, parts: set[Hashable]) -> None:
        """Add checked totals of some sets of texts; what can fail comes before the first change."""
        found = self._vocabulary.find_keys(part.words)
        class_sums = add(self._class_sums, part.class_sums)
        with self._changing():
            self._sums.add_totals(part, found.rows)
            self._vocabulary.add(found)
            self._class_sums = class_sums
            self._texts += part.texts
            self._empty_texts += part.empty_texts
            self._parts |= parts

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """A change that is all or nothing: what cuts it off (Ctrl-C, no memory) ends the fold."""
        if self._cut_off:
            raise InvalidInputError(
                "A change of this accumulator was cut off in the middle, so its sums are those of "
                "no texts. Fold again, or load the last state that was saved."
            )
        self._cut_off = True
        try:
            yield
        except InvalidInputError:  # refused before anything was changed
            self._cut_off = False
            raise
        self._cut_off = False

    def _totals(self) -> Totals:
        with self._changing():
            sums = self._sums.carried()
        return Totals(
            words=self._vocabulary.words(),
            counts=self._sums.counts,
            sums=sums,
            class_sums=self._class_sums,
            texts=self._texts,
            empty_texts=self._empty_texts,
        )

    def _description(self) -> dict[str, Any]:
        return {
            "labels": list(self.labels),
            "problem_type": self.problem_type,
            "word_rule": self.word_rule.describe(),
            "method": self.method,
            **({} if self.classes is None else {"classes": list(self.classes)}),
            **({} if self.max_words is None else {"max_words": self.max_words}),
        }


def _check_classes(classes: Sequence[str] | None, labels: Sequence[str]) -> None:
    if classes is None:
        return
    if not classes or list(classes) != [name for name in labels if name in classes]:
        raise InvalidInputError(
            f"classes are {list(classes)}; pass some of the labels {list(labels)}, in their order."
        )


def _check_labels(labels: Sequence[str], problem_type: ProblemType) -> None:
    if problem_type not in get_args(ProblemType):
        raise InvalidInputError(
            f"problem_type is {problem_type!r}; pass one of {list(get_args(ProblemType))}."
        )
    names = [labels] if isinstance(labels, str) else list(labels)
    if isinstance(labels, str) or not all(isinstance(name, str) and name for name in names):
        raise InvalidInputError(f"labels are {labels!r}; pass a list of names, none empty.")
    if len(set(names)) != len(names):
        raise InvalidInputError(f"labels {names} repeat a name; every class needs its own.")
    fewest, most = _N_LABELS[problem_type]
    if not fewest <= len(names) <= most:
        raise InvalidInputError(
            f"{problem_type} cannot have {len(names)} labels {names}; regression has one, "
            "single_label_classification at least two, multi_label_classification at least one."
        )
