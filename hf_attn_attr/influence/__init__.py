"""What the numbers mean: from extracted columns to a word x class influence matrix.

`columns` reads, `grouping` finds the words of each text, `accumulator` adds up (`exact`, `totals`),
`estimation` turns totals into estimates (`statistics`), `matrix` answers questions, `storage` is
the file format, `folding` reads whole datasets. `associating` asks the gold labels instead of the
model (`gold`, `log_odds`, `exact_test`, `false_discovery`), `contrast` holds the two against each
other. Nothing here imports torch, and a published matrix opens without scipy: names are imported
when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)
