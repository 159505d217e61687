"""Write the README's figures from the JSON under `results/`.

python benchmarks/summary.py          # rewrite the section between the markers
python benchmarks/summary.py --check  # exit 1 if the README says something else
"""

import argparse
import sys
from pathlib import Path

from common import load, spread

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- results: benchmarks/summary.py -->", "<!-- end of results -->"
NAMES = {
    "emotion": "emotion, accuracy",
    "goemotions": "GoEmotions (28 labels, multi-label), macro-F1, one threshold",
    "sst": "SST-2, sentences only, accuracy",
    "sst_phrases": "SST-2, with phrases of two or more tokens, accuracy",
    "imdb": "IMDB (first 512 tokens), accuracy",
}


def main() -> None:
    """Rewrite or check the README."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--check", action="store_true")
    check = options.parse_args().check
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    text = f"{before}{BEGIN}\n\n{section()}\n\n{END}{after}"
    if not check:
        README.write_text(text, encoding="utf-8")
    elif text != README.read_text(encoding="utf-8"):
        sys.exit("The README's figures are not those of benchmarks/results. Run summary.py.")


def section() -> str:
    """The section, in Markdown."""
    parts = [quality(), words(), planted(), unknown_words(), startup()]
    return "\n\n".join(part for part in parts if part)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def quality() -> str:
    """Validation quality beside bag of words + logistic regression."""
    rows = []
    for name, title in NAMES.items():
        result = load(f"main_job_{name}")
        if result:
            metric, runs = result["metric"], result["runs"]
            rows.append(
                [
                    title,
                    spread([one[metric] for one in runs]),
                    f"{result['linear'][metric]:.4f}",
                    spread([one["seconds"] for one in runs], ".0f"),
                ]
            )
    return (
        "Validation splits, mean ± standard deviation over 3 seeds; the peer is TF-IDF (words and "
        "pairs, C chosen on the same validation texts) + logistic regression on the same training "
        "texts. Early stopping, thresholds and C are chosen on these same validation texts, for "
        "both, and so were the defaults: the figures are a little optimistic. Seconds are for the "
        "whole job (train, extract, fold, save) on one core of a busy machine: an upper bound "
        "(`benchmarks/main_job.py`).\n\n"
        + table(["data", "this model", "TF-IDF + LR", "seconds"], rows)
    )


def words() -> str:
    """Agreement with human labels of single words."""
    rows = []
    for name, title in (("sst", "sentences only"), ("sst_phrases", "with phrases")):
        result = load(f"main_job_{name}")
        if result:
            runs = [one["words"] for one in result["runs"]]
            bare = [one["words_without_gauge"]["influence"] for one in result["runs"]]
            rows.append(
                [
                    title,
                    *(
                        spread([one[key] for one in runs])
                        for key in ("influence", "p_class_given_word", "joint")
                    ),
                    f"{runs[0]['logistic_regression']:.4f}",
                    "; ".join(
                        f"{one['minus_logistic_regression']:+.3f} "
                        f"[{one['minus_logistic_regression_low']:+.3f}, "
                        f"{one['minus_logistic_regression_high']:+.3f}]"
                        for one in runs
                    ),
                    spread(bare),
                ]
            )
    return (
        "SST: Spearman correlation with the human labels of single words, over words that occur "
        "3 times or more in the validation texts and that logistic regression (on the same "
        "training texts) knows. In brackets the 95% bootstrap interval of influence minus logistic "
        "regression, per seed. The last column leaves the gauge unmeasured: it changes what the "
        "numbers mean, "
        "not how they rank.\n\n"
        + table(
            [
                "trained on",
                "influence",
                "P(class\\|word)",
                "joint",
                "LR coefficient",
                "influence − LR",
                "influence, no gauge",
            ],
            rows,
        )
    )


def planted() -> str:
    """Recovery of planted influences."""
    runs = load("planted")
    if not runs:
        return ""
    accuracy = ", ".join(
        f"{title} {spread([one['accuracy'][name] for one in runs])}"
        for name, title in (
            ("bayes", "Bayes rule"),
            ("model", "this model"),
            ("logistic_regression", "logistic regression on words"),
        )
    )
    columns = {
        "rho_own": "Spearman with the planted strengths, own class",
        "rho": "the same over all six classes",
        "auc_stop": "AUC planted vs stop words",
        "auc_noise": "AUC planted vs noise words",
        "auc_confounded": "AUC planted vs confounded words",
    }
    rows = [
        [title]
        + [
            spread([one["recovery"][measure][key] for one in runs])
            for measure in ("influence", "lower_bound", "joint")
        ]
        for key, title in columns.items()
    ]
    return (
        f"Planted influences (`benchmarks/planted.py`): 700 invented words of known strength. "
        f"Validation accuracy: {accuracy}. Recovery by the matrix folded on the validation texts:"
        "\n\n"
        + table(["", "influence", "lower bound", "joint mass"], rows)
        + "\n\nIn single texts the attribution of a planted word has the sign of its true effect "
        f"in {spread([one['signs']['plain'] for one in runs], '.3f')} of its plain occurrences and "
        f"in {spread([one['signs']['negated'] for one in runs], '.3f')} of those behind a negator."
    )


def unknown_words() -> str:
    """What to do with words the tokenizer does not know."""
    result = load("unknown_words")
    if not result:
        return ""
    rows = [
        [f'`unknown="{rule}"`', spread(one["accuracy"]), f"{100 * one['unknown_tokens']:.1f}%"]
        for rule, one in result.items()
    ]
    return (
        "Unknown words (`benchmarks/unknown_words.py`, SST-2 sentences): spelling them in pieces "
        "loses fewer letters, and costs accuracy, so [UNK] is the default.\n\n"
        + table(["rule", "validation accuracy", "tokens that are [UNK]"], rows)
    )


def startup() -> str:
    """CPU time of the commands that need no torch."""
    result = load("startup")
    if not result:
        return ""
    seconds = result["seconds"]
    reader = next(iter(seconds.values()))
    rows = [
        [f"`{name}`", f"{spent:.2f}", f"{spent / reader:.2f}"] for name, spent in seconds.items()
    ]
    return "Start-up, CPU seconds, median (`benchmarks/startup.py`):\n\n" + table(
        ["command", "seconds", "ratio to importing pandas and pyarrow"], rows
    )


if __name__ == "__main__":
    main()
