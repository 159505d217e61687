"""The README's figures on the cost of the forward pass, of `extract` and of training."""

from statistics import median
from typing import Any

from common import load, table


def inference() -> str:
    """The forward pass, attributions and `extract` beside limits and stock paths."""
    result = load("inference")
    if not result:
        return ""
    middle = {name: median(values) for name, values in result["seconds"].items()}
    unit = middle["forward, sorted by length"]
    rows = [
        [name, f"{1e6 * value / result['texts']:.0f}", f"{value / unit:.2f}"]
        for name, value in middle.items()
    ]
    half = result["bfloat16"]
    small = middle["6 classes: with attention and attributions"] / middle["6 classes: forward"]
    return (
        f"Speed on {result['texts']:,} GoEmotions texts, 28 classes, one thread "
        "(`benchmarks/inference.py`): CPU time, median of interleaved rounds. Attention and exact "
        "attributions of all classes cost "
        f"{middle['forward with attention and attributions'] / unit - 1:.0%} on top of the forward "
        f"pass with 28 classes and {small - 1:.0%} with 6 (wanted: 5%); the forward pass takes "
        f"{unit / middle['its matrix products alone']:.2f} times as long as its matrix products "
        "alone. The whole of `extract` takes "
        f"{middle['extract, text to Arrow'] / middle['pipeline, batches of 32']:.2f} times as long "
        "as the text-classification pipeline. In bfloat16 (`model.to(torch.bfloat16)`) the pass is "
        f"{unit / middle['forward in bfloat16']:.2f} times as fast (wanted: 2); probabilities move "
        f"by {half['probabilities, largest']:.3f} at most, {half['top 20 words shared']:.0%} of "
        "the top 20 words stay, influences move by "
        f"{half['influence, median shift in widths of its interval']:.4f} of the width of their "
        "interval (median). It is an option, not the default.\n\n"
        + table(["", "µs per text", "times the forward pass"], rows)
    )


def training_cost() -> str:
    """Training beside a stock `Trainer` and a bare loop."""
    result = load("training_cost")
    if not result:
        return ""
    middle: dict[str, Any] = {name: median(values) for name, values in result["seconds"].items()}
    whole = middle["whole: stock Trainer, random batches"] / middle["whole: ours"]
    steps = middle["steps: Trainer, our arguments"] / middle["steps: bare loop"]
    accuracy = result["accuracy"]
    return (
        f"Training on SST-2, {result['steps']} steps (`benchmarks/training_cost.py`, CPU time, "
        f"medians): `train` is {whole:.2f} times as fast as a stock `Trainer` with random batches "
        f"(wanted: 1.6), at accuracy {accuracy['whole: ours']:.4f} against "
        f"{accuracy['whole: stock Trainer, random batches']:.4f}; `Trainer` takes {steps:.2f} "
        "times as long as a bare loop over the same batches (wanted: 1.1 at most)."
    )
