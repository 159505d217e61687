"""The README's figures on evidence: calibration, coverage, stability."""

from statistics import mean
from typing import Any

from common import load, spread, table

CORPORA = {"sst": "SST-2", "goemotions": "GoEmotions (28 labels)", "planted": "planted"}


def calibration() -> str:
    """What shuffled labels give the association test, and what planted ones do."""
    result = load("calibration")
    if not result:
        return ""
    figures = {
        "p < .05": "p < .05",
        "p < .05, filled cells": "p < .05, filled cells",
        "any finding": "any finding, shuffled",
    }
    rows = [
        [
            CORPORA[name],
            f"{runs[0]['words']} x {runs[0]['cells'] // runs[0]['words']}",
            *(spread([one[key] for one in runs], ".3f") for key in figures),
            spread([one["findings"] for one in runs], ".0f"),
        ]
        for name, runs in result["shuffles"].items()
    ]
    power, scale = result["power"], result["scale"]
    return (
        "q-values of word and gold label (`benchmarks/calibration.py`), 3 seeds of 200 shuffles of "
        "the labels of the validation texts: share of p < .05 (5% wanted; filled cells expect 5 "
        "texts or more in each corner of their table), and of shuffles with any finding at q = .05 "
        "(5% at most):\n\n"
        + table(["texts", "words x classes", *figures.values(), "findings, true labels"], rows)
        + f"\n\nPlanted: of the words that go with a class, {power['associated words found']:.1%} "
        f"are found ({power['associated words found, plain BH']:.1%} by plain Benjamini-Hochberg), "
        f"and {power['false findings']:.1%} of the findings are false, means over "
        f"{power['corpora']} corpora. {scale['words']:,} words x {scale['classes']} classes on "
        f"{scale['texts']:,} texts take {scale['seconds']:.0f} seconds. {of_attention(result)}"
        f"\n\n{of_disagreements(result)}"
    )


def of_attention(result: dict[str, Any]) -> str:
    """Why texts are tested and not attention mass."""
    planted = result["attention"]["planted"]
    by_texts, by_attention = (
        spread([one[name]["true words"] for one in planted], ".0f")
        for name in ("texts", "attention")
    )
    lists = [set(one["attention"]["for"]) for one in result["attention"]["sst"]]
    either, all_ = set.union(*lists), set.intersection(*lists)
    words = [pair.rsplit(" ", 1)[0] for pair in either]
    turned = ", ".join(f"`{word}`" for word in sorted(set(words)) if words.count(word) > 1)
    return (
        f"Testing attention mass instead of texts finds {by_attention} associated words where "
        f"texts find {by_texts} (planted, 3 seeds), and depends on the model: on SST-2 three seeds "
        f"agree on {len(all_)} of {len(either)} findings"
        + (f", and contradict each other about {turned}." if turned else ".")
    )


def of_disagreements(result: dict[str, Any]) -> str:
    """What kinds of words model and data differ about."""
    data, model = ([one[side] for one in result["disagreements"]] for side in ("data", "model"))
    confounded, planted = (
        mean(kinds[kind] / sum(kinds.values()) for kinds in runs)
        for runs, kind in ((data, "confounded"), (model, "planted"))
    )
    return (
        "`disagreements`, ten words a class: of those that the planted data favour and the model "
        f"does not, {confounded:.0%} are confounded words, which have no influence; of those that "
        f"the model favours, {planted:.0%} are planted ones."
    )


def coverage() -> str:
    """How often intervals hold the value of the whole corpus."""
    result = load("coverage")
    if not result:
        return ""
    rows = [
        [f"{CORPORA[name.split()[0]]} {name.split()[1]}", kind]
        + [spread([one[kind][at] for one in runs], ".3f") for at in range(len(BINS))]
        for name, runs in result.items()
        for kind in runs[0]
    ]
    return (
        "95% intervals: share that holds the mean influence of the whole corpus, when a third of "
        "the texts is folded (`benchmarks/interval_coverage.py`, 100 samples, 3 seeds), by the "
        "number of texts that hold the word; also of the fifth of the words that are strongest in "
        "the whole corpus, and of the cells called consistent:\n\n"
        + table(["texts", "cells", *BINS], rows)
    )


BINS = ("3-4", "5-9", "10-29", "30-99", "100+")


def stability() -> str:
    """Agreement of halves of the texts and of seeds."""
    result = load("stability")
    if not result:
        return ""
    keys = list(next(iter(result.values()))["halves"][0])
    rows = [
        [CORPORA[name], between, *(spread([one[key] for one in runs], ".3f") for key in keys)]
        for name, found in result.items()
        for between, runs in found.items()
    ]
    heads = [key.replace("p_class_given_word", "P(class\\|word)").replace("_", " ") for key in keys]
    return (
        "Stability (`benchmarks/stability.py`): Spearman correlation over words, mean over labels, "
        "between random halves of the validation texts and between 3 seeds, for words of at least "
        "so many texts; *listed*: of the words that any list of 20 names, the share that an "
        "average list names:\n\n" + table(["texts", "between", *heads], rows)
    )
