"""Do people agree? Attributions and attention against human rationales and labels of words.

    python benchmarks/plausibility.py --data DATA [--only hatexplain sst movies]

Uses the models that `quality.py` has trained (in --work), all seeds. Validation texts with a
rationale, explained for their gold label: HateXplain (union of the annotators; not the normal
posts), SST (words labelled on the side of their sentence), movie reviews (ERASER; spans, not
exhaustive). And on SST the measures of the matrix against the labels of single words. Figures go to
`results/plausibility.json`, and are not measured again.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import numpy as np
import pandas as pd
import tasks
from tasks import TASKS
from words import human_labels

from hf_attn_attr import AttributionExtractor, InfluenceMatrix, RationaleOverlap, extract, fold
from hf_attn_attr.data import LabelledTexts, load_labelled
from hf_attn_attr.evaluation import word_label_agreement
from hf_attn_attr.evaluation.corpus_erasure import CorpusErasure
from hf_attn_attr.evaluation.erasure import Eraser
from hf_attn_attr.evaluation.plausibility import words_in_spans
from hf_attn_attr.evaluation.rankings import frequency_matched_scores, random_scores
from hf_attn_attr.evaluation.text_erasure import attention_scores, attribution_scores
from hf_attn_attr.extraction import extract_with
from hf_attn_attr.influence import WordRule
from hf_attn_attr.loading import load_model

FOLDER = "{task}_scratch/checkpoints/seed_{seed}/finished"
LEAST = 3  # texts that hold a word, to be held against its label


@dataclass(frozen=True)
class Case:
    """Texts with gold labels, and the characters of each that people marked: (start, end)."""

    texts: LabelledTexts
    spans: list[list[tuple[int, int]]]


def main() -> None:
    """Measure what is missing, print the tables."""
    arguments = common.parser(__doc__).parse_args()
    result = common.load("plausibility") or {}
    for name in arguments.only or CASES:
        case = CASES[name](arguments.data)
        runs = result.setdefault(name, [])
        for seed in range(len(runs), arguments.seeds):
            folder = arguments.work / FOLDER.format(task=name, seed=seed)
            extractor = AttributionExtractor(*load_model(folder))
            found: dict[str, Any] = {"rationales": rationales(name, case, extractor, seed)}
            if TASKS[name].sentiment:
                found["words"] = word_labels(
                    extractor, arguments.data, tasks.load(TASKS[name], arguments.data).validation
                )
            runs.append(found)
            common.save("plausibility", result)
            print(name, seed, "done", flush=True)
    report(result)


def hatexplain(data: Path) -> Case:
    """Posts that are not normal; a token is marked if any annotator did."""
    table = pd.read_parquet(data / "hatexplain_validation.parquet")
    table = table[table["label"] != "normal"]
    spans = [
        marked(text, flags)
        for text, flags in zip(table["text"], table["rationale_union"], strict=True)
    ]
    return case_of(table, "label", spans, TASKS["hatexplain"], data)


def sst(data: Path) -> Case:
    """Sentences; a word is marked if its own label is on the side of the sentence's."""
    table = pd.read_parquet(data / "sst_validation.parquet").dropna(subset=["polarity"])
    spans = [
        marked(text, (labels > 2) if side == "positive" else (labels < 2))
        for text, labels, side in zip(
            table["text"], table["token_labels"], table["polarity"], strict=True
        )
    ]
    return case_of(table, "polarity", spans, TASKS["sst"], data)


def movies(data: Path) -> Case:
    """Reviews; a token is marked if it is in a span."""
    table = pd.read_parquet(data / "movies_validation.parquet")
    spans = []
    for row in table.itertuples():
        flags = np.zeros(row.n_tokens, dtype=bool)
        for start, end in zip(row.rationale_starts, row.rationale_ends, strict=True):
            flags[start:end] = True
        spans.append(marked(row.text, flags, r"\S+"))
    return case_of(table, "label", spans, TASKS["movies"], data)


CASES = {"hatexplain": hatexplain, "sst": sst, "movies": movies}


def marked(text: str, flags: Any, token: str = r"[^ ]+") -> list[tuple[int, int]]:
    """Where the tokens that are marked stand in the text."""
    tokens = [found.span() for found in re.finditer(token, text)]
    return [span for span, flag in zip(tokens, flags, strict=True) if flag]


def case_of(
    table: pd.DataFrame, column: str, spans: list[Any], task: tasks.Task, data: Path
) -> Case:
    """The rows where anything is marked, with the labels of the task in their order."""
    labels = tasks.load(task, data).validation.labels
    kept = [bool(one) for one in spans]
    texts = load_labelled(
        table[["text", column]][kept].reset_index(drop=True), label_column=column, labels=labels
    )
    return Case(texts, [one for one in spans if one])


def rationales(
    name: str, case: Case, extractor: AttributionExtractor, seed: int
) -> dict[str, dict[str, float]]:
    """Token F1, IOU F1 and AUPRC of every ranking."""
    dataset, gold = case.texts.dataset, np.array(case.texts.dataset["label"][:])
    columns = extract_with(extractor, dataset)
    marks = [
        words_in_spans(start, end, *zip(*spans, strict=True))
        for start, end, spans in zip(
            columns["word_start"][:], columns["word_end"][:], case.spans, strict=True
        )
    ]
    own = attribution_scores(columns, gold, len(extractor.labels), centred=True)
    gradients = extract(
        dataset, extractor.model, extractor.tokenizer, method="integrated_gradients", context=False
    )
    scores = {
        "contribution": own,
        "integrated_gradients": attribution_scores(
            gradients, gold, len(extractor.labels), centred=True
        ),
        "attention": attention_scores(columns),
    }
    texts = dataset["text"][:]
    eraser = Eraser(extractor, texts)
    if name != "movies":  # a pass for each of 770 words
        scores["leave one out"] = leave_one_out(eraser, gold)
    corpus = CorpusErasure(eraser, texts, WordRule())
    rng = np.random.default_rng(seed)
    frequency = [corpus.frequency[corpus.codes(row)] for row in range(len(texts))]
    scores["words as frequent"] = frequency_matched_scores(own, frequency, rng)
    scores["random"] = random_scores(eraser.word_counts, rng)
    metric = RationaleOverlap()
    # A cut text may have lost all its marks; the metric leaves those out.
    return {
        ranking: metric.compute(scores=found, rationale=marks) for ranking, found in scores.items()
    } | {"texts": len(texts), "marked": float(np.mean([one.mean() for one in marks]))}


def leave_one_out(eraser: Eraser, gold: np.ndarray) -> list[np.ndarray]:
    """p(text) - p(text without the word), of the gold class, words replaced."""
    counts = eraser.word_counts
    texts = np.repeat(np.arange(len(counts)), counts)
    gone = [row for count in counts for row in np.eye(count, dtype=bool)]
    left = eraser.outputs(texts.tolist(), gone, "mask")[np.arange(len(texts)), gold[texts]]
    return np.split(eraser.full[texts, gold[texts]] - left, np.cumsum(counts)[:-1])


def word_labels(
    extractor: AttributionExtractor, data: Path, validation: LabelledTexts
) -> dict[str, dict[str, float]]:
    """Agreement of the measures of the matrix with the labels of single words."""
    matrix = fold(extract_with(extractor, validation.dataset))
    humans = human_labels(data)
    rows = [
        row
        for row, word in enumerate(matrix.words)
        if matrix.document_count[row] >= LEAST and word in humans
    ]
    human = [humans[matrix.words[row]] for row in rows]
    measures = ("influence", "lower_bound", "word_part", "p_class_given_word", "joint")
    return {
        name: word_label_agreement(difference(matrix, name)[rows], human) for name in measures
    } | {"words": len(rows)}


def difference(matrix: InfluenceMatrix, measure: str) -> np.ndarray:
    """A measure for positive less that for negative, (W,)."""
    values = getattr(matrix, measure)
    positive, negative = map(matrix.labels.index, ("positive", "negative"))
    return values[:, positive] - values[:, negative]


def report(result: dict[str, Any]) -> None:
    """Print the tables."""
    for name, runs in result.items():
        for kind in ("rationales", "words"):
            if kind not in runs[0]:
                continue
            rows = [
                (
                    one,
                    *(common.spread([run[kind][one][key] for run in runs], ".3f") for key in keys),
                )
                for one, keys in runs[0][kind].items()
                if isinstance(keys, dict)
            ]
            keys = next(keys for keys in runs[0][kind].values() if isinstance(keys, dict))
            common.show(f"{TASKS[name].title}: {kind}", ("by", *keys), rows)


if __name__ == "__main__":
    main()
