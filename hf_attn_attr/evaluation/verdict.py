"""From the figures of a check to a verdict: every rule and every limit in one place.

A verdict is "supported" only if all conditions of its rule hold, by every way in which words can
go; what is not shown is not supported. The limits are conventions, chosen to be hard on us:

- quality: the 95% interval of the accuracy lies above the share of the most frequent class.
- influence: for a class, taking out its 20 top words lowers its mean probability by more than 97.5%
  of the draws of words as frequent do, and by `LEAST_DROP` at least in the texts that held one;
  "partly supported" if that holds, or can be judged, for some of the classes.
- association: of the 20 top words of every class, more have positive log-odds with the gold label
  than chance has it (binomial test, p < .05); "partly supported" if so for some of the classes.
- stability: the influences of two random halves of the texts have a Spearman correlation of
  `LEAST_AGREEMENT`, mean over splits and classes.
- seeds: for every class, the influences of models trained with other seeds have that correlation
  with each other and with the matrix, means over pairs; and the top words of the matrix are among
  theirs in `LEAST_LISTED` of the models, mean over words; "partly supported" if so for some.
- attribution: within texts, its ranking beats one that knows only word frequency, in
  comprehensiveness and in sufficiency (95% intervals of the differences), and reaches
  `LEAST_SHARE` of the comprehensiveness of leaving each word out in turn; "partly supported"
  without the last.
- attention: the same as for attribution, and the answer hangs on it: shuffling it moves the
  typical answer by `LEAST_DISTANCE`, and a head fitted again on uniform attention does worse (95%
  interval). There is no half of this one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

Level = Literal["supported", "partly supported", "not supported", "not checked"]
JUDGED_SIZE = 20
"""Number of top words that the verdict on influence is about."""
FEWEST_WORDS = 5
"""Top words below which a class is not judged."""
FEWEST_TEXTS = 30
"""Texts below which nothing is judged."""
LEAST_DROP = 0.02
"""Loss of probability, mean over the texts that held a top word; for regression in standard
deviations of the predictions."""
LEAST_AGREEMENT = 0.7
"""Spearman correlation of influences between halves, or seeds."""
LEAST_LISTED = 0.5
"""Share of the models of other seeds that list a top word, mean over the top words."""
_NAMED = 5
LEAST_SHARE = 0.8
"""Of the comprehensiveness of leaving each word out."""
LEAST_DISTANCE = 0.1
"""Total variation of the outputs, mean over texts."""

Figures = Mapping[str, Any]


class Verdict(NamedTuple):
    """What the figures of a check support.

    Attributes:
        level: "supported", "partly supported", "not supported" or "not checked".
        reasons: Plain sentences with the numbers behind it.
    """

    level: Level
    reasons: list[str]


def on_quality(figures: Figures) -> Verdict:
    """Whether the model predicts better than the most frequent class does."""
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in figures["metrics"].items())
    told = f"{metrics} on {figures['texts']:,} texts."
    if figures["trained_on"]:
        return Verdict("not checked", [told, "The model was trained on these very texts."])
    if "accuracy" not in figures:
        return Verdict("not checked", [told, "There is no rule for this kind of labels."])
    low = figures["accuracy"][1]
    base = figures["most_frequent"]
    reasons = [told, f"Accuracy {_range(figures['accuracy'])}; the most frequent class {base:.2f}."]
    if figures["texts"] < FEWEST_TEXTS:
        return Verdict("not checked", [*reasons, _few(figures["texts"])])
    return Verdict("supported" if low > base else "not supported", reasons)


def on_influence(figures: Figures) -> Verdict:
    """Whether the top words of the classes drive them, over the whole corpus."""
    if figures["texts"] < FEWEST_TEXTS:
        return Verdict("not checked", [_few(figures["texts"])])
    least = LEAST_DROP * figures["scale"]
    found = {
        label: _on_class(label, figures["output"].format(label), ways, least)
        for label, ways in figures["classes"].items()
    }
    reasons = [reason for _, reason in found.values()]
    if figures["folded_on"]:
        reasons.append("The words were chosen on these same texts, which flatters them a little.")
    shown = sum(drives is True for drives, _ in found.values())
    if all(drives is None for drives, _ in found.values()):
        return Verdict("not checked", reasons)
    return _by_class(shown, len(found), reasons)


def _on_class(
    label: str, output: str, ways: Mapping[str, list[Figures]], least: float
) -> tuple[bool | None, str]:
    """Whether its top words drive a class, None if there are too few, and why."""
    rows = {
        way: next(row for row in found if row["k"] == JUDGED_SIZE) for way, found in ways.items()
    }
    words = min(row["words"] for row in rows.values())
    if words < FEWEST_WORDS:
        return None, f"{label}: not checked, only {words:.0f} top words are in these texts."
    drives = all(_drives(row, least) for row in rows.values())
    way, row = min(rows.items(), key=lambda pair: pair[1]["drop_touched"])
    return drives, (
        f"{label}: {'' if drives else 'not supported, '}removing its {words:.0f} top words ({way}) "
        f"lowers {output} by {row['drop_touched']:.3f} in the {row['touched']:.0%} of the texts "
        f"that held one; words as frequent {_range(row['matched']['drop_touched'], 3)}."
    )


def on_association(figures: Figures) -> Verdict:
    """Whether the data agree that the top words go with their class."""
    agree: dict[str, bool] = {}
    reasons = []
    for label, row in figures["classes"].items():
        if row["words"] < FEWEST_WORDS:
            reasons.append(f"{label}: not checked, only {row['words']} top words can be compared.")
            continue
        agree[label] = row["p_value"] < 0.05
        reasons.append(
            f"{label}: {'' if agree[label] else 'not supported, '}{row['positive']} of its "
            f"{row['words']} top words are commoner with the gold label than without, "
            f"{row['found']} of them beyond chance (q at most .05)."
        )
    if not agree:
        return Verdict("not checked", reasons)
    return _by_class(sum(agree.values()), len(figures["classes"]), reasons)


def on_stability(figures: Figures) -> Verdict:
    """Whether halves of the texts tell the same."""
    if figures["texts"] < FEWEST_TEXTS:
        return Verdict("not checked", [_few(figures["texts"])])
    agreement = figures["spearman"]["influence"]
    others = "".join(
        f", of {measure} {value:.2f}"
        for measure, value in figures["spearman"].items()
        if measure != "influence"
    )
    reasons = [
        f"Influences of halves of {figures['texts']:,} texts agree by {agreement:.2f} (Spearman; "
        f"wanted {LEAST_AGREEMENT}{others}), {figures['same_sign']:.0%} of them in sign; a list of "
        f"20 names {figures['listed']:.0%} of what either half lists.",
    ]
    if figures["texts"] < (figures["folded"] or 0):
        reasons.append(
            f"The matrix is of {figures['folded']:,} texts; halves of as many agree better."
        )
    return Verdict("supported" if agreement >= LEAST_AGREEMENT else "not supported", reasons)


def on_seeds(figures: Figures) -> Verdict:
    """Whether models of other seeds tell the same."""
    if figures["texts"] < FEWEST_TEXTS:
        return Verdict("not checked", [_few(figures["texts"])])
    found = {
        label: _on_seeds(label, row, len(figures["refits"]))
        for label, row in figures["classes"].items()
    }
    reasons = [reason for _, reason in found.values()]
    if all(same is None for same, _ in found.values()):
        return Verdict("not checked", reasons)
    return _by_class(sum(same is True for same, _ in found.values()), len(found), reasons)


def _on_seeds(label: str, row: Figures, refits: int) -> tuple[bool | None, str]:
    """Whether other seeds name the top words of a class, None if there are too few, and why."""
    top = [word for word in row["words"] if word["published"]]
    if len(top) < FEWEST_WORDS or row["refits"] is None or row["matrix"] is None:
        return None, f"{label}: not checked, there are too few words to compare."
    same = min(row["refits"], row["matrix"]) >= LEAST_AGREEMENT and row["listed"] >= LEAST_LISTED
    rare = [word["word"] for word in top if 2 * word["selected"] < refits]
    return same, (
        f"{label}: {'' if same else 'not supported, '}influences of {refits} models of other seeds "
        f"agree by {row['refits']:.2f} with each other and {row['matrix']:.2f} with the matrix "
        f"(Spearman, {row['compared']:,} words; wanted {LEAST_AGREEMENT}), {row['same_sign']:.0%} "
        f"in sign; its {len(top)} top words are in {row['listed']:.0%} of their lists (wanted "
        f"{LEAST_LISTED:.0%}), {sum(word['selected'] == refits for word in top)} in all of them"
        + (f"; in fewer than half: {', '.join(rare[:_NAMED])}" if rare else "")
        + (f" and {len(rare) - _NAMED} more." if len(rare) > _NAMED else ".")
    )


def on_attribution(figures: Figures) -> Verdict:
    """Whether the numbers of single texts name the words that the answer hangs on."""
    if figures["texts"] < FEWEST_TEXTS:
        return Verdict("not checked", [_few(figures["texts"])])
    better, whole, reasons = _by_erasure(figures)
    if figures["method"] == "occlusion":
        reasons.append("Occlusion is a test by erasure itself, so it has to do well here.")
    if better:
        return Verdict("supported" if whole else "partly supported", reasons)
    return Verdict("not supported", reasons)


def on_attention(figures: Figures) -> Verdict:
    """Whether attention may be shown as an explanation."""
    if figures["texts"] < FEWEST_TEXTS:
        return Verdict("not checked", [_few(figures["texts"])])
    better, whole, reasons = _by_erasure(figures)
    met = [better, whole]
    if controls := figures.get("controls"):
        moved, limit = controls["permuted_distance"], LEAST_DISTANCE
        met.append(moved >= limit)
        reasons.append(
            f"Shuffling it moves the answer by {moved:.3f} (wanted {limit}) and changes "
            f"{controls['permuted_flips'] or 0:.0%} of the decisions; its entropy is "
            f"{controls['entropy']:.2f} of a uniform one's, conicity {controls['conicity']:.2f}."
        )
    if refit := figures.get("refit"):
        gain = refit["gain"]
        met.append(gain[1] > 0)
        reasons.append(
            f"A head fitted again: accuracy {refit['learned']:.3f} with this attention, "
            f"{refit['uniform']:.3f} with a uniform one (difference {_range(gain, 3)})."
        )
    return Verdict("supported" if all(met) else "not supported", reasons)


def _by_erasure(figures: Figures) -> tuple[bool, bool, list[str]]:
    """Better than frequency by every way; near leaving words out by every way; why."""
    better, whole, reasons = True, True, []
    name = figures["method"]
    for way, found in figures["ways"].items():
        gain = found["gain"]
        better &= gain["comprehensiveness"][1] > 0 and gain["sufficiency"][2] < 0
        reached = found[name]["comprehensiveness"]
        best = found["leave_one_out"]["comprehensiveness"]
        whole &= reached >= LEAST_SHARE * best
        reasons.append(
            f"{way}: comprehensiveness {reached:.3f} (words as frequent "
            f"{found['matched']['comprehensiveness']:.3f}, leaving each word out {best:.3f}), "
            f"sufficiency {found[name]['sufficiency']:.3f} (words as frequent "
            f"{found['matched']['sufficiency']:.3f}), tau {found[name]['tau'] or 0:.2f}."
        )
    return better, whole, reasons


def _by_class(shown: int, classes: int, reasons: list[str]) -> Verdict:
    level: Level = "partly supported" if shown else "not supported"
    if shown == classes:
        level = "supported"
    return Verdict(level, [f"{shown} of {classes} classes.", *reasons])


def _drives(row: Figures, least: float) -> bool:
    matched = row["matched"]
    return bool(
        row["drop"] > matched["drop"][2]
        and row["drop_touched"] > matched["drop_touched"][2]
        and row["drop_touched"] >= least
    )


def _range(interval: Sequence[float], digits: int = 2) -> str:
    mean, low, high = interval
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _few(texts: int) -> str:
    return f"{texts} texts are too few to judge by; wanted {FEWEST_TEXTS} or more."
