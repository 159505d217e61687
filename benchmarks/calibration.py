"""Association q-values: do shuffled labels give findings, and do planted ones?

    python benchmarks/calibration.py --data DATA [--seeds 3] [--work runs]

Shuffles: label rows are shuffled 200 times over the validation texts. Of the p-values 5% should lie
below .05 (in cells that expect 5 texts or more in each corner of their table; others cannot reach
every p), and at most 5% of the shuffles should give any finding at q = .05.
Power: findings among the planted and confounded words of 100 planted corpora, and the share of
noise and stop words among all findings.
Attention: the same test of attention mass instead of texts, by its exact mean, variance and
skewness under permutation and a Pearson III tail (Mielke & Berry 2007).
Disagreements: what kinds of planted words `InfluenceMatrix.disagreements` lists.
Scale: 50,000 words x 28 classes x 50,000 texts.
"""

import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import numpy as np
import tasks
from datasets import ClassLabel, Dataset, Features, List, Value
from held_out import columns_of
from scipy.sparse import csr_array
from scipy.stats import false_discovery_control, pearson3

from hf_attn_attr import association, attention_matrix, fold
from hf_attn_attr.data import label_indicators
from hf_attn_attr.demo import PlantedCorpus, generate_planted_corpus
from hf_attn_attr.demo.planted import WORDS_OF_KIND
from hf_attn_attr.influence.associating import MIN_DOCUMENTS
from hf_attn_attr.influence.exact_test import ExactTest, exact_test
from hf_attn_attr.influence.false_discovery import discrete_q_values
from hf_attn_attr.tokenization import words_of

SHUFFLES, CORPORA, LEVEL, LISTED = 200, 100, 0.05, 10
TRUE = ("planted", "confounded")  # kinds of words that go with a class
FALSE = ("noise", "stop")


def main() -> None:
    """Measure, print tables, write `results/calibration.json`."""
    arguments = common.parser(__doc__).parse_args()
    seeds = range(arguments.seeds)
    result: dict[str, Any] = {"shuffles": {}}
    for name in ("planted", "sst", "goemotions"):
        runs = [shuffled(texts_of(name, seed, arguments.data), seed) for seed in seeds]
        result["shuffles"][name] = runs
        print(name, runs, flush=True)
    result["power"] = power()
    print(result["power"], flush=True)
    result["attention"] = {
        name: [
            attention(columns_of(name, seed, arguments.data, arguments.work, "validation"), seed)
            for seed in seeds
        ]
        for name in ("planted", "sst")
    }
    result["disagreements"] = [
        disagreements(columns_of("planted", seed, None, arguments.work, "validation"), seed)
        for seed in seeds
    ]
    for seed, one in enumerate(result["attention"]["planted"]):
        for figures in one.values():
            figures |= kinds_of(figures["words"], seed)
    result["scale"] = scale()
    common.save("calibration", result)
    report(result)


def report(result: dict[str, Any]) -> None:
    """Print the tables."""
    first = next(iter(result["shuffles"].values()))[0]
    common.show(
        f"{SHUFFLES} shuffles of the labels",
        ("corpus", *first),
        [
            (name, *(common.spread([one[figure] for one in runs]) for figure in first))
            for name, runs in result["shuffles"].items()
        ],
    )
    common.show(
        "Planted corpora", tuple(result["power"]), [tuple(map(str, result["power"].values()))]
    )
    for name, runs in result["attention"].items():
        figures = [key for key, value in runs[0]["texts"].items() if not isinstance(value, list)]
        common.show(
            f"Texts or attention, {name}",
            ("seed", "statistic", *figures),
            [
                (str(seed), statistic, *(str(found[key]) for key in figures))
                for seed, one in enumerate(runs)
                for statistic, found in one.items()
            ],
        )
    common.show(
        f"Words of the {LISTED} largest disagreements of each class, planted",
        ("seed", "stronger in", *result["disagreements"][0]["data"]),
        [
            (str(seed), side, *map(str, kinds.values()))
            for seed, one in enumerate(result["disagreements"])
            for side, kinds in one.items()
        ],
    )
    common.show("Scale", tuple(result["scale"]), [tuple(map(str, result["scale"].values()))])


@dataclass(frozen=True)
class Texts:
    """Which texts hold which word and have which label; only words that are tested."""

    words: list[str]
    presence: csr_array  # (words, texts) of 0 and 1
    labels: np.ndarray  # (texts, classes) of 0 and 1

    def test(self, order: np.ndarray | slice = slice(None)) -> ExactTest:
        """The exact test, label rows in another order."""
        both = (self.presence @ self.labels[order]).astype(np.int64)
        documents = self.presence.sum(axis=1).astype(np.int64)
        labelled = self.labels.sum(axis=0).astype(np.int64)
        return exact_test(both, documents, labelled, len(self.labels))

    def well_filled(self) -> np.ndarray:
        """Cells whose tables expect 5 texts or more in every corner."""
        documents, labelled = self.presence.sum(axis=1)[:, None], self.labels.sum(axis=0)
        texts = len(self.labels)
        corners = np.minimum(documents, texts - documents) * np.minimum(labelled, texts - labelled)
        return corners / texts >= 5


def texts_of(name: str, seed: int, data: Path) -> Texts:
    """Validation texts and gold labels; of a new corpus for each seed if planted."""
    if name == "planted":
        return planted(generate_planted_corpus(seed, train_texts=0))
    validation = tasks.load(tasks.TASKS[name], data).validation
    texts = [[word.lower() for word in words_of(text)] for text in validation.dataset["text"]]
    return with_presence(texts, label_indicators(validation))


def planted(corpus: PlantedCorpus) -> Texts:
    """Validation texts of a planted corpus."""
    texts = [text.split() for text in corpus.validation.texts]
    return with_presence(texts, np.eye(len(corpus.labels))[corpus.validation.labels])


def with_presence(texts: list[list[str]], labels: np.ndarray) -> Texts:
    """Words of `MIN_DOCUMENTS` texts or more, in labels that some texts have and some have not."""
    row_of: dict[str, int] = {}
    pairs = [(row_of.setdefault(w, len(row_of)), s) for s, t in enumerate(texts) for w in set(t)]
    rows, columns = np.array(pairs).T
    presence = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(row_of), len(texts)))
    kept = np.flatnonzero(presence.sum(axis=1) >= MIN_DOCUMENTS)
    told = labels.any(axis=0) & ~labels.all(axis=0)
    words = list(row_of)
    return Texts([words[row] for row in kept], presence[kept], labels[:, told].astype(np.float64))


def shuffled(texts: Texts, seed: int) -> dict[str, float]:
    """What shuffled labels give, and how much the true ones do."""
    rng = np.random.default_rng(seed)
    filled = texts.well_filled()
    below: dict[str, list[float]] = {"p": [], "p filled": []}
    any_: dict[str, list[bool]] = {"q": [], "bh": []}
    for _ in range(SHUFFLES):
        test = texts.test(rng.permutation(len(texts.labels)))
        below["p"].append((test.mid_p_value < LEVEL).mean())
        below["p filled"].append((test.mid_p_value < LEVEL)[filled].mean())
        any_["q"].append(discrete_q_values(test).min() <= LEVEL)
        any_["bh"].append(false_discovery_control(test.p_value.ravel()).min() <= LEVEL)
    test = texts.test()
    return {
        "texts": len(texts.labels),
        "words": len(texts.words),
        "cells": test.p_value.size,
        "p < .05": float(np.mean(below["p"])),
        "p < .05, filled cells": float(np.mean(below["p filled"])),
        "any finding": float(np.mean(any_["q"])),
        "any finding, plain BH": float(np.mean(any_["bh"])),
        "findings": int((discrete_q_values(test) <= LEVEL).sum()),
        "findings, plain BH": int((false_discovery_control(test.p_value.ravel()) <= LEVEL).sum()),
    }


def power() -> dict[str, float]:
    """Share of associated words found, and of false findings, means over planted corpora."""
    found, false, plain = [], [], []
    for seed in range(CORPORA):
        texts = planted(generate_planted_corpus(seed, train_texts=0))
        roles = kind_of(seed)
        kinds = np.array([roles[word] for word in texts.words])
        true = np.isin(kinds, TRUE)
        test = texts.test()
        hits = discrete_q_values(test) <= LEVEL
        found.append(hits[true].any(axis=1).mean())
        false.append(hits[np.isin(kinds, FALSE)].sum() / max(hits.sum(), 1))
        hits = false_discovery_control(test.p_value.ravel()).reshape(hits.shape) <= LEVEL
        plain.append(hits[true].any(axis=1).mean())
    return {
        "corpora": CORPORA,
        "associated words found": float(np.mean(found)),
        "associated words found, plain BH": float(np.mean(plain)),
        "false findings": float(np.mean(false)),
    }


def attention(columns: Dataset, seed: int) -> dict[str, dict[str, Any]]:
    """Words found by texts and by attention mass, and what shuffled labels give."""
    words, mass = attention_matrix(columns)
    mass = mass.tocsr()
    names = columns.features["label"].names
    labels = np.eye(len(names))[columns["label"][:]]
    kept = np.flatnonzero(np.diff(mass.indptr) >= MIN_DOCUMENTS)
    words, mass = [words[row] for row in kept], mass[kept]
    presence = mass.copy()
    presence.data[:] = 1
    texts = Texts(words, presence, labels)

    def by_texts(order: Any) -> np.ndarray:
        return discrete_q_values(texts.test(order))

    def by_attention(order: Any) -> np.ndarray:
        p = linear_p_values(mass, labels[order])
        return false_discovery_control(p.ravel()).reshape(p.shape)

    result = {}
    for name, weights, q_values in (
        ("texts", presence, by_texts),
        ("attention", mass, by_attention),
    ):
        rng = np.random.default_rng(seed)
        any_ = [q_values(rng.permutation(len(labels))).min() <= LEVEL for _ in range(SHUFFLES)]
        more = weights @ labels > np.outer(weights.sum(axis=1), labels.mean(axis=0))
        hits = np.argwhere(q_values(slice(None)) <= LEVEL)
        result[name] = {
            "any finding, shuffled": float(np.mean(any_)),
            "findings": len(hits),
            "words": sorted({words[row] for row, _ in hits}),
            "for": [f"{words[row]} {names[column]}" for row, column in hits if more[row, column]],
        }
    return result


def kinds_of(words: list[str], seed: int) -> dict[str, int]:
    """How many words of a planted corpus go with a class, and how many do not."""
    kinds = kind_of(seed)
    return {
        title: sum(kinds[word] in wanted for word in words)
        for title, wanted in (("true words", TRUE), ("false words", FALSE))
    }


def kind_of(seed: int) -> dict[str, str]:
    """The role of each word of a planted corpus."""
    corpus = generate_planted_corpus(seed, train_texts=0)
    return dict(zip(corpus.words, map(str, corpus.kind), strict=True))


def disagreements(columns: Dataset, seed: int) -> dict[str, dict[str, int]]:
    """Roles of the words of which the model and the data say different things.

    Confounded words go with a class in the data and have no influence: a model that learned the
    truth disagrees with the data about them.
    """
    matrix = fold(columns).with_association(association(columns))
    kinds = kind_of(seed)
    tables = [matrix.disagreements(label, LISTED) for label in matrix.labels]
    return {
        side: {
            kind: sum(
                kinds[word] == kind
                for table in tables
                for word in table.loc[table["stronger_in"] == side, "word"]
            )
            for kind in WORDS_OF_KIND
        }
        for side in ("model", "data")
    }


def linear_p_values(weights: csr_array, labels: np.ndarray) -> np.ndarray:
    """Two-sided p of sum of weight x label over texts, when label rows are permuted."""
    n = weights.shape[1]
    first, second, third = (weights.power(power).sum(axis=1)[:, None] for power in (1, 2, 3))
    mean = first / n
    squares, cubes = second - n * mean**2, third - 3 * mean * second + 2 * n * mean**3
    centred = labels - labels.mean(axis=0)
    variance = squares * (centred**2).sum(axis=0) / (n - 1)
    third_moment = n * cubes * (centred**3).sum(axis=0) / ((n - 1) * (n - 2))
    z = (weights @ centred) / np.sqrt(variance)
    skewness = third_moment / variance**1.5
    return np.minimum(2 * np.minimum(pearson3.cdf(z, skewness), pearson3.sf(z, skewness)), 1)


def scale() -> dict[str, Any]:
    """Seconds and memory for a large corpus of random words."""
    rng = np.random.default_rng(0)
    n_words, n_classes, n_texts, length = 50_000, 28, 50_000, 30
    chance = 1 / (np.arange(n_words) + 2.7)
    drawn = rng.choice(n_words, (n_texts, length), p=chance / chance.sum())
    vocabulary = np.array([f"w{number}" for number in range(n_words)], object)
    names = [f"class {number}" for number in range(n_classes)]
    share = rng.uniform(0.002, 0.1, n_classes)
    gold = [np.flatnonzero(rng.random(n_classes) < share) for _ in range(n_texts)]
    dataset = Dataset.from_dict(
        {"words": [vocabulary[row].tolist() for row in drawn], "label": gold},
        features=Features(words=List(Value("string")), label=List(ClassLabel(names=names))),
    )
    started = time.perf_counter(), time.process_time()
    table = association(dataset, min_documents=1)
    return {
        "words": len(table.words),
        "classes": n_classes,
        "texts": n_texts,
        "seconds": time.perf_counter() - started[0],
        "CPU seconds": time.process_time() - started[1],
        "peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "findings": int((table.q_value <= LEVEL).sum()),
    }


if __name__ == "__main__":
    main()
