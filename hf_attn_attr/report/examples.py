"""Example texts for the page: where top words pushed most and least, then a random sample."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, List, Value
from numpy.typing import NDArray

from ..errors import IncompatibleError, InvalidInputError
from ..influence import InfluenceMatrix, WordRule
from ..influence.columns import read_attribution, read_words
from ..influence.grouping import group_words
from .packing import round_step, signed_steps

MOST_COST = 400_000
"""Of all examples; one costs its words times (classes + 3). About 0.6 MB of page."""
MOST_TEXTS = 2_000
MOST_WORDS = 400
"""Words of one example; longer texts are cut."""
TOP_WORDS = 30
"""Words for and against each class whose strongest and weakest texts are looked for."""
SHARE = 0.002
"""Step of probabilities and of attention."""
_BATCH = 10_000


class Examples(NamedTuple):
    """Example texts.

    Attributes:
        header: `texts`, a record for each; `available`, how many texts there were; `classes`, the
            numbers of the classes with attributions; `steps`.
        arrays: For `pack`, one text after the other: `word` (place on the page + 1, or 0),
            `attribution` (words x classes), `attention` (words), `probability` (labels).
    """

    header: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def examples_of(
    dataset: Dataset, matrix: InfluenceMatrix, words: Sequence[str], seed: int = 0
) -> Examples:
    """Examples from an extracted dataset.

    Args:
        dataset: Texts in `text`, with the columns of an extraction; gold labels, if any, in
            `label`.
        matrix: The matrix folded from such columns.
        words: The words of the page, in its order.
        seed: Of the random sample.

    Raises:
        InvalidInputError: If a column is missing or does not hold what it should.
        IncompatibleError: If the columns have other labels than the matrix.
    """
    labels = list(matrix.labels)
    classes = [labels.index(name) for name in matrix.manifest.get("classes", labels)]
    classes = [] if np.isnan(matrix.mean).all() else classes
    table: pa.Table = dataset.with_format("arrow")[:]
    for name in ("text", "words", "word_start", "word_end", "attribution", "prediction"):
        if name not in table.column_names:
            raise InvalidInputError(
                f"The columns are {table.column_names}; examples need {name!r}, and the column of "
                "the texts must be called 'text'. Extract again."
            )
    striking = _striking(table, matrix, classes)
    rows = _affordable(table, striking, len(classes), seed)
    gold = _numbers(dataset, table, "label", labels)
    predicted = _numbers(dataset, table, "prediction", labels)
    if predicted is None:
        raise IncompatibleError(
            f"The columns predict other labels than {labels}, those of the matrix. Extract and "
            "fold with one model."
        )
    place = {word: index + 1 for index, word in enumerate(words)}
    rule = WordRule(**matrix.manifest["word_rule"])
    texts, places = [], []
    for row, record in zip(rows, table.take(pa.array(rows, pa.int64())).to_pylist(), strict=True):
        ends = record["word_end"][:MOST_WORDS]
        pieces = _pieces(record["text"], record["word_start"][:MOST_WORDS], ends)
        places += [place.get(rule.key(word), 0) for word in pieces[1::2]]
        texts.append(
            {
                "pieces": pieces,
                "predicted": predicted[row],
                "gold": None if gold is None else gold[row],
                "striking": row in striking,
            }
        )
    header = {"texts": texts, "available": len(table), "classes": classes}
    chosen = table.take(pa.array(rows, pa.int64()))
    arrays, steps = _arrays(chosen, matrix, classes)
    return Examples({**header, "steps": steps}, {"word": np.array(places, np.uint32), **arrays})


def _striking(table: pa.Table, matrix: InfluenceMatrix, classes: list[int]) -> list[int]:
    """Texts where words high on the lists of their class pushed most and least, by rank."""
    wanted = {
        (matrix.words[row], number): rank
        for number, label in enumerate(classes)
        for sign in (1, -1)
        for rank, row in enumerate(_top(sign * matrix.lower_bound[:, label]))
    }
    rule = WordRule(**matrix.manifest["word_rule"])
    # For each wanted word and class: (most, its text), (least, its text).
    best: dict[tuple[str, int], list[tuple[float, int]]] = {}
    for first in range(0, len(table) if classes else 0, _BATCH):
        batch = table.slice(first, _BATCH)
        words = read_words(batch, first)
        attribution = read_attribution(batch, "attribution", words, len(classes))
        if attribution is None:
            continue
        keys, pairs = group_words(words, rule)
        totals = pairs.positions @ _centred(attribution.values, matrix, classes)
        starts = pairs.starts
        index = {word: number for number, word in enumerate(keys)}
        for word, number in wanted:
            if word not in index:
                continue
            start, end = starts[index[word]], starts[index[word] + 1]
            column = totals[start:end, number]
            found = best.setdefault((word, number), [(-np.inf, -1), (np.inf, -1)])
            for place, pick, better in ((0, np.argmax, np.greater), (1, np.argmin, np.less)):
                at = int(pick(column))
                if better(column[at], found[place][0]):
                    found[place] = (float(column[at]), first + int(pairs.text[start + at]))
    ordered = sorted(best, key=lambda key: (wanted[key], key[1]))
    return list(dict.fromkeys(text for key in ordered for _, text in best[key]))


def _top(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows of the largest values above 0, largest first."""
    order = np.argsort(-np.nan_to_num(values), kind="stable")[:TOP_WORDS]
    return order[np.nan_to_num(values)[order] > 0]


def _affordable(table: pa.Table, striking: Sequence[int], classes: int, seed: int) -> list[int]:
    """Striking texts for half of the money, and random ones for the rest, in the order drawn."""
    lengths = pc.fill_null(pc.list_value_length(table["words"]), 0).to_numpy()
    cost = np.minimum(lengths, MOST_WORDS) * (classes + 3) + 20
    rows: list[int] = []
    spent = 0
    random = np.random.default_rng(seed).permutation(len(table)).tolist()
    for drawn, share in ((striking, 0.5), (random, 1.0)):
        for row in drawn:
            if len(rows) >= MOST_TEXTS * share or spent + cost[row] > MOST_COST * share:
                break
            if row not in rows:
                rows.append(row)
                spent += int(cost[row])
    return rows


def _arrays(
    table: pa.Table, matrix: InfluenceMatrix, classes: list[int]
) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
    """Attributions, attention and probabilities of the chosen texts; what there is of them."""
    words = read_words(table)
    kept = np.arange(len(words.codes)) - np.repeat(words.offsets[:-1], words.lengths) < MOST_WORDS
    arrays: dict[str, NDArray[Any]] = {}
    steps = {"share": SHARE}
    if classes:
        attribution = read_attribution(table, "attribution", words, len(classes))
        if attribution is not None:
            centred = _centred(attribution.values, matrix, classes)[kept]
            steps["attribution"] = round_step(centred.reshape(-1))
            arrays["attribution"] = signed_steps(centred, steps["attribution"])
    for name, within in (("attention", kept), ("probabilities", None)):
        if name in table.column_names and not table[name].null_count:
            flat = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            flat = flat.astype(np.float64)
            arrays[name] = signed_steps(flat if within is None else flat[within], SHARE)
    return arrays, steps


def _centred(
    attribution: NDArray[Any], matrix: InfluenceMatrix, classes: list[int]
) -> NDArray[np.float64]:
    """Attributions as the matrix counts them: centred over the classes of a single-label model."""
    attribution = attribution.astype(np.float64)
    single = matrix.manifest.get("problem_type") == "single_label_classification"
    if single and len(classes) == len(matrix.labels):
        return attribution - attribution.mean(axis=1, keepdims=True)
    return attribution  # columns of some classes alone are centred when they are extracted


def _pieces(text: str, starts: Sequence[int], ends: Sequence[int]) -> list[str]:
    """The text cut at its words: what is before the first, the first, what is between, ..."""
    pieces, position = [], 0
    for start, end in zip(starts, ends, strict=True):
        pieces += [text[position:start], text[start:end]]
        position = end
    cut = len(starts) == MOST_WORDS and len(text) > position + 200
    return [*pieces, "…" if cut else text[position:]]


def _numbers(dataset: Dataset, table: pa.Table, column: str, labels: list[str]) -> list[Any] | None:
    """Class numbers (or the value, for regression) of each row; None where they are not known."""
    if column not in table.column_names:
        return None
    feature = dataset.features[column]
    several = isinstance(feature, List)
    kind = feature.feature if several else feature
    values = table[column].to_pylist()
    if isinstance(kind, Value) and kind.dtype.startswith("float"):
        return values
    names = getattr(kind, "names", None)
    if names is None:
        names = labels if isinstance(kind, Value) and kind.dtype.startswith("int") else []
    known = {value for row in values for value in (row or () if several else (row,))} - {None}
    if not set(names) <= set(labels) or not known <= set(range(len(names))):
        return None
    number = [labels.index(name) for name in names]
    if several:
        return [None if row is None else [number[value] for value in row] for row in values]
    return [None if value is None else number[value] for value in values]
