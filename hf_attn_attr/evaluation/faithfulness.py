"""Faithfulness of an explanation by what erasing its words does to the model's answer.

Formulae alone, on probabilities; `erasure` makes these, `rankings` says which words go.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kendalltau

from ..errors import InvalidInputError, NonFiniteError

Floats = NDArray[np.float64]
BINS = (0.01, 0.05, 0.10, 0.20, 0.50)
"""Shares of a text's words, the most important first (DeYoung et al. 2020, section 4.2)."""


def comprehensiveness(full: ArrayLike, without: ArrayLike) -> Floats:
    """What the probability of the explained class loses with the most important words gone.

    The more, the better: all that mattered was among them.

    Args:
        full: Probability for the whole text, (N,).
        without: Probability without the most important words, (N,) for one share of them, or
            (N, B) for the B shares of `BINS`, over which the mean is taken (AOPC).

    Returns:
        float64 (N,), in [-1, 1].

    Raises:
        NonFiniteError: If a number is NaN or infinite.
        InvalidInputError: If the shapes do not go together.

    Source: DeYoung et al. 2020, "ERASER", eq. 1 and the paragraph on AOPC. Their text divides by
    B + 1, their released scorer by B; so does this. 5/6 of it is the number of the text.
    """
    return _mean_change(full, without, "without")


def sufficiency(full: ArrayLike, alone: ArrayLike) -> Floats:
    """What the probability of the explained class loses with all but the most important words gone.

    The less, the better: those words alone make the model say the same.

    Args:
        full: Probability for the whole text, (N,).
        alone: Probability for the most important words alone, (N,) or (N, B).

    Returns:
        float64 (N,), in [-1, 1].

    Raises:
        NonFiniteError: If a number is NaN or infinite.
        InvalidInputError: If the shapes do not go together.

    Source: DeYoung et al. 2020, eq. 2; averaged over shares as `comprehensiveness` is.
    """
    return _mean_change(full, alone, "alone")


def decision_flip(kept: Sequence[ArrayLike], removed: Sequence[ArrayLike]) -> Floats:
    """Share of the words removed, the most important first, when the decision first changes.

    The less, the better.

    Args:
        kept: For each text, whether the decision is still that for the whole text after each
            removal, bool (K_i,).
        removed: For each text, the share of its words that were removed, increasing, (K_i,).

    Returns:
        float64 (N,); NaN where the decision never changes. `flip_fraction` counts those as 1.

    Raises:
        NonFiniteError: If a share is NaN or infinite.
        InvalidInputError: If the lengths differ, or shares do not increase within (0, 1].

    Source: Serrano & Smith 2019, "Is Attention Interpretable?", section 4.
    """
    if len(kept) != len(removed):
        raise InvalidInputError(
            f"There are {len(kept)} texts in kept and {len(removed)} in removed; wanted as many."
        )
    found = np.full(len(kept), np.nan)
    for row, (still, shares) in enumerate(zip(kept, removed, strict=True)):
        flips = ~np.asarray(still, dtype=bool)
        share = _finite(shares, "removed")
        if flips.shape != share.shape or flips.ndim != 1:
            raise InvalidInputError(
                f"Text {row} has {flips.shape} decisions for {share.shape} shares; wanted one each."
            )
        if len(share) and (share[0] <= 0 or share[-1] > 1 or (np.diff(share) <= 0).any()):
            raise InvalidInputError(
                f"The shares removed of text {row} are {share.tolist()}; they must increase from "
                "above 0 to at most 1."
            )
        if flips.any():
            found[row] = share[int(flips.argmax())]
    return found


def flip_fraction(flips: ArrayLike) -> float:
    """Mean of `decision_flip` over texts, 1 for texts whose decision never changes."""
    return float(np.nan_to_num(np.asarray(flips, dtype=np.float64), nan=1.0).mean())


def leave_one_out_tau(scores: Sequence[ArrayLike], losses: Sequence[ArrayLike]) -> Floats:
    """Kendall's tau-b of the words' scores with what is lost when each is left out alone.

    Args:
        scores: For each text one number per word, (n_i,).
        losses: For each text, p(text) - p(text without the word), (n_i,). For scores without sign
            give absolute values, as Jain & Wallace do.

    Returns:
        float64 (N,); NaN where it is undefined: fewer than two words, or all scores or all losses
        alike.

    Raises:
        NonFiniteError: If a number is NaN or infinite.
        InvalidInputError: If the lengths differ.

    Source: Jain & Wallace 2019, "Attention is not Explanation", section 4.1.
    """
    if [np.shape(one) for one in scores] != [np.shape(one) for one in losses]:
        raise InvalidInputError(
            "scores and losses have different shapes; wanted one number per word of each text."
        )
    return np.array(
        [
            kendalltau(_finite(score, "scores"), _finite(loss, "losses")).statistic
            if np.ptp(score) and np.ptp(loss)
            else np.nan
            for score, loss in zip(scores, losses, strict=True)
        ]
    )


def _mean_change(full: ArrayLike, changed: ArrayLike, name: str) -> Floats:
    whole, part = _finite(full, "full"), _finite(changed, name)
    if whole.ndim != 1 or part.ndim not in (1, 2) or len(part) != len(whole) or not part.size:
        raise InvalidInputError(
            f"full has shape {whole.shape} and {name} {part.shape}; wanted (N,), and (N,) or "
            "(N, shares)."
        )
    return (whole[:, None] - part.reshape(len(whole), -1)).mean(1)


def _finite(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise NonFiniteError(f"{name} holds NaN or infinity; wanted finite numbers.")
    return array
