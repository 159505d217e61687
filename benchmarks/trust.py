"""The README's figures on faithfulness and plausibility."""

from typing import Any

from common import load, spread, table
from faithfulness import SETUPS, SIZES, K, corpus_row
from tasks import TASKS

from hf_attn_attr.evaluation.corpus_check import RANKED_BY

SHOWN = (
    *("sst", "sst_plain", "emotion", "emotion_plain", "hatexplain", "hatexplain_plain"),
    "sst_minilm",
)
RANKINGS = {
    "contribution": "contribution",
    "integrated_gradients": "integrated gradients",
    "input_x_gradient": "input x gradient",
    "occlusion": "occlusion",
    "attention": "attention",
    "attention_rollout": "attention rollout",
    "leave one out": "leaving each word out",
    "words as frequent": "words as frequent",
    "random": "random",
}
MEASURES = {
    RANKED_BY: "lower bound",
    "influence": "influence",
    "influence_times_count": "influence x count",
    "joint": "joint, P(word\\|class)",
    "lift": "lift, P(class\\|word)",
    "npmi": "NPMI",
    "log_odds": "log-odds of the labels",
    "logistic_regression": "logistic regression",
}
Runs = list[dict[str, Any]]


def setups() -> dict[str, Runs]:
    """Those that have been measured, by title."""
    found = {name: load(f"faithfulness_{name}") for name in SHOWN}
    return {SETUPS[name][2]: runs for name, runs in found.items() if runs}


def in_texts() -> str:
    """Rankings of words within texts."""
    rows = []
    for title, runs in setups().items():
        for ranking, name in RANKINGS.items():
            if ranking not in runs[0]["text"]["ways"]["delete"]:
                continue

            def cell(way: str, key: str, *, ranking: str = ranking, runs: Runs = runs) -> str:
                return spread([one["text"]["ways"][way][ranking][key] for one in runs], ".3f")

            rows.append(
                [
                    title,
                    name,
                    *(cell(way, "comprehensiveness") for way in ("delete", "mask")),
                    *(cell(way, "sufficiency") for way in ("delete", "mask")),
                    cell("delete", "flip_fraction"),
                    cell("delete", "never_flips"),
                    cell("delete", "tau"),
                ]
            )
    if not rows:
        return ""
    texts = "; ".join(f"{title} {runs[0]['text']['texts']}" for title, runs in setups().items())
    return (
        "Within texts (`benchmarks/faithfulness.py`, validation texts: "
        f"{texts}): comprehensiveness (more is better) and sufficiency (less is better) of "
        "ERASER, means over 1, 5, 10, 20 and 50% of the words, deleted or masked; share of the "
        "words deleted when the decision flips, 1 if never (less is better); texts whose decision "
        "never flips; Kendall's tau with leaving each word out. *Words as frequent* keeps the "
        "frequencies of the words that the first row of its block would remove, and nothing else. "
        "Compare within a model only.\n\n"
        + table(
            [
                "model",
                "ranking",
                "comp., delete",
                "comp., mask",
                "suff., delete",
                "suff., mask",
                "flip at",
                "never",
                "tau",
            ],
            rows,
        )
    )


def over_corpus() -> str:
    """Top words of every measure, taken out of all texts."""
    rows = []
    for title, runs in setups().items():
        for measure, name in MEASURES.items():
            place = SIZES.index(K)
            found = {
                way: [corpus_row(one, way, measure, place) for one in runs]
                for way in ("delete", "mask")
                if measure in (RANKED_BY, *runs[0]["corpus"]["other_measures"])
            }
            if not found:
                continue
            rows.append(
                [
                    title,
                    name,
                    *(spread([one["drop"] for one in found[way]], ".4f") for way in found),
                    interval([one["matched"]["drop"] for one in found["mask"]], ".4f"),
                    spread([one["touched"] for one in found["mask"]], ".2f"),
                    *(spread([one["drop_touched"] for one in found[way]], ".3f") for way in found),
                    interval([one["matched"]["drop_touched"] for one in found["mask"]], ".3f"),
                ]
            )
    if not rows:
        return ""
    return (
        f"Over the corpus: the {K} top words of each class by every measure, taken out of all "
        "validation texts; loss of the class's probability, mean over classes, over all texts and "
        "over the texts that held one of the words; and the range that holds 95% of the draws of "
        "words as frequent (widest over seeds, masked):\n\n"
        + table(
            [
                "model",
                "top words by",
                "all texts, delete",
                "all texts, mask",
                "words as frequent",
                "texts that held one",
                "these, delete",
                "these, mask",
                "words as frequent",
            ],
            rows,
        )
        + halves()
    )


def interval(matched: list[list[float]], form: str) -> str:
    """The widest over seeds."""
    return f"[{min(one[1] for one in matched):+{form}}, {max(one[2] for one in matched):+{form}}]"


def halves() -> str:
    """Whether it matters that words were chosen on the texts they are taken out of."""
    told = []
    for title, runs in setups().items():
        if "halves" not in runs[0]:
            continue
        same, other = (
            spread([one["mask"]["drop"] for run in runs for one in run["halves"][which]], ".4f")
            for which in ("same", "other")
        )
        told.append(f"{title} {same} and {other}")
    if not told:
        return ""
    return (
        "\n\nChosen on the half of the texts they are taken out of, and on the other half (lower "
        f"bound, all texts, mask): {'; '.join(told)}."
    )


def attention() -> str:
    """Whether predictions hang on attention."""
    rows = []
    for name in SHOWN:
        runs = load(f"faithfulness_{name}")
        if not runs or "controls" not in runs[0]:
            continue
        frozen = load(f"frozen_attention_{name}")
        controls = [one["controls"] for one in runs]
        rows.append(
            [
                SETUPS[name][2],
                *(
                    spread([one[key] for one in controls], ".3f")
                    for key in ("entropy", "conicity", "permuted_distance", "permuted_flips")
                ),
                spread([one["refit"]["learned"] for one in runs], ".3f"),
                spread([one["refit"]["uniform"] for one in runs], ".3f"),
                spread(frozen["accuracy"], ".4f") if frozen else "",
            ]
        )
    if not rows:
        return ""
    return (
        "Attention: entropy over that of uniform attention; conicity of the hidden states; how far "
        "shuffling it within the text moves the probabilities (total variation, median of 25) and "
        "how many decisions it changes; accuracy of a head fitted again, by cross-validation on "
        "the validation texts, on values pooled by this attention and by uniform attention; "
        "validation accuracy of whole models trained with attention frozen to uniform (the "
        "accuracy of the others is in the first table):\n\n"
        + table(
            [
                "model",
                "entropy",
                "conicity",
                "moved by shuffling",
                "decisions changed",
                "refit",
                "refit, uniform",
                "trained with uniform",
            ],
            rows,
        )
    )


def plausibility() -> str:
    """Agreement with people."""
    result = load("plausibility")
    if not result:
        return ""
    rows = []
    for name, runs in result.items():
        found = [one["rationales"] for one in runs]
        for ranking in RANKINGS:
            if ranking in found[0]:
                rows.append(
                    [
                        f"{TASKS[name].title.split(',')[0]}, {found[0]['texts']} texts",
                        RANKINGS[ranking],
                        *(
                            spread([one[ranking][key] for one in found], ".3f")
                            for key in ("token_f1", "iou_f1", "auprc")
                        ),
                    ]
                )
    text = (
        "Plausibility (`benchmarks/plausibility.py`, default preset): agreement with the words "
        "that people marked, of validation texts explained for their gold label; ERASER's token "
        "F1, IOU F1 at .5 and AUPRC. It says what people find convincing, not what the model "
        "did:\n\n" + table(["texts", "ranking", "token F1", "IOU F1", "AUPRC"], rows)
    )
    words = [one["words"] for one in result.get("sst", []) if "words" in one]
    if not words:
        return text
    rows = [
        [
            measure.replace("_", " "),
            *(
                spread([one[measure][key] for one in words], ".3f")
                for key in ("spearman", "auc", "precision_at_k")
            ),
        ]
        for measure, value in words[0].items()
        if isinstance(value, dict)
    ]
    return (
        f"{text}\n\nAnd with human labels of single words, SST validation, "
        f"{words[0]['words']} words in 3 texts or more:\n\n"
        + table(["measure", "Spearman", "AUC", "P@50"], rows)
    )
