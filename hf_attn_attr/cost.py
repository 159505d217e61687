"""What an extraction will cost, before it is begun."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from .encoding import Encoded
from .extraction import AttributionExtractor

_SAMPLE = 8  # texts that are timed
_BACKWARD = 1  # to the embeddings alone, not to the weights, it costs as much as a forward pass


@dataclass(frozen=True)
class Cost:
    """Estimated cost of attributing some texts.

    Attributes:
        texts: How many there are.
        forward_passes: Of one text, or window of it, each; a backward pass counts as one.
        seconds: On this machine, from a timed sample.
    """

    texts: int
    forward_passes: int
    seconds: float


def estimated_cost(extractor: AttributionExtractor, texts: Sequence[str]) -> Cost:
    """The cost of `extractor` on `texts`: a few texts of all lengths are attributed and timed.

    Time is taken to grow with passes times tokens, so very long texts cost more than it says.
    """
    parts, owner = extractor.windows(extractor.encoded(texts))
    passes = [_passes(extractor, part) for part in parts]
    work = [0] * len(texts)
    for text, count, part in zip(owner.tolist(), passes, parts, strict=True):
        work[text] += count * len(part.ids)
    by_work = sorted((index for index in range(len(texts)) if work[index]), key=work.__getitem__)
    sample = by_work[:: max(1, len(by_work) // _SAMPLE)][:_SAMPLE]
    if not sample:
        return Cost(len(texts), sum(passes), 0.0)
    start = time.perf_counter()
    extractor.table([texts[index] for index in sample])
    seconds = time.perf_counter() - start
    share = sum(work[index] for index in sample) / sum(work)
    return Cost(len(texts), sum(passes), seconds / share)


def _passes(extractor: AttributionExtractor, part: Encoded) -> int:
    """Forward passes that one text or window takes."""
    per_point = 1 + _BACKWARD * (extractor.attribute.outputs or len(extractor.labels))
    return (extractor.attribute.classes == "predicted") + {
        "occlusion": 1 + len(part.spans),
        "input_x_gradient": per_point,
        # The text and its baseline, and every point on the way.
        "integrated_gradients": 2 + per_point * extractor.attribute.options.get("steps", 0),
    }.get(extractor.method, 1)
