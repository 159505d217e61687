"""Attention and attribution columns as a data set of the Hub."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datasets import Dataset

from ..cards import render
from ..columns import COLUMNS, MANIFEST, save_columns
from ..layout import CARD
from ..markup import printable
from ..remote import Branch, Publication, publish
from .publishing import require_repo_id


def push_columns(
    columns: Dataset,
    repo_id: str,
    provenance: Mapping[str, Any],
    *,
    model_id: str | None = None,
    model_commit: str | None = None,
    license: str | None = None,
    private: bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    dry_run: bool = False,
    token: str | bool | None = None,
    message: str = "Publish columns",
) -> Publication:
    """Publish an extracted dataset in one commit, with a card that says how it was made.

    The texts go up too, in their column and word by word: publish only what you may.

    Args:
        columns: What `extract` returned.
        repo_id: "user/name"; the data set's repository is made if there is none.
        provenance: What the columns were computed with: `AttributionExtractor.provenance`, with
            "corpus" where it is known.
        model_id: Where the model is published, for the card.
        model_commit: Which commit of it, likewise.
        license: Identifier of the texts' licence, as on the Hub.
        private: Whether the repository is private; None leaves it as it is (new: public).
        revision: Branch to commit to; made from main if there is none.
        create_pr: Open a pull request instead.
        dry_run: Change nothing, say what would be changed.
        token: As for huggingface_hub; None takes that of `hf auth login`.
        message: Title of the commit.

    Raises:
        InvalidInputError: If the name can be none, or an existing repository is not as private as
            asked for.
        IncompatibleError: If somebody else commits meanwhile.
        HubError: If the Hub refuses or cannot be reached.
    """
    require_repo_id(repo_id)
    with TemporaryDirectory(prefix="hf_attn_attr-") as temporary:
        folder = Path(temporary)
        origin = dict(provenance)
        if model_id is not None:
            origin["model"] = {"id": model_id, "commit": model_commit}
        save_columns(columns, folder, origin)
        card = columns_card(columns, repo_id, origin, license=license)
        (folder / CARD).write_text(card, encoding="utf-8")
        return publish(
            folder,
            Branch(repo_id, "dataset", revision, token),
            message=message,
            owned=(COLUMNS, MANIFEST, CARD),
            private=private,
            create_pr=create_pr,
            dry_run=dry_run,
        )


def columns_card(
    columns: Dataset, repo_id: str, origin: Mapping[str, Any], *, license: str | None
) -> str:
    """The card of extracted columns.

    Args:
        columns: What `extract` returned.
        repo_id: Where they are published.
        origin: What they were computed with.
        license: Identifier of the texts' licence.
    """
    from huggingface_hub import DatasetCardData

    model = origin.get("model") or {}
    metadata = DatasetCardData(
        license=license,
        tags=["hf_attn_attr", "interpretability"],
        configs=[{"config_name": "default", "data_files": COLUMNS}],
        base_model=printable(model["id"]) if model else None,
    )
    return render(
        "columns_card.md",
        metadata,
        name=repo_id.rpartition("/")[2],
        source=repo_id,
        rows=len(columns),
        names=columns.column_names,
        origin=origin,
        options=sorted((origin.get("options") or {}).items()),
        model=model,
        license=license,
    )
