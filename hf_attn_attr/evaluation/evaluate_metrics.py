"""The formulae of faithfulness and plausibility as metrics of Hugging Face's `evaluate`.

They need no network: make one, or several with `evaluate.combine([...])`, and call `compute`, or
`add_batch` and then `compute`.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import evaluate
import numpy as np
from datasets import Features, List, Value

from ..errors import InvalidInputError
from . import faithfulness, plausibility

_CITATIONS = {
    "eraser": "DeYoung et al. 2020, ERASER: A Benchmark to Evaluate Rationalized NLP Models",
    "flip": "Serrano & Smith 2019, Is Attention Interpretable?",
    "tau": "Jain & Wallace 2019, Attention is not Explanation",
}
_NUMBER, _NUMBERS = Value("float64"), List(Value("float64"))


class _Metric(evaluate.Metric):
    """A metric of named columns; a row is a text."""

    columns: ClassVar[dict[str, tuple[Any, str]]]
    alternatives: ClassVar[dict[str, Any]] = {}
    source: ClassVar[str]
    _figures: Callable[..., dict[str, float]]

    def __init__(self, *args: Any, **kwargs: Any):
        # In memory, unless several processes have to share.
        kwargs.setdefault("keep_in_memory", kwargs.get("num_process", 1) == 1)
        super().__init__(*args, **kwargs)

    def _info(self) -> evaluate.MetricInfo:
        features = {name: kind for name, (kind, _) in self.columns.items()}
        options = [Features(features)]
        if self.alternatives:
            options.append(Features({**features, **self.alternatives}))
        arguments = "\n".join(f"    {name}: {what}" for name, (_, what) in self.columns.items())
        return evaluate.MetricInfo(
            description=self.__doc__ or "",
            citation=_CITATIONS[self.source],
            inputs_description=f"\nColumns, one entry per text:\n{arguments}\n",
            features=options if self.alternatives else options[0],
        )

    def _compute(self, **given: Any) -> dict[str, float]:
        # `evaluate.combine` hands every metric the columns and options of all.
        unknown = set(given) - _COLUMNS - _OPTIONS
        if unknown:
            raise InvalidInputError(f"No metric has a column or option {sorted(unknown)[0]!r}.")
        columns = {name: given.pop(name) for name in self.columns}
        return self._figures(**columns, **{k: v for k, v in given.items() if k in _OPTIONS})


class Comprehensiveness(_Metric):
    """What the probability of the class loses without the most important words; more is better."""

    columns: ClassVar = {
        "full": (_NUMBER, "probability of the explained class for the whole text"),
        "without": (
            _NUMBERS,
            "the same without the most important words: a number, or one per share (AOPC)",
        ),
    }
    alternatives: ClassVar = {"without": _NUMBER}
    source = "eraser"

    def _figures(self, full: Any, without: Any, **_: Any) -> dict[str, float]:
        return {"comprehensiveness": _mean(faithfulness.comprehensiveness(full, without))}


class Sufficiency(_Metric):
    """What it loses with the most important words alone; less is better."""

    columns: ClassVar = {
        "full": (_NUMBER, "probability of the explained class for the whole text"),
        "alone": (
            _NUMBERS,
            "the same for the most important words alone: a number, or one per share (AOPC)",
        ),
    }
    alternatives: ClassVar = {"alone": _NUMBER}
    source = "eraser"

    def _figures(self, full: Any, alone: Any, **_: Any) -> dict[str, float]:
        return {"sufficiency": _mean(faithfulness.sufficiency(full, alone))}


class DecisionFlip(_Metric):
    """Share of the words removed when the decision flips, 1 if never; less is better."""

    columns: ClassVar = {
        "kept": (List(Value("bool")), "whether the decision is unchanged, after each removal"),
        "removed": (_NUMBERS, "share of the words removed, after each removal, increasing"),
    }
    source = "flip"

    def _figures(self, kept: Any, removed: Any, **_: Any) -> dict[str, float]:
        flips = faithfulness.decision_flip(kept, removed)
        return {
            "flip_fraction": faithfulness.flip_fraction(flips),
            "never_flips": _mean(np.isnan(flips)),
        }


class LeaveOneOutTau(_Metric):
    """Kendall's tau-b of the words' scores with what is lost without each."""

    columns: ClassVar = {
        "scores": (_NUMBERS, "a number per word"),
        "losses": (_NUMBERS, "p(text) - p(text without the word), for each word"),
    }
    source = "tau"

    def _figures(self, scores: Any, losses: Any, **_: Any) -> dict[str, float]:
        return {"leave_one_out_tau": _mean(faithfulness.leave_one_out_tau(scores, losses))}


class RationaleOverlap(_Metric):
    """Token F1, IOU F1 and AUPRC of words' scores with the words people marked.

    The hard rationale is the leading `share` of each text's words; by default the mean share that
    people marked. Texts where they marked nothing are left out.
    """

    columns: ClassVar = {
        "scores": (_NUMBERS, "a number per word"),
        "rationale": (List(Value("bool")), "whether people marked it, for each word"),
    }
    source = "eraser"

    def _figures(
        self, scores: Any, rationale: Any, share: float | None = None, threshold: float = 0.5
    ) -> dict[str, float]:
        if share is None:
            share = plausibility.rationale_share(rationale)
        mask = plausibility.top_words_mask(scores, share)
        return {
            "token_f1": _mean(plausibility.token_f1(mask, rationale)),
            "iou_f1": plausibility.iou_f1(mask, rationale, threshold),
            "auprc": _mean(plausibility.auprc(scores, rationale)),
        }


_METRICS: tuple[type[_Metric], ...] = (
    Comprehensiveness,
    Sufficiency,
    DecisionFlip,
    LeaveOneOutTau,
    RationaleOverlap,
)
_COLUMNS = {name for metric in _METRICS for name in metric.columns}
_OPTIONS = {"share", "threshold"}


def _mean(values: Any) -> float:
    """Mean of the numbers that are defined; NaN if none is."""
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    return float(array.mean()) if len(array) else float("nan")
