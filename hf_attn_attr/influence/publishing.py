"""A matrix on the Hub: beside a model, or as a data set of its own that the viewer shows."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hf_attn_attr.cards import render
from hf_attn_attr.layout import CARD
from hf_attn_attr.remote import Branch, Publication, publish

from . import storage

if TYPE_CHECKING:
    from .matrix import InfluenceMatrix


def push_matrix(
    matrix: "InfluenceMatrix",
    branch: Branch,
    *,
    license: str | None,
    **options: Any,
) -> Publication:
    """Publish `influence/` in one commit; in a data set's repository with a card.

    Args:
        matrix: The matrix.
        branch: Where it goes.
        license: Identifier of the table's licence, for the card.
        options: As for `publish`.
    """
    with TemporaryDirectory(prefix="hf_attn_attr-") as temporary:
        matrix.save_pretrained(temporary)
        if branch.repo_type == "dataset":
            card = influence_card(matrix, branch.repo_id, license=license)
            (Path(temporary) / CARD).write_text(card, encoding="utf-8")
        return publish(Path(temporary), branch, **options)


def influence_card(matrix: "InfluenceMatrix", repo_id: str, *, license: str | None) -> str:
    """The card of a matrix that is a data set of its own.

    Args:
        matrix: The matrix.
        repo_id: Where it is published.
        license: Identifier of its licence, as on the Hub.
    """
    from huggingface_hub import DatasetCardData

    manifest = matrix.manifest
    metadata = DatasetCardData(
        license=license,
        tags=["hf_attn_attr", "interpretability"],
        configs=[
            {"config_name": "default", "data_files": f"{storage.FOLDER}/{storage.TABLE}"},
        ],
    )
    return render(
        "influence_card.md",
        metadata,
        name=repo_id.rpartition("/")[2],
        source=repo_id,
        path=f"{storage.FOLDER}/{storage.TABLE}",
        label=matrix.labels[0],
        words=len(matrix.words),
        labels=matrix.labels,
        manifest=manifest,
        method=manifest.get("method"),
        provenance=manifest.get("provenance", {}),
        license=license,
    )
