"""Little data: validation quality from 100, 500 and 2,000 training texts.

    python benchmarks/curves.py --data DATA [--seeds 3] [--only sst]

The model from scratch and with distilled word vectors, beside TF-IDF + logistic regression, a bag
of embeddings and logistic regression on frozen MiniLM sentence embeddings, on the same texts. What
all texts give is measured by `quality.py`.
Figures go to `results/curves.json`, and are not measured again.
"""

from collections.abc import Callable
from pathlib import Path

import common
import peers
import tasks
from tasks import TASKS

from hf_attn_attr.data import LabelledTexts, hold_out, label_counts
from hf_attn_attr.training import TrainingSettings, fit

SIZES = (100, 500, 2000)
ON = ("sst",)


def ours(
    name: str, train: LabelledTexts, held_out: LabelledTexts, seed: int, work: Path, vectors: bool
) -> float:
    """Validation metric of our model with its own settings."""
    init = str(peers.minilm()) if vectors else None
    settings = TrainingSettings(seed=seed, init_embeddings=init)
    result = fit(
        train,
        held_out,
        output_dir=work / "curves",
        preset="plain",
        settings=settings,
        progress=False,
    )
    return result.metrics[TASKS[name].metric]


ARMS: dict[str, Callable[..., float]] = {
    "plain": lambda *where: ours(*where, vectors=False),
    "distilled": lambda *where: ours(*where, vectors=True),
    "tfidf": lambda name, train, held_out, *_: peers.tfidf(train, held_out).metrics[
        TASKS[name].metric
    ],
    "bag": lambda name, train, held_out, seed, _: peers.bag_of_embeddings(
        train, held_out, seed
    ).metrics[TASKS[name].metric],
    "frozen": lambda name, train, held_out, *_: peers.frozen_encoder(
        train, held_out, peers.minilm()
    ).metrics[TASKS[name].metric],
}


def main() -> None:
    """Measure what is missing, print a table."""
    arguments = common.parser(__doc__).parse_args()
    for name in arguments.only or ON:
        texts = tasks.load(TASKS[name], arguments.data)
        for size in SIZES:
            for arm, measure in ARMS.items():
                for seed in range(arguments.seeds):
                    result = common.load("curves") or {}
                    runs = result.setdefault(name, {}).setdefault(str(size), {}).setdefault(arm, [])
                    if len(runs) <= seed:
                        train = subset(texts.train, size, seed)
                        runs.append(measure(name, train, texts.validation, seed, arguments.work))
                        common.save("curves", result)
        report(name)


def subset(texts: LabelledTexts, size: int, seed: int) -> LabelledTexts:
    """`size` of the texts, others for each seed, of every class at least one."""
    chosen = hold_out(texts, size / len(texts.dataset), seed)[1]
    assert label_counts(chosen).all(), "a peer without an example of a class is no comparison"
    return chosen


def report(name: str) -> None:
    """Print the table of one task."""
    result = common.load("curves")[name]
    rows = [(size, *(common.spread(arms[arm]) for arm in ARMS)) for size, arms in result.items()]
    common.show(TASKS[name].title, ("training texts", *ARMS), rows)


if __name__ == "__main__":
    main()
