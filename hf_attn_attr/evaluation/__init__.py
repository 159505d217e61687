"""How far to trust a model, its explanations and its influence matrix.

Formulae on numbers: `faithfulness`, `plausibility`, and both for Hugging Face's `evaluate` in
`evaluate_metrics`. Words out of texts: `rankings` says which, `erasure` runs the model,
`text_erasure` and `corpus_erasure` put them together. `attention` exchanges attention. `checks`
lists the questions asked of a `subject`, `verdict` has the rules, `folder` does all of it for a
folder. Names are imported when they are first used.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .attention import attention_controls, frozen_attention_refit
    from .evaluate_metrics import (
        Comprehensiveness,
        DecisionFlip,
        LeaveOneOutTau,
        RationaleOverlap,
        Sufficiency,
    )
    from .faithfulness import (
        comprehensiveness,
        decision_flip,
        flip_fraction,
        leave_one_out_tau,
        sufficiency,
    )
    from .folder import evaluate_folder, load_evaluation, matching_extractor
    from .plausibility import auprc, iou_f1, token_f1, word_label_agreement

_HOME = {
    "Comprehensiveness": ".evaluate_metrics",
    "DecisionFlip": ".evaluate_metrics",
    "LeaveOneOutTau": ".evaluate_metrics",
    "RationaleOverlap": ".evaluate_metrics",
    "Sufficiency": ".evaluate_metrics",
    "attention_controls": ".attention",
    "auprc": ".plausibility",
    "comprehensiveness": ".faithfulness",
    "decision_flip": ".faithfulness",
    "evaluate_folder": ".folder",
    "flip_fraction": ".faithfulness",
    "frozen_attention_refit": ".attention",
    "iou_f1": ".plausibility",
    "leave_one_out_tau": ".faithfulness",
    "load_evaluation": ".folder",
    "matching_extractor": ".folder",
    "sufficiency": ".faithfulness",
    "token_f1": ".plausibility",
    "word_label_agreement": ".plausibility",
}

__all__ = [
    "Comprehensiveness",
    "DecisionFlip",
    "LeaveOneOutTau",
    "RationaleOverlap",
    "Sufficiency",
    "attention_controls",
    "auprc",
    "comprehensiveness",
    "decision_flip",
    "evaluate_folder",
    "flip_fraction",
    "frozen_attention_refit",
    "iou_f1",
    "leave_one_out_tau",
    "load_evaluation",
    "matching_extractor",
    "sufficiency",
    "token_f1",
    "word_label_agreement",
]

__getattr__ = lazy_names(__name__, _HOME)
