"""Word x class influence: the published answer, immutable, readable without any model."""

import difflib
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hf_attn_attr.errors import CorruptArtifactError, InvalidInputError
from hf_attn_attr.files import replacing
from hf_attn_attr.markup import csv, csv_quoting
from hf_attn_attr.remote import Branch, Publication

from . import statistics, storage
from .exact import FloatArray, IntArray
from .locating import matrix_folder
from .manifest import plain_manifest
from .notebook import InfluenceRows, matrix_html
from .storage import COLUMNS, NUMBERS, PER_WORD
from .words import WordRule

if TYPE_CHECKING:
    from .association_table import AssociationTable

# Measures with a sign rank from the most positive or from the most negative; the others do not.
_SIGNED = ("lower_bound", "influence", "mean", "word_part", "context_part", "npmi", "log_odds")
_UNSIGNED = (
    *("joint", "p_word_given_class", "p_class_given_word", "lift"),
    *("attention_ratio", "count", "documents"),
)


@dataclass(frozen=True, slots=True)
class InfluenceRecord:
    """What is known about one word and one label; the fields are those of `InfluenceMatrix`."""

    word: str
    label: str
    count: int
    documents: int
    influence: float
    low: float
    high: float
    lower_bound: float
    word_part: float
    context_part: float
    joint: float
    p_word_given_class: float
    p_class_given_word: float
    lift: float
    npmi: float
    log_odds: float
    association_q_value: float
    evidence: str
    mean: float
    standard_error: float
    degrees_of_freedom: float
    attention_ratio: float
    log_odds_standard_error: float


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class InfluenceMatrix:
    """How much each word influences each class, with error bars. W words, C labels.

    Arrays are float64 (W, C) unless said otherwise, and read-only: copies, but for arrays that are
    marked read-only and are no view of another's memory. NaN means undefined. What the data say of
    the same words comes in by `with_association`; to fill in other columns or checks later, use
    `dataclasses.replace`.

    Attributes:
        words: Keys of the words, sorted by code point.
        labels: Names of the classes, in model order.
        count: Occurrences, int64 (W,).
        document_count: Texts that hold the word, int64 (W,).
        influence: `mean` shrunk by d / (d + 5) with d = document_count: the number to show.
        low: Lower end of the 95% interval of `mean`; NaN below 3 texts.
        high: Upper end of it.
        lower_bound: sign * max(|mean| - 1.64 standard_error, 0), 0 below 3 texts: the number to
            rank by.
        word_part: Part of `influence` that comes from the word itself.
        context_part: Part that comes from its context; the two add up to `influence`.
        joint: P(word, class), the mean over texts of attention mass times probability. It counts
            frequency: common words have much of it.
        p_word_given_class: `joint` over its sum over words.
        p_class_given_word: `joint` over the mean attention mass of the word.
        lift: P(word, class) / (P(word) P(class)).
        npmi: Normalised pointwise mutual information, in [-1, 1].
        log_odds: Log-odds of the word in texts with the gold label against texts without: what the
            data say, without the model (see `association`); NaN until filled in.
        association_q_value: Whether word and gold label go together more than by chance,
            corrected for many tests; NaN until filled in, and for words too rare to test.
        mean: Mean attribution per occurrence in logits (centred over the classes of a single-label
            model), for regression in units of the target.
        standard_error: Error of `mean`, texts as units; NaN below 3 texts.
        degrees_of_freedom: Of the t-interval, (W,).
        attention_ratio: Mean attention relative to uniform attention, (W,): corrected for the
            length of the texts, which `joint` is not.
        log_odds_standard_error: Of `log_odds`.
        manifest: What the matrix is of: labels, problem_type, method, word_rule, texts,
            empty_texts, words, distinct_words, provenance, checks.

    Raises:
        InvalidInputError: If words are not sorted and unique, labels repeat, a shape is wrong, or
            the manifest is not plain JSON or does not fit.
    """

    words: tuple[str, ...]
    labels: tuple[str, ...]
    count: IntArray
    document_count: IntArray
    influence: FloatArray
    low: FloatArray
    high: FloatArray
    lower_bound: FloatArray
    word_part: FloatArray
    context_part: FloatArray
    joint: FloatArray
    p_word_given_class: FloatArray
    p_class_given_word: FloatArray
    lift: FloatArray
    npmi: FloatArray
    log_odds: FloatArray
    association_q_value: FloatArray
    mean: FloatArray
    standard_error: FloatArray
    degrees_of_freedom: FloatArray
    attention_ratio: FloatArray
    log_odds_standard_error: FloatArray
    manifest: dict[str, Any]

    def __post_init__(self) -> None:
        if any(left >= right for left, right in pairwise(self.words)):
            raise InvalidInputError("The words are not sorted by code point, or one is repeated.")
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise InvalidInputError(f"The labels {self.labels} are missing or repeat a name.")
        for column in NUMBERS:
            name = _attribute(column)
            width = () if column in PER_WORD else (len(self.labels),)
            array = _read_only(getattr(self, name), name, (len(self.words), *width))
            object.__setattr__(self, name, array)
        object.__setattr__(self, "manifest", plain_manifest(self.manifest, self.labels))

    def __repr__(self) -> str:
        return (
            f"InfluenceMatrix({len(self.words)} words x {list(self.labels)}, "
            f"method {self.manifest.get('method')!r}, {self.manifest.get('texts')} texts)"
        )

    def _repr_html_(self) -> str:
        return matrix_html(self)

    @cached_property
    def evidence(self) -> NDArray[np.str_]:
        """How far the texts agree, (W, C): "insufficient", "uncertain" or "consistent".

        About the model, not about the data: see `statistics.evidence`.
        """
        array = statistics.evidence(self.low, self.high)
        array.setflags(write=False)
        return array

    def interval(self, level: float = statistics.LEVEL) -> tuple[FloatArray, FloatArray]:
        """Ends of the t-interval of `mean`, (W, C) each; NaN below 3 texts.

        Raises:
            InvalidInputError: If `level` is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise InvalidInputError(f"level is {level}; pass a share between 0 and 1, like 0.95.")
        if level == statistics.LEVEL:
            return self.low, self.high
        return statistics.interval(self.mean, self.standard_error, self.degrees_of_freedom, level)

    def top_words(
        self,
        label: str,
        k: int = 20,
        by: str = "lower_bound",
        min_documents: int = statistics.MIN_DOCUMENTS,
        negative: bool = False,
    ) -> InfluenceRows:
        """The words that influence `label` most; equal values are ordered by word.

        Args:
            label: Name of the class.
            k: At most this many words.
            by: Measure to rank by. Of a measure with a sign, only values above 0 are listed.
            min_documents: Leave out words of fewer texts.
            negative: List values below 0 instead, the lowest first: what speaks against `label`.

        Raises:
            InvalidInputError: If the label or the measure is unknown, the measure is undefined in
                this matrix, or a measure without sign should rank negatives.
        """
        column = self.label_index(label)
        values = self._ranking(by, column, negative)
        listed = ~np.isnan(values) & (self.document_count >= min_documents)
        if by in _SIGNED:
            listed &= values > 0
        rows = np.flatnonzero(listed)
        rows = rows[np.argsort(-values[rows], kind="stable")[: max(k, 0)]]
        return InfluenceRows(self._frame(rows, np.full(len(rows), column)))

    def word(self, word: str) -> InfluenceRows:
        """How much `word` influences each class: a row per label, in model order.

        `word` is looked up by the matrix's own word rule (case, Unicode form).

        Raises:
            InvalidInputError: If the word is not in the matrix; names the nearest words.
        """
        columns = np.arange(len(self.labels))
        return InfluenceRows(self._frame(np.full(len(columns), self._word_index(word)), columns))

    def score(self, word: str, label: str) -> InfluenceRecord:
        """What is known about one word and one label.

        Raises:
            InvalidInputError: If the word or the label is unknown.
        """
        row, column = np.array([self._word_index(word)]), np.array([self.label_index(label)])
        record: dict[Any, Any] = self._frame(row, column).to_dict("records")[0]
        return InfluenceRecord(**record)

    def compare(
        self, other: "InfluenceMatrix", min_documents: int = statistics.MIN_DOCUMENTS
    ) -> pd.DataFrame:
        """What changed from this matrix to `other`: two revisions, two models, two corpora.

        A row per word and label, both matched by name, for words with at least `min_documents`
        texts (never fewer than 3) in both; and for words that one matrix attests and of which the
        other has fewer. Columns: word, label, change, documents, documents_other, influence,
        influence_other, difference (of the raw means, other - this), difference_low and
        difference_high (its 95% interval), q_value, evidence, evidence_other.

        `change` says what the errors do not explain, with at most 5% false ones expected among all
        that are shown: "flipped" (consistent in both, with opposite signs), "gained" (consistent in
        `other` alone), "lost" (in this one alone), "stronger", "weaker" (consistent in both, with
        one sign), else "none shown". Where one matrix has too few texts of a word, "gained" and
        "lost" mean just that, and there is no difference.

        The two folds are taken to share no texts. If they do share them, fewer changes are shown
        than there are.
        Where the methods of the two differ, a change of size may be the methods'.

        Raises:
            IncompatibleError: If the labels, word rules or problem types differ, or a matrix holds
                attention alone.
        """
        from .comparison import compare

        return compare(self, other, min_documents)

    def with_association(self, table: "AssociationTable") -> "InfluenceMatrix":
        """A matrix that also says what the data say: log-odds and q-values of gold labels.

        Words and labels are matched by name; what the table lacks stays NaN. The manifest's checks
        get an entry "association" that says which texts were tested.

        Raises:
            IncompatibleError: If the label sets or the word rules differ.
        """
        from .contrast import with_association

        return with_association(self, table)

    def disagreements(
        self, label: str, k: int = 20, min_documents: int = statistics.MIN_DOCUMENTS
    ) -> pd.DataFrame:
        """Words of which the model and the data say different things of `label`.

        Both are put on one scale: `model` is the mean influence and `data` the log-odds, each over
        the standard deviation of its true values over words (spread beyond noise). Words are
        ordered by `bound`, what of their difference is left with caution: |difference| - 1.64 of
        its standard errors, above 0. First up to `k` words whose value is larger, in size, in the
        model (shortcuts, imported knowledge), then up to `k` whose value is larger in the data
        (cues that the model does not use, or words that only keep company with its cues).

        Columns: word, documents, stronger_in ("model" or "data"), model, data, difference, bound,
        influence, evidence, log_odds, association_q_value.

        Raises:
            InvalidInputError: If the label is unknown, or the matrix has no association.
        """
        from .contrast import disagreements

        return disagreements(self, label, k, min_documents)

    def to_pandas(self) -> pd.DataFrame:
        """The long form: a row per word and label, the columns of the published table."""
        return self._frame(*_grid(np.arange(len(self.words)), np.arange(len(self.labels))))

    def to_csv(self, path: str | Path) -> None:
        """Write the long form as UTF-8 CSV, undefined numbers left empty.

        A word or label that a spreadsheet would run as a formula (after any apostrophes, it begins
        with = + - @, tab or carriage return) gets one apostrophe in front; take it away to have
        the word again.
        """
        frame = self.to_pandas()
        for name in ("word", "label"):
            frame[name] = [csv(text) for text in frame[name]]
        with replacing(Path(path)) as temporary:
            frame.to_csv(
                temporary,
                index=False,
                lineterminator="\n",
                encoding="utf-8",
                quoting=csv_quoting((*self.words, *self.labels)),
            )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `influence/influence.parquet` and `influence/manifest.json` into `folder`.

        Raises:
            InvalidInputError: If `influence` there is a link, which leads out of the folder.
        """
        place = Path(folder) / storage.FOLDER
        if place.is_symlink():
            raise InvalidInputError(
                f"{place} is a link, and writing there would change files outside {folder}. Remove "
                "the link, or give the folder that it leads to."
            )
        numbers = {name: getattr(self, _attribute(name)) for name in NUMBERS}
        content = storage.Content(self.words, self.labels, numbers, self.manifest)
        storage.write(place, content)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        repo_type: str = "model",
        license: str | None = None,
        private: bool | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        dry_run: bool = False,
        token: str | bool | None = None,
        message: str = "Publish influence",
    ) -> Publication:
        """Publish `influence/` in one commit of a repository, which is made if there is none.

        To publish a model with it, and its card, use `hf_attn_attr.push_to_hub`.

        Args:
            repo_id: "user/name".
            repo_type: "model" puts it beside a model; "dataset" makes it a data set with a card,
                which the Hub's viewer shows.
            license: Identifier of the table's licence, for that card.
            private: Whether the repository is private; None leaves it as it is (new: public).
            revision: Branch to commit to; made from main if there is none.
            create_pr: Open a pull request instead.
            dry_run: Change nothing, say what would be changed.
            token: As for huggingface_hub; None takes that of `hf auth login`.
            message: Title of the commit.

        Raises:
            InvalidInputError: If the name can be none, or an existing repository is not as private
                as asked for.
            IncompatibleError: If somebody else commits meanwhile.
            HubError: If the Hub refuses or cannot be reached.
        """
        from .publishing import push_matrix

        return push_matrix(
            self,
            Branch(repo_id, repo_type, revision, token),
            license=license,
            message=message,
            private=private,
            create_pr=create_pr,
            dry_run=dry_run,
        )

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path,
        *,
        revision: str | None = None,
        repo_type: str = "model",
        token: str | bool | None = None,
    ) -> "InfluenceMatrix":
        """The matrix in a folder (or its subfolder `influence`), or in a repository of the Hub.

        Of a repository only `influence/` is downloaded, as of one commit; what is in the cache is
        not downloaded again, and is found offline.

        Args:
            name_or_folder: A folder, or "user/name".
            revision: Branch, tag or commit of the repository.
            repo_type: "model", or "dataset" for a table published by itself.
            token: As for huggingface_hub; None takes that of `hf auth login`.

        Raises:
            InvalidInputError: If there is no such folder or repository name, or no matrix in it.
            HubError: If the Hub lacks it or cannot be reached.
            CorruptArtifactError: If a file is missing or changed since it was written.
            IncompatibleError: If another format version wrote it.
        """
        place = matrix_folder(name_or_folder, revision, repo_type=repo_type, token=token)
        content = storage.read(place)
        arrays = {_attribute(name): values for name, values in content.numbers.items()}
        try:
            return cls(
                words=content.words, labels=content.labels, manifest=content.manifest, **arrays
            )
        except InvalidInputError as error:
            raise CorruptArtifactError(
                f"{place} holds no sound influence matrix: {error} Fetch or write it again."
            ) from error

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.words)}

    def _word_index(self, word: str) -> int:
        key = WordRule(**self.manifest["word_rule"]).key(word)
        if key not in self._rows:
            near = difflib.get_close_matches(key, self.words, 5)
            hint = f"The nearest words are {near}." if near else "No word is near it."
            raise InvalidInputError(
                f"{word!r} is not among the {len(self.words)} words of this matrix. {hint}"
            )
        return self._rows[key]

    def label_index(self, label: str) -> int:
        """Column of a label.

        Raises:
            InvalidInputError: If there is no such label.
        """
        if label not in self.labels:
            raise InvalidInputError(
                f"{label!r} is not a label of this matrix. Its labels are {list(self.labels)}."
            )
        return self.labels.index(label)

    def _ranking(self, by: str, column: int, negative: bool) -> FloatArray:
        """The measure `by` of one label, as float64 (W,) in which larger comes first."""
        if by not in (*_SIGNED, *_UNSIGNED):
            raise InvalidInputError(f"Cannot rank by {by!r}; pass one of {_SIGNED + _UNSIGNED}.")
        if negative and by not in _SIGNED:
            raise InvalidInputError(
                f"{by!r} has no sign, so nothing can be most negative; pass one of {_SIGNED}."
            )
        values = getattr(self, _attribute(by)).astype(np.float64)
        if len(values) and np.isnan(values).all():
            raise InvalidInputError(
                f"This matrix has no {by!r} (method {self.manifest.get('method')!r}, problem type "
                f"{self.manifest.get('problem_type')!r}). Rank by another measure."
            )
        values = values if by in PER_WORD else values[:, column]
        classes = self.manifest.get("classes", self.labels)
        if self.labels[column] not in classes and np.isnan(values).all():
            raise InvalidInputError(
                f"This matrix has {by!r} for the labels {list(classes)} only. Extract with "
                f"classes='all' or {self.labels[column]!r} among them, and fold again."
            )
        return -values if negative else values

    def _frame(self, rows: IntArray, columns: IntArray) -> pd.DataFrame:
        """The long form of the cells (rows[i], columns[i])."""
        cells: dict[str, Any] = {
            "word": [self.words[row] for row in rows],
            "label": [self.labels[column] for column in columns],
            "evidence": statistics.evidence(self.low[rows, columns], self.high[rows, columns]),
        }
        for name in NUMBERS:
            values = getattr(self, _attribute(name))
            cells[name] = values[rows] if name in PER_WORD else values[rows, columns]
        return pd.DataFrame({name: cells[name] for name in COLUMNS})


def _attribute(column: str) -> str:
    return "document_count" if column == "documents" else column


def _grid(rows: IntArray, columns: IntArray) -> tuple[IntArray, IntArray]:
    return np.repeat(rows, len(columns)), np.tile(columns, len(rows))


def _read_only(values: NDArray[Any], name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    kind = np.int64 if name in ("count", "document_count") else np.float64
    # A copy where the caller's array stays writable: ours does not.
    array = np.asarray(values, kind) if _is_fixed(values) else np.array(values, kind)
    if array.shape != shape:
        raise InvalidInputError(
            f"{name} has shape {array.shape}, but the words and labels make it {shape}."
        )
    if kind is np.float64:
        array = _with_one_nan(array)
    array.setflags(write=False)
    return array


def _is_fixed(values: NDArray[Any]) -> bool:
    """Whether an array is marked read-only and its memory is its own, or another such array's."""
    while isinstance(values, np.ndarray) and not values.flags.writeable:
        if values.base is None:
            return True
        values = values.base
    return False


def _with_one_nan(array: NDArray[Any]) -> NDArray[Any]:
    """Numbers with one bit pattern of NaN, so that equal matrices are equal bytes."""
    others = np.isnan(array) & (array.view(np.int64) != np.float64(np.nan).view(np.int64))
    return np.where(others, np.nan, array) if others.any() else array
