"""Write the figures of the README and of docs/ from the JSON under `results/`.

python benchmarks/summary.py          # rewrite the sections between markers
python benchmarks/summary.py --check  # exit 1 if a page says something else
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

import folding_cost
from any_model import any_classifier, attribution_cost, evaluation_cost
from common import load, spread, table
from costs import inference, training_cost
from evidence import calibration, coverage, stability
from plan import plan
from tasks import TASKS
from trust import attention, in_texts, over_corpus, plausibility

ROOT = Path(__file__).parent.parent
ARMS = {
    "scratch": "default",
    "plain": "`plain`",
    "vectors": "default + word vectors",
    "distilled": "`plain` + word vectors",
    "taught": "`plain` + teacher",
    "tfidf": "TF-IDF + LR",
    "bag": "bag of embeddings",
    "frozen": "frozen MiniLM + LR",
    "finetuned": "fine-tuned MiniLM",
}


def main() -> None:
    """Rewrite or check the pages."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--check", action="store_true")
    check = options.parse_args().check
    for page, sections in PAGES.items():
        text = page.read_text(encoding="utf-8")
        for name, section in sections.items():
            begin, end = f"<!-- {name}: benchmarks/summary.py -->", f"<!-- end of {name} -->"
            before, rest = text.split(begin)
            _, after = rest.split(end)
            text = f"{before}{begin}\n\n{section()}\n\n{end}{after}"
        if not check:
            page.write_text(text, encoding="utf-8")
        elif text != page.read_text(encoding="utf-8"):
            sys.exit(f"The figures of {page.name} are not those of results/. Run summary.py.")


def any_model() -> str:
    """The section on any classifier, in Markdown."""
    return "\n\n".join(part for part in (attribution_cost(), any_classifier()) if part)


def results() -> str:
    """The section of results, in Markdown."""
    parts = [
        quality(),
        cost(),
        words(),
        presets(),
        ablation(),
        curves(),
        planted(),
        calibration(),
        coverage(),
        stability(),
        evaluation_cost(),
        over_corpus(),
        in_texts(),
        attention(),
        plausibility(),
        faithful_models(),
        rationales(),
        unknown_words(),
        inference(),
        training_cost(),
        startup(),
        folding_cost.fold(),
        folding_cost.scale(),
        report(),
    ]
    return "\n\n".join(part for part in parts if part)


def runs_of(task: str, arm: str) -> list[dict[str, Any]]:
    """The runs of one arm on one task, an empty list where there are none."""
    return load(f"quality_{task}_{arm}") or []


def quality() -> str:
    """Validation quality beside the peers."""
    rows = []
    for name, task in TASKS.items():
        cells = [
            spread([one["metrics"][task.metric] for one in runs]) if runs else ""
            for runs in (runs_of(name, arm) for arm in ARMS)
        ]
        if any(cells):
            rows.append([task.title, *cells])
    return (
        "Validation splits, mean ± standard deviation over 3 seeds; a figure without ± is of "
        "one run (`benchmarks/quality.py`). *Default* and *`plain`* are presets; *+ word "
        "vectors* starts from vectors distilled from MiniLM (`--init-embeddings`); *+ "
        "teacher* also learns from that MiniLM fine-tuned on the same labels (`--teacher`), "
        "which also labels random n-grams of the training texts (`--teacher-ngrams`, about "
        "70,000 in all). Peers see the same training texts: TF-IDF of words and pairs + "
        "logistic regression; a fastText-like bag; logistic regression on MiniLM sentence "
        "embeddings; MiniLM fine-tuned for two epochs. Early stopping, thresholds, C and "
        "learning rates are chosen on these same validation texts, for all, and so were our "
        "defaults: the figures are a little optimistic. TREC-6 and AG News have no validation "
        "split: a fixed fifth of the training texts is held out.\n\n"
        + table(["data", *ARMS.values()], rows)
        + teacher_gaps()
    )


def teacher_gaps() -> str:
    """How far the taught model is behind its teacher."""
    gaps = []
    for name, task in TASKS.items():
        taught, teacher = (
            [one["metrics"][task.metric] for one in runs_of(name, arm)]
            for arm in ("taught", "finetuned")
        )
        if taught and teacher:
            gaps.append(f"{task.title} {mean(taught) - mean(teacher):+.4f}")
    return f"\n\nTaught minus teacher: {'; '.join(gaps)}." if gaps else ""


def cost() -> str:
    """What training and inference cost."""
    rows = []
    for name, task in TASKS.items():
        for arm, title in ARMS.items():
            runs = runs_of(name, arm)
            if runs:
                rows.append(
                    [
                        task.title.rsplit(",", 1)[0],
                        title,
                        f"{mean(one['train_seconds'] for one in runs):.0f}",
                        f"{1000 * mean(one['seconds_per_text'] for one in runs):.2f}",
                        f"{mean(one['bytes'] for one in runs) / 1e6:.1f}",
                    ]
                )
    return (
        "What they cost, means over seeds. Seconds to train one model (the seeds share word "
        "vectors and a teacher's answers; a teacher's own training is apart; for the peers, all "
        "settings that were tried) are on one core of a machine with other work: upper bounds. "
        "Milliseconds to classify a text are on one thread, tokenisation included, and as rough."
        "\n\n" + table(["data", "classifier", "seconds to train", "ms per text", "MB"], rows)
    )


def words() -> str:
    """Agreement with human labels of single words."""
    rows = []
    for name, trained_on in (("sst", "sentences"), ("sst_phrases", "sentences and phrases")):
        for arm in ("scratch", "plain", "vectors", "distilled", "taught"):
            runs = runs_of(name, arm)
            for folded in ("validation", "train") if runs else ():
                found = [one["words"][folded] for one in runs]
                rows.append(
                    [
                        f"{trained_on}, {ARMS[arm]}",
                        folded,
                        f"{mean(one['words'] for one in found):.0f}",
                        *(
                            spread([one[key] for one in found])
                            for key in (
                                "influence",
                                "p_class_given_word",
                                "joint",
                                "logistic_regression",
                            )
                        ),
                        "; ".join(
                            f"[{one['minus_p_class_given_word_low']:+.3f}, "
                            f"{one['minus_p_class_given_word_high']:+.3f}]"
                            for one in found
                        ),
                    ]
                )
    if not rows:
        return ""
    return (
        "SST: Spearman correlation with the human labels of single words, over words that occur "
        "3 times or more in the folded texts and that logistic regression (on the same training "
        "texts) knows. Last column: 95% bootstrap interval of influence minus P(class|word) of the "
        "same model, per seed.\n\n"
        + table(
            [
                "trained on",
                "folded texts",
                "words",
                "influence",
                "P(class\\|word)",
                "joint",
                "LR coefficient",
                "influence − P(class\\|word)",
            ],
            rows,
        )
    )


def presets() -> str:
    """The presets side by side."""
    result = load("presets")
    if not result:
        return ""
    rows = [
        [
            f"`{preset}`",
            spread([one["accuracy"] for one in runs]),
            f"{mean(one['train_seconds'] for one in runs):.0f}",
            f"{1000 * mean(one['seconds_per_text'] for one in runs):.2f}",
            f"{runs[0]['bytes'] / 1e6:.1f}",
            "exact" if runs[0]["method"] == "contribution" else "attention only",
        ]
        for preset, runs in result.items()
    ]
    return (
        "Presets on SST-2 sentences; seconds include extraction and fold; a figure without ± is "
        "of one run (`benchmarks/presets.py`):\n\n"
        + table(
            ["preset", "accuracy", "seconds to train", "ms per text", "MB", "attributions"], rows
        )
    )


def ablation() -> str:
    """What each part of training is worth."""
    result = load("ablation")
    if not result:
        return ""
    variants = [
        variant
        for variant in next(iter(result.values()))
        if all(variant in runs for runs in result.values())
    ]
    rows = [[variant, *(spread(runs[variant]) for runs in result.values())] for variant in variants]
    return (
        "Preset `plain` (first row) with one thing changed at a time, 3 seeds "
        "(`benchmarks/ablation.py`):\n\n"
        + table(["variant", *(TASKS[name].title for name in result)], rows)
    )


def curves() -> str:
    """Little data."""
    result = load("curves")
    if not result:
        return ""
    arms = next(iter(next(iter(result.values())).values()))
    rows = [
        [TASKS[name].title, size, *(spread(found[arm]) for arm in arms)]
        for name, sizes in result.items()
        for size, found in sizes.items()
        if all(arm in found for arm in arms)
    ]
    for name in result:
        every = [runs_of(name, arm) for arm in arms]
        if all(every):
            metric = TASKS[name].metric
            cells = [spread([one["metrics"][metric] for one in runs]) for runs in every]
            rows.append([TASKS[name].title, "all", *cells])
    return (
        "Little data, 3 seeds of the subset and of training (`benchmarks/curves.py`; all texts: as "
        "above):\n\n" + table(["data", "training texts", *(ARMS[arm] for arm in arms)], rows)
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


def faithful_models() -> str:
    """Models side by side: right, and right about themselves."""
    result = load("faithful_models")
    if not result:
        return ""

    def cell(task: str, variant: str, figure: Callable[[dict[str, Any]], float]) -> str:
        runs = result.get(task, {}).get(variant)
        return spread([figure(run) for run in runs], ".3f") if runs else ""

    def ratio(run: dict[str, Any]) -> float:
        return run["erasure"]["contribution"] / run["erasure"]["integrated_gradients"]

    rows = [
        [
            f"`{variant}`",
            cell("planted", variant, lambda run: run["accuracy"]),
            cell("planted", variant, lambda run: run["signs"]["plain"]),
            cell("planted", variant, lambda run: run["signs"]["negated"]),
            cell("planted", variant, ratio),
            cell("sst", variant, lambda run: run["accuracy"]),
            cell("sst", variant, ratio),
            cell("sst", variant, lambda run: run["people"]),
        ]
        for variant in result["planted"]
    ]
    others = [
        [
            TASKS[task].title,
            f"`{variant}`",
            spread([run[TASKS[task].metric] for run in runs], ".3f"),
            *(
                spread([run["erasure"][kind] for run in runs], ".3f")
                for kind in ("contribution", "integrated_gradients", "attention")
            ),
            spread([ratio(run) for run in runs], ".3f"),
        ]
        for task, variants in result.items()
        if task not in ("planted", "sst")
        for variant, runs in variants.items()
    ]
    return (
        "Models that are right about themselves (`benchmarks/faithful_models.py`): what attention "
        "pools (`value_source`), and training. *Signs* are shares of planted words, plain and "
        "behind a negator, whose attribution has the sign of their true effect. *Ratio* is the "
        "comprehensiveness of contributions (one pass) over that of integrated gradients (50 "
        "passes and backward) of the same model. *People*: Spearman correlation of influence, "
        "folded on validation texts, with human labels of words that occur 3 times or more. A ± "
        "is over three seeds, the rest is one. The default preset is `both_gated` with context "
        "dropout 0.5, preset `plain` is `both`. Seed 0 on the first two corpora chose it.\n\n"
        + table(
            [
                "values",
                "planted: accuracy",
                "signs",
                "signs, negated",
                "ratio",
                "SST-2: accuracy",
                "ratio",
                "people",
            ],
            rows,
        )
        + "\n\nOn other data, comprehensiveness by ranking:\n\n"
        + table(
            [
                "data",
                "values",
                "quality",
                "contribution",
                "integrated gradients",
                "attention",
                "ratio",
            ],
            others,
        )
    )


def rationales() -> str:
    """Attention supervised by human rationales."""
    result = load("rationales")
    if not result:
        return ""
    rows = []
    for name, weights in result.items():
        for weight, runs in weights.items():
            found = [run["agreement"] for run in runs]
            elsewhere = [
                run["toxic_spans"]["attention"]["union"] for run in runs if "toxic_spans" in run
            ]
            rows.append(
                [
                    {"hatexplain": "HateXplain", "movies": "movie reviews"}[name],
                    weight,
                    spread([run["macro_f1"] for run in runs]),
                    spread([run["auroc"] for run in runs]),
                    *(
                        spread([one[score]["union"] for one in found])
                        for score in ("attention", "contribution", "random")
                    ),
                    spread(elsewhere) if elsewhere else "",
                ]
            )
    return (
        "Attention supervised by human rationales (`benchmarks/rationales.py`), preset `plain`, "
        "validation splits. "
        "AUPRC is the area under the precision-recall curve of a text's tokens against the union "
        "of the annotators' rationales, averaged over texts; a contribution is that to the "
        "predicted class. Last column: the same model on Toxic Spans, on which nothing was "
        "trained. AUROC is macro one-versus-one. Weight 0 is without supervision; the weight was "
        "chosen on one seed (the best macro-F1 among those within 0.01 of the best agreement). "
        "Published for a BiRNN with such attention, on the test split (Mathew et al. 2021): "
        "macro-F1 0.629, AUROC 0.805, AUPRC 0.841.\n\n"
        + table(
            [
                "data",
                "weight",
                "macro-F1",
                "AUROC",
                "AUPRC of attention",
                "of contribution",
                "of random scores",
                "of attention, Toxic Spans",
            ],
            rows,
        )
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


def report() -> str:
    """Size and speed of the report page."""
    result = load("report")
    if not result:
        return ""
    rows = [
        [name, f"{min(values):.0f}", f"{median(values):.0f}", f"{max(values):.0f}"]
        for name, values in result["milliseconds"].items()
    ]
    return (
        f"The report page of {result['words']:,} words x {result['classes']} classes with example "
        f"texts takes {result['megabytes']:.2f} MB. Of the {result['in_three_texts']:,} words in 3 "
        f"texts or more, {result['with_numbers']:,} have numbers on the page; rarer ones are left "
        "out to keep it below 5 MB. Milliseconds in Chromium, on a machine with other work "
        "(`benchmarks/report.py`):\n\n" + table(["what", "least", "median", "most"], rows)
    )


PAGES = {
    ROOT / "README.md": {"any classifier": any_model, "results": results},
    ROOT / "docs" / "many_machines.md": {"plan": plan},
}


if __name__ == "__main__":
    main()
