"""What each part of training is worth: the default with one thing changed at a time.

    python benchmarks/ablation.py --data DATA [--seeds 3] [--only VARIANT ...]

On SST-2 sentences (validation). Every figure is written to `results/ablation.json` as soon as it is
there, and is not measured again.
"""

from typing import Any

import common
import peers
import tasks
from tasks import TASKS

from hf_attn_attr.training import TrainingSettings, fit

ON = ("sst",)
MINILM = {"init_embeddings": "minilm"}
# Name: fields of the config, fields of the settings.
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "default": ({}, {}),
    "no character n-grams": ({"char_ngram_buckets": 0}, {}),
    "no word dropout": ({"word_dropout": 0.0}, {}),
    "no weight averaging": ({}, {"averaging": 0.0}),
    "label smoothing 0.1": ({}, {"label_smoothing": 0.1}),
    "balanced classes": ({}, {"class_weights": "balanced"}),
    "learning rate / 2": ({}, {"learning_rate": 1e-3}),
    "vectors, projected": ({}, MINILM),
    "vectors, projected, with n-grams": ({"char_ngram_buckets": 20000}, MINILM),
    "vectors, fine-tuned": ({}, {**MINILM, "embedding_mode": "fine_tune"}),
    "vectors, two channels": ({}, {**MINILM, "embedding_mode": "two_channel"}),
    "vectors, frozen": ({}, {**MINILM, "embedding_mode": "frozen"}),
}


def main() -> None:
    """Measure what is missing, print a table."""
    arguments = common.parser(__doc__).parse_args()
    for name in ON:
        texts = tasks.load(TASKS[name], arguments.data)
        for variant in arguments.only or VARIANTS:
            for seed in range(arguments.seeds):
                result = common.load("ablation") or {}
                runs = result.setdefault(name, {}).setdefault(variant, [])
                if len(runs) <= seed:
                    runs.append(measure(name, variant, texts, seed, arguments.work))
                    common.save("ablation", result)
                    print(name, variant, runs[-1], flush=True)
    report()


def measure(name: str, variant: str, texts: tasks.Texts, seed: int, work: Any) -> float:
    """The main validation metric of one variant."""
    config, settings = VARIANTS[variant]
    if "init_embeddings" in settings:
        settings = {**settings, "init_embeddings": str(peers.minilm())}
    result = fit(
        texts.train,
        texts.validation,
        output_dir=work / "ablation",
        preset="plain",
        config=config,
        settings=TrainingSettings(**settings, seed=seed),
        progress=False,
    )
    return result.metrics[TASKS[name].metric]


def report() -> None:
    """Print the table."""
    result = common.load("ablation")
    rows = [
        (variant, *(common.spread(result[name][variant]) for name in ON))
        for variant in VARIANTS
        if all(variant in result[name] for name in ON)
    ]
    common.show("Ablation", ("variant", *(TASKS[name].title for name in ON)), rows)


if __name__ == "__main__":
    main()
