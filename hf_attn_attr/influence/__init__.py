"""What the numbers mean: from extracted columns to a word x class influence matrix.

`columns` reads, `vocabulary` and `grouping` find the words of each text, `terms` says what they
add, `accumulator` adds up (`exact`, `totals`),
`estimation` turns totals into estimates (`statistics`), `matrix` answers questions, `storage` is
the file format, `folding` reads whole datasets. `associating` asks the gold labels instead of the
model (`gold`, `log_odds`, `exact_test`, `false_discovery`), `contrast` holds the two against each
other. Nothing here imports torch, and a published matrix opens without scipy: names are imported
when they are first used.
"""

from typing import TYPE_CHECKING

from hf_attn_attr.lazy import lazy_names

if TYPE_CHECKING:
    from .accumulator import InfluenceAccumulator
    from .associating import association
    from .association_table import AssociationTable
    from .folding import attention_matrix, class_matrix, fold
    from .matrix import InfluenceMatrix, InfluenceRecord
    from .words import WordRule

_HOME = {
    "AssociationTable": ".association_table",
    "InfluenceAccumulator": ".accumulator",
    "InfluenceMatrix": ".matrix",
    "InfluenceRecord": ".matrix",
    "WordRule": ".words",
    "association": ".associating",
    "attention_matrix": ".folding",
    "class_matrix": ".folding",
    "fold": ".folding",
}

__all__ = [
    "AssociationTable",
    "InfluenceAccumulator",
    "InfluenceMatrix",
    "InfluenceRecord",
    "WordRule",
    "association",
    "attention_matrix",
    "class_matrix",
    "fold",
]

__getattr__ = lazy_names(__name__, _HOME)
