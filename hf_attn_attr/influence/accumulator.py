"""Adding up texts: the part of a fold that can be spread over shards, processes and machines."""

import math
from collections.abc import Hashable, Mapping, Sequence
from functools import reduce
from itertools import count
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from hf_attn_attr.errors import IncompatibleError, InvalidInputError
from hf_attn_attr.files import sha256_of_file

from .columns import (
    Batch,
    ProblemType,
    read_attention,
    read_attribution,
    read_probabilities,
    read_words,
)
from .estimation import estimate
from .exact import FloatArray, IntArray, Limbs, add, sum_groups, zeros
from .grouping import group_words
from .matrix import InfluenceMatrix
from .totals import BITS, Totals, damaged, load_totals, save_totals
from .words import Normalization, WordRule

_N_LABELS = {
    "single_label_classification": (2, math.inf),
    "multi_label_classification": (1, math.inf),
    "regression": (1, 1),
}


class InfluenceAccumulator:
    """Exact, mergeable totals of the extracted columns of many texts.

    Any order of updates, any split into shards and any tree of merges gives the same state, the
    same file and the same matrix, bit for bit.

    Args:
        labels: Names of the classes in model order; one pseudo label for regression.
        problem_type: What the probabilities are. Attributions of a single-label model are centred
            over the classes, because shifting all logits of a softmax changes nothing.
        lowercase: Whether words that differ in case are one word.
        normalization: Unicode normal form under which words are compared, or None.
        method: How the attributions were made; recorded, and only equal methods merge.
        classes: The labels that `attribution` has columns for, in model order, if not all; it is
            then centred already. Influence on the other labels is undefined.

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
    ) -> None:
        _check_labels(labels, problem_type)
        _check_classes(classes, labels)
        self.labels = tuple(labels)
        self.problem_type: ProblemType = problem_type
        self.word_rule = WordRule(lowercase, normalization)
        self.method = method
        self.classes = None if classes is None else tuple(classes)
        self._row_of: dict[str, int] = {}
        self._counts: IntArray = np.zeros((0, 3), np.int64)
        self._sums: dict[str, Limbs] = {}
        self._class_sums = zeros((len(self.labels),))
        self._texts = 0
        self._empty_texts = 0
        # Which sets of texts are in here: this one's own, and those of all that were merged.
        self._parts: set[Hashable] = {object()}

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
        part = self._totals_of(batch, first_row)
        if self._sums and part.sums and self._sums.keys() != part.sums.keys():
            raise InvalidInputError(
                f"The batch from row {first_row} on fills {sorted(part.sums)}, the batches before "
                f"filled {sorted(self._sums)}. Fold only texts extracted with the same method."
            )
        self._add(part)

    def merge(self, other: "InfluenceAccumulator") -> None:
        """Add the texts of `other`, which stays as it is.

        Raises:
            IncompatibleError: If the two differ in labels, problem type, word rule, method, or in
                which columns were filled.
            InvalidInputError: If texts would count twice: `other` is this accumulator, was merged
                already, was loaded from a file that was, or shares a part with this one.
        """
        if self._parts & other._parts:
            raise InvalidInputError(
                "An accumulator cannot be merged with itself, nor with one that is in it already: "
                "its texts would count twice. Pass another."
            )
        if self._description() != other._description():
            raise IncompatibleError(
                f"This accumulator is {self._description()} but the other is "
                f"{other._description()}. Merge only folds made with equal settings."
            )
        if self._sums and other._sums and self._sums.keys() != other._sums.keys():
            raise IncompatibleError(
                f"This accumulator has {sorted(self._sums)} but the other {sorted(other._sums)}. "
                "Merge only folds of texts extracted with the same method."
            )
        self._add(other._totals())
        self._parts |= other._parts

    def save(self, path: str | Path) -> None:
        """Write the exact state to one safetensors file, whole or not at all."""
        save_totals(Path(path), self._totals(), self._description())

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
        accumulator._add(totals)
        accumulator._parts = {(path, sha256_of_file(path))}
        return accumulator

    def finalize(self, provenance: Mapping[str, Any] | None = None) -> InfluenceMatrix:
        """The influence matrix of all texts added so far; adding may go on afterwards.

        Args:
            provenance: What the texts and the model were (corpus, revision, digests, ...), plain
                JSON values; recorded in the manifest.
        """
        return estimate(self._totals(), self._description(), dict(provenance or {}))

    def _totals_of(self, batch: Batch, first_row: int) -> Totals:
        n_labels = len(self.labels)
        words = read_words(batch, first_row)
        attention = read_attention(batch, words)
        n_classes = len(self.classes or self.labels)
        attribution = read_attribution(batch, "attribution", words, n_classes)
        context = read_attribution(batch, "attribution_context", words, n_classes)
        probabilities = read_probabilities(batch, words, n_labels, self.problem_type)
        if context is not None and attribution is None:
            raise InvalidInputError(
                "The batch has attribution_context but no attribution. Pass both or neither."
            )
        if attention is None and attribution is None and words.lengths.any():
            raise InvalidInputError(
                f"The batch from row {first_row} on has neither attention nor attribution. Extract "
                "it with any method."
            )

        pairs = group_words(words, self.word_rule)
        occurrences = pairs.occurrences[:, None]
        terms = {}
        if attention is not None:
            mass = pairs.positions @ attention[:, None]
            terms["attention"] = mass
            terms["relative_attention"] = mass * words.lengths[pairs.text][:, None]
            if probabilities is not None:
                terms["joint"] = mass * probabilities[pairs.text]
        if attribution is not None:
            totals = self._centred(pairs.positions @ attribution)
            terms["attribution"] = totals
            with np.errstate(over="ignore"):  # an infinite square is refused with the other sums
                terms["attribution_squared"] = totals * totals
            terms["attribution_times_count"] = totals * occurrences
        if context is not None:
            terms["attribution_context"] = self._centred(pairs.positions @ context)

        with_words = words.lengths > 0
        counts = np.hstack([occurrences, occurrences**2, np.ones_like(occurrences)])
        return Totals(
            words=pairs.words,
            counts=(pairs.groups @ counts).astype(np.int64),
            sums={
                name: sum_groups(values, pairs.groups, BITS[name])
                for name, values in terms.items()
                if pairs.words
            },
            class_sums=self._sum_classes(probabilities, with_words),
            texts=int(with_words.sum()),
            empty_texts=int((~with_words).sum()),
        )

    def _centred(self, totals: FloatArray) -> FloatArray:
        """Totals (pairs, labels), centred if they have to be; 0 for labels not attributed."""
        if self.classes is not None:
            every = np.zeros((len(totals), len(self.labels)))
            every[:, [self.labels.index(name) for name in self.classes]] = totals
            return every
        if self.problem_type != "single_label_classification":
            return totals
        # Class by class, because the order in which numpy sums rows depends on the batch.
        mean = reduce(np.add, totals.T) / totals.shape[1]
        return totals - mean[:, None]

    def _sum_classes(self, probabilities: FloatArray | None, counted: NDArray[np.bool_]) -> Limbs:
        if probabilities is None:
            return zeros((len(self.labels),))
        everything = csr_array(counted[None, :].astype(np.float64))
        total = sum_groups(probabilities, everything, BITS["joint"])
        return Limbs(total.high[0], total.low[0])

    def _add(self, part: Totals) -> None:
        """Add checked totals: everything that can fail comes before the first change."""
        known = len(self._row_of)
        fresh = (word for word in part.words if word not in self._row_of)
        row_of = dict(zip(fresh, count(known), strict=False))
        rows = np.array(
            [self._row_of[w] if w in self._row_of else row_of[w] for w in part.words], np.int64
        )
        self._reserve(known + len(row_of), part.sums)
        sums = {
            name: add(Limbs(held.high[rows], held.low[rows]), part.sums[name])
            for name, held in self._sums.items()
            if part.sums
        }
        class_sums = add(self._class_sums, part.class_sums)

        self._row_of |= row_of
        self._counts[rows] += part.counts
        for name, total in sums.items():
            self._sums[name].high[rows] = total.high
            self._sums[name].low[rows] = total.low
        self._class_sums = class_sums
        self._texts += part.texts
        self._empty_texts += part.empty_texts

    def _reserve(self, rows: int, like: dict[str, Limbs]) -> None:
        """Make room for `rows` words; unused rows are 0 and mean nothing."""
        self._counts = _grown(self._counts, rows)
        columns = {name: limbs.high.shape[1] for name, limbs in (self._sums or like).items()}
        for name, width in columns.items():
            held = self._sums.get(name, zeros((0, width)))
            self._sums[name] = Limbs(_grown(held.high, rows), _grown(held.low, rows))

    def _totals(self) -> Totals:
        used = len(self._row_of)
        return Totals(
            words=list(self._row_of),
            counts=self._counts[:used],
            sums={name: Limbs(s.high[:used], s.low[:used]) for name, s in self._sums.items()},
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
        }


def _grown(array: IntArray, rows: int) -> IntArray:
    if rows <= len(array):
        return array
    # Doubling keeps the copying linear in the final size.
    grown = np.zeros((max(rows, 2 * len(array)), array.shape[1]), np.int64)
    grown[: len(array)] = array
    return grown


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
