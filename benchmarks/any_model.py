"""What the README says of any classifier: what its attributions cost, and how it compares."""

from common import load, table
from tasks import TASKS

METHODS = (
    "contribution",
    "attention",
    "attention_rollout",
    "input_x_gradient",
    "occlusion",
    "integrated_gradients",
)
ERASING = ("influence", "stability", "attribution", "attention")
OTHERS = ("captum", "captum, texts sorted for it", "transformers-interpret")


def attribution_cost() -> str:
    """Each method beside other libraries, in forward passes."""
    result = load("attribution_cost")
    if not result:
        return ""
    passes = {(one["method"], one["by"]): one["passes"] for one in result["arms"]}

    def cell(method: str, by: str) -> str:
        found = passes.get((method, by))
        return "" if found is None else f"{found:.1f}"

    columns = ("this package", *OTHERS)
    rows = [[f"`{method}`", *(cell(method, by) for by in columns)] for method in METHODS]
    sampled = "; ".join(
        f"{one['by']} {one['passes']:.0f}"
        for one in result["arms"]
        if one["method"] in ("shap", "lime") and one["passes"]
    )
    alone = passes["occlusion", "captum, one by one, all classes at once"]
    farthest = max(result["farthest_from_captum"].values())
    return (
        f"What that costs, in batched forward passes (`benchmarks/attribution_cost.py`): MiniLM "
        "fine-tuned on SST, its validation sentences, both classes, "
        f"{result['steps']} steps of integrated gradients, {result['tokens']:,} padded tokens a "
        "pass for all, one core; `contribution` is of our model, in its own passes. captum gets "
        f"the texts as they come, {result['captum_batch']} padded together, or sorted by length "
        "for it.\n\n"
        + table(["method", *columns], rows)
        + f"\n\nOur terms are captum's within {farthest:.0e} of the largest. captum's occlusion "
        "takes "
        f"{alone:.1f} where it is given one text at a time, all its classes in one call. Methods "
        f"that sample, passes per text: {sampled}."
    )


def evaluation_cost() -> str:
    """What the checks of `evaluate` cost."""
    result = load("evaluate_cost")
    if not result:
        return ""
    rows = []
    for name, found in result.items():
        checks = {one["name"]: one for one in found["checks"]}
        sample = found["texts"]
        first = sum(one["seconds"] for key, one in checks.items() if key != "seeds")
        rows.append(
            [
                f"{name}, {sample['corpus_sample']} and {sample['text_sample']} texts",
                *(f"{checks[key]['passes']:.0f}" for key in ERASING),
                f"{first / found['pass_seconds']:.0f}",
                f"{first:.0f}",
                f"{checks['seeds']['seconds']:.0f}" if found["seeds"] else "",
            ]
        )
    told = ""
    if seeds := result.get("ours", {}).get("seeds"):
        told = (
            f"\n\nThe {result['ours']['refits']} models of other seeds agree with each other by "
            f"{seeds['refits']:.3f} and with the matrix by {seeds['matrix']:.3f} (Spearman, "
            f"{seeds['compared']:.0f} words), {seeds['same_sign']:.1%} in sign; a top word of the "
            f"matrix is in {seeds['listed']:.0%} of their lists of 20."
        )
    return (
        f"What `evaluate` costs (`benchmarks/evaluate_cost.py`): {sample['rows']} SST validation "
        "sentences, one core, with the samples that are usual for each model (erasure over the "
        "corpus, and text by text); in forward passes over all these sentences, batched by "
        "length:\n\n"
        + table(["model", *ERASING, "all but seeds", "in CPU seconds", "seeds, CPU seconds"], rows)
        + told
    )


def any_classifier() -> str:
    """A fine-tuned encoder beside our model."""
    result = load("any_classifier")
    if not result:
        return ""
    rows = [
        [
            TASKS[name].title.rsplit(",", 1)[0],
            model,
            *(
                f"{figures[key]:.4f}" if key in figures else ""
                for key in ("accuracy", "gold log-odds", "human labels")
            ),
        ]
        for name, found in result.items()
        for model, figures in found["models"].items()
    ]
    compared = " ".join(
        f"{TASKS[name].title.rsplit(',', 1)[0]}: the matrices agree with Spearman "
        f"{found['spearman']:.2f}; most disagreed on, {disagreed(found['disagreements'])}."
        for name, found in result.items()
    )
    return (
        "A fine-tuned MiniLM beside our model, both folded on the validation texts "
        "(`benchmarks/any_classifier.py`): accuracy, and Spearman correlation of influence with "
        "the log-odds of words in the gold labels of the same texts and with human labels of "
        "single words.\n\n"
        + table(["data", "model", "accuracy", "gold log-odds", "human labels"], rows)
        + f"\n\n{compared} `examples/any_classifier.py` does this for your texts."
    )


def disagreed(found: list[dict[str, object]]) -> str:
    """Words that both are sure of, with the influence of the encoder and of our model."""
    named = (
        "*{word}* for {label} ({influence:+.2f}, ours {influence_other:+.2f})".format(**one)
        for one in found[:4]
    )
    return ", ".join(named) or "none that both are sure of"
