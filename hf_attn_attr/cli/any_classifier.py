"""What commands do with a classifier that is trained already."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInputError
from ..quiet import quiet_loading
from .printing import answer, complain, count, working

if TYPE_CHECKING:
    from ..data import LabelledTexts
    from ..extraction import AttributionExtractor


def run_model(
    model: str,
    texts: str | None,
    output: Path,
    attribution: Mapping[str, Any],
    text_column: str | None,
    training: Mapping[str, str | None],
    *,
    columns: bool,
    max_words: int | None,
    num_proc: int | None,
    k: int,
    json_: bool,
) -> None:
    """Extract, fold, save, and answer both questions.

    `attribution` are arguments of `AttributionExtractor`, `training` options that do not fit.
    """
    unfit = [option for option, value in training.items() if value is not None]
    if unfit or texts is None:
        raise InvalidInputError(
            f"--model {model} is trained already. Give the texts to fold with --texts"
            + (f" and leave out {unfit[0]}." if unfit else ".")
        )
    with working():
        from ..data import load_labelled
        from ..workflow import influence_of

        read = load_labelled(texts, text_column=text_column, require_labels=False)
        extractor = extractor_of(model, attribution)
        tell_cost(extractor, read)
        extracted, matrix = influence_of(
            extractor,
            read,
            output_dir=output,
            columns=columns,
            max_words=max_words,
            num_proc=num_proc,
        )
        cut = sum(length > 0 for length in extracted["truncated"])
    facts = {
        "folder": str(output),
        "method": matrix.manifest["method"],
        "texts": {"rows": len(read.dataset), "dropped": read.dropped, "cut": cut},
    }
    answer(matrix, output, k, facts, [f"{model}: {count(read)}, {cut:,} cut"], json_=json_)


def extractor_of(model: str, attribution: Mapping[str, Any]) -> "AttributionExtractor":
    """The extractor of a classifier in a folder or on the Hub, with these arguments."""
    from ..extraction import AttributionExtractor

    return AttributionExtractor(*load(model), **attribution)


def load(model: str) -> tuple[Any, Any]:
    """Classifier and tokenizer of a folder or a Hub name, on the GPU if there is one."""
    import torch

    from ..loading import load_classifier

    with quiet_loading():
        classifier, tokenizer = load_classifier(model)
    return classifier.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def tell_cost(extractor: "AttributionExtractor", texts: "LabelledTexts") -> None:
    """Say on standard error what an extraction will cost, where it takes more than one pass."""
    from ..cost import estimated_cost

    if extractor.method in ("contribution", "attention", "attention_rollout"):
        return
    cost = estimated_cost(extractor, texts.dataset["text"][:])
    complain(
        f"{extractor.method}: {cost.forward_passes:,} forward passes for {cost.texts:,} texts, "
        f"about {cost.seconds:,.0f} s."
    )
