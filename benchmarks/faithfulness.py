"""Faithfulness of attributions, attention and influence, by erasing words.

    python benchmarks/faithfulness.py --data DATA [--only sst emotion ...] [--sample 300]
    python benchmarks/faithfulness.py --data DATA --frozen --only sst emotion hatexplain

Uses the models that `quality.py` and `presets.py` have trained (in --work), all seeds. In texts:
every ranking of words against chance, against words as frequent, and against leaving each word out.
Over the corpus: the top words of every measure, against words as frequent; and whether it matters
that the words were chosen on the same texts. Attention: entropy, conicity, uniform and shuffled
attention, a head fitted again; with `--frozen`, whole models trained with attention frozen to
uniform, and nothing else. Figures go to `results/faithfulness_SETUP.json`, and are not measured
again (`--again` does).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from unittest import mock

import common
import numpy as np
import tasks
import torch
from tasks import TASKS

from hf_attn_attr import AttributionExtractor, TrainingSettings, association, fold
from hf_attn_attr.data import LabelledTexts
from hf_attn_attr.evaluation.corpus_check import (
    RANKED_BY,
    SIZES,
    corpus_measures,
    figures_of,
    influence_figures,
)
from hf_attn_attr.evaluation.corpus_erasure import removals
from hf_attn_attr.evaluation.rankings import frequency_matched_scores, random_scores
from hf_attn_attr.evaluation.subject import Subject
from hf_attn_attr.evaluation.text_checks import attention_figures, attributed_scores, gain
from hf_attn_attr.evaluation.text_erasure import TextFaithfulness, attention_scores
from hf_attn_attr.extraction import extract_with
from hf_attn_attr.loading import load_classifier
from hf_attn_attr.models.modeling_self_attentive import StructuredSelfAttention
from hf_attn_attr.training import fit

# A setup: task, where the model of each seed lies, and what it is.
SEEDS = "checkpoints/seed_{seed}/finished"
SETUPS = {
    "sst": ("sst", f"sst_scratch/{SEEDS}", "SST-2, default"),
    "sst_plain": ("sst", f"sst_plain/{SEEDS}", "SST-2, preset `plain`"),
    "sst_taught": ("sst", f"sst_taught/{SEEDS}", "SST-2, + teacher"),
    "emotion": ("emotion", f"emotion_scratch/{SEEDS}", "emotion, default"),
    "emotion_plain": ("emotion", f"emotion_plain/{SEEDS}", "emotion, preset `plain`"),
    "hatexplain": ("hatexplain", f"hatexplain_scratch/{SEEDS}", "HateXplain, default"),
    "hatexplain_plain": (
        "hatexplain",
        f"hatexplain_plain/{SEEDS}",
        "HateXplain, preset `plain`",
    ),
    "sst_minilm": ("sst", "sst_finetuned", "SST-2, fine-tuned MiniLM"),
}
SIGNED = ("contribution", "integrated_gradients", "input_x_gradient", "occlusion")
NUMBERS = ("comprehensiveness", "sufficiency", "flip_fraction")
WAYS = ("delete", "mask")
K = 20  # words taken out where other measures have a control too
TEXT_DRAWS, CORPUS_DRAWS = 3, 20


def main() -> None:
    """Measure what is missing, print the tables."""
    options = common.parser(__doc__)
    options.add_argument("--sample", type=int, default=300)
    options.add_argument("--frozen", action="store_true", help="only train with uniform attention")
    options.add_argument("--again", action="store_true", help="measure what is there anew")
    arguments = options.parse_args()
    for name in arguments.only or SETUPS:
        task, place, title = SETUPS[name]
        texts = tasks.load(TASKS[task], arguments.data)
        if arguments.frozen:
            common.save(f"frozen_attention_{name}", frozen(texts, arguments))
            continue
        file = f"faithfulness_{name}"
        runs = [] if arguments.again else common.load(file) or []
        for seed in range(len(runs), arguments.seeds if "{seed}" in place else 1):
            folder = arguments.work / place.format(seed=seed)
            if not (folder / "config.json").is_file():
                sys.exit(f"There is no model in {folder}: run quality.py and presets.py first.")
            runs.append(measure(folder, texts.validation, arguments.sample, seed))
            common.save(file, runs)
            print(name, seed, "done", flush=True)
        report(name, title)


def measure(folder: Path, texts: LabelledTexts, sample: int, seed: int) -> dict[str, Any]:
    """All figures of one model."""
    extractor = AttributionExtractor(*load_classifier(folder), "auto")
    subject = subject_of(extractor, texts, texts, sample, seed)
    found = {"text": in_texts(subject), "corpus": over_corpus(subject)}
    if extractor.method == "contribution":
        attention = attention_figures(subject)
        found["controls"], found["refit"] = attention["controls"], attention["refit"]
        found["halves"] = halves(extractor, texts, seed)
    return found


def subject_of(
    extractor: AttributionExtractor,
    folded: LabelledTexts,
    erased: LabelledTexts,
    sample: int,
    seed: int,
) -> Subject:
    """A matrix of some texts, with what their gold labels say, to be tested on others."""
    columns = extract_with(extractor, folded.dataset)
    matrix = fold(columns, provenance=extractor.provenance)
    matrix = matrix.with_association(association(columns))
    return Subject(extractor, erased, matrix, sample=sample, seed=seed)


def in_texts(subject: Subject) -> dict[str, Any]:
    """Erasure tests of every ranking, by every way: means over texts."""
    test = subject.text_test
    rng = np.random.default_rng(subject.seed)
    own = subject.extractor.method
    scores = {
        method: attributed_scores(subject, method) for method in SIGNED if method != "contribution"
    }
    if own == "contribution":
        scores = {own: attributed_scores(subject, own), **scores}
    unsigned = {"attention": attention_scores(attended(subject, "attention"))}
    if own != "contribution":
        unsigned["attention_rollout"] = attention_scores(attended(subject, "attention_rollout"))
    frequency = [subject.corpus.frequency[subject.corpus.codes(text)] for text in test.texts]
    counts = test.eraser.word_counts[test.texts]
    draws = {
        "words as frequent": [
            frequency_matched_scores(scores[own], frequency, rng) for _ in range(TEXT_DRAWS)
        ],
        "random": [random_scores(counts, rng) for _ in range(TEXT_DRAWS)],
    }
    ways = {}
    for way in test.eraser.ways:
        found = {name: test.test(one, way) for name, one in scores.items()}
        found |= {name: test.test(one, way, signed=False) for name, one in unsigned.items()}
        found["leave one out"] = test.test(test.losses(way), way)
        found |= {
            name: mean_of([test.test(one, way) for one in several])
            for name, several in draws.items()
        }
        ways[way] = {name: one.means() for name, one in found.items()}
        for other in found:
            ways[way][other]["own_gain"] = {
                number: gain(found[own], found[other], number) for number in NUMBERS
            }
    return {"texts": len(test.texts), "own": own, "ways": ways}


def mean_of(draws: list[TextFaithfulness]) -> TextFaithfulness:
    """Means over several random rankings, text by text."""
    return TextFaithfulness(
        **{
            field.name: np.mean([getattr(one, field.name) for one in draws], axis=0)
            for field in fields(TextFaithfulness)
        }
    )


def attended(subject: Subject, method: str) -> Any:
    """Columns of an unsigned method."""
    return extract_with(subject.attributing(method), subject.tested_texts)


def over_corpus(subject: Subject) -> dict[str, Any]:
    """The corpus check; and for its other measures words as frequent too, mean over classes."""
    figures = influence_figures(subject)
    for ways in figures["classes"].values():  # the rest is in every evaluation.json
        for way, rows in ways.items():
            ways[way] = {**rows[SIZES.index(K)], "measures": {}}
    corpus, measures = subject.corpus, corpus_measures(subject)
    figures["other_measures"] = {
        name: {way: controlled(subject, name, values, way) for way in corpus.eraser.ways}
        for name, values in measures.items()
        if name != RANKED_BY
    }
    return figures


def controlled(subject: Subject, name: str, values: np.ndarray, way: Any) -> dict[str, Any]:
    """What the `K` top words of a measure do, and words as frequent, mean over classes."""
    rng = np.random.default_rng(subject.seed)
    rows = [
        removals(
            subject.corpus, {name: column}, index, way, (K,),
            controls=[name], draws=CORPUS_DRAWS, rng=rng,
        )[0]
        for index, column in enumerate(values.T)
    ]  # fmt: skip
    return figures_of(rows, name)


def halves(extractor: AttributionExtractor, texts: LabelledTexts, seed: int) -> dict[str, Any]:
    """The corpus check with the matrix of the texts erased, and with that of the other half."""
    order = np.random.default_rng(seed).permutation(len(texts.dataset))
    parts = [
        replace(texts, dataset=texts.dataset.select(np.sort(rows)))
        for rows in np.array_split(order, 2)
    ]
    found: dict[str, list[Any]] = {"same": [], "other": []}
    for erased, other in (parts, parts[::-1]):
        for which, folded in (("same", erased), ("other", other)):
            subject = subject_of(extractor, folded, erased, len(erased.dataset), seed)
            values = corpus_measures(subject)[RANKED_BY]
            found[which].append({way: controlled(subject, RANKED_BY, values, way) for way in WAYS})
    return found


@contextmanager
def uniform_attention() -> Iterator[None]:
    """Attention frozen to uniform, in training and after (Wiegreffe & Pinter 2019, section 3.2)."""

    def forward(self: Any, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        real = mask.unsqueeze(1).to(hidden.dtype)
        weights = real / real.sum(2, keepdim=True).clamp(min=1)
        # The parameters stay in the graph, without effect.
        return weights.expand(-1, self.hops.out_features, -1) + 0 * self.hops.weight.sum()

    with mock.patch.object(StructuredSelfAttention, "forward", forward):
        yield


def frozen(texts: tasks.Texts, arguments: Any) -> dict[str, list[float]]:
    """Validation metrics of models trained with uniform attention, all seeds."""
    with uniform_attention():
        result = fit(
            texts.train,
            texts.validation,
            output_dir=arguments.work / "frozen_attention",
            settings=TrainingSettings(seeds=arguments.seeds),
            progress=False,
        )
    return {name: [one[name] for one in result.seeds] for name in result.metrics}


def corpus_rows(run: dict[str, Any], way: str) -> list[tuple[str, int]]:
    """Measures, and which of `SIZES`, of the corpus table."""
    measures = [RANKED_BY, *run["corpus"]["overall"][way][0]["measures"]]
    return [(measure, place) for measure in measures for place in range(len(SIZES))]


def corpus_row(run: dict[str, Any], way: str, measure: str, place: int) -> dict[str, Any]:
    """The figures of a measure and a number of words, mean over classes."""
    row = run["corpus"]["overall"][way][place]
    if measure == RANKED_BY:
        return row
    if SIZES[place] == K:
        return run["corpus"]["other_measures"][measure][way]
    return row["measures"][measure]


def report(name: str, title: str) -> None:
    """Print the tables of one setup."""
    runs = common.load(f"faithfulness_{name}")
    for way in runs[0]["text"]["ways"]:
        rows = [
            (
                ranking,
                *(
                    common.spread([one["text"]["ways"][way][ranking][key] for one in runs], ".3f")
                    for key in (*NUMBERS, "never_flips", "tau")
                ),
            )
            for ranking in runs[0]["text"]["ways"][way]
        ]
        columns = ("ranking", *NUMBERS, "never flips", "tau")
        common.show(f"{title}: {runs[0]['text']['texts']} texts, {way}", columns, rows)
        rows = []
        for measure, place in corpus_rows(runs[0], way):
            found = [corpus_row(one, way, measure, place) for one in runs]
            matched = [one["matched"]["drop"] for one in found if "matched" in one]
            interval = (
                ""
                if not matched
                else (f"[{min(m[1] for m in matched):+.4f}, {max(m[2] for m in matched):+.4f}]")
            )
            rows.append(
                (
                    measure,
                    str(SIZES[place]),
                    common.spread([one["drop"] for one in found]),
                    interval,
                    common.spread([one["drop_touched"] for one in found], ".3f"),
                    common.spread([one["touched"] for one in found], ".3f"),
                )
            )
        columns = ("measure", "k", "drop", "words as frequent", "drop where held", "held")
        common.show(f"{title}: over the corpus, {way}", columns, rows)
    for key in ("controls", "refit"):
        if key in runs[0]:
            print(key, runs[0][key])


if __name__ == "__main__":
    main()
