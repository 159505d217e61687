"""What lies beside a model in its folder. No torch in here."""

from pathlib import Path
from typing import Any

from ..cards import RENDERED
from ..errors import InvalidInputError
from ..files import read_json
from ..influence import InfluenceMatrix
from ..influence.storage import FOLDER as INFLUENCE
from ..layout import CARD, CONFIG, EVALUATION, PICTURE, REPORT, TRAINING
from .card import model_card

_TOLD = ("license", "language")


def beside_the_model(folder: Path) -> dict[str, Any]:
    """Matrix, facts, report, picture and card of a folder, as `push_to_hub` takes them."""
    report, picture = folder / REPORT, folder / PICTURE
    own = _text(folder / CARD)
    return {
        "influence": (
            InfluenceMatrix.from_pretrained(folder) if (folder / INFLUENCE).is_dir() else None
        ),
        "training": _facts(folder / TRAINING),
        "evaluation": _facts(folder / EVALUATION),
        "report": report if report.is_file() else None,
        "picture": picture if picture.is_file() else None,
        "card": own if own is not None and RENDERED not in own else None,
        **_told(own),
    }


def folder_card(
    folder: str | Path,
    repo_id: str | None = None,
    *,
    license: str | None = None,
    language: str | None = None,
) -> str:
    """A card rendered from what lies in a model's folder.

    Args:
        folder: The folder.
        repo_id: Where it will be published; its code examples then load it from there.
        license: Identifier of the licence; None keeps what a card there says.
        language: Language of the texts, likewise.

    Raises:
        InvalidInputError: If it is no model's folder.
        CorruptArtifactError: If a file in it is damaged.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise InvalidInputError(f"{folder} holds no {CONFIG}. Give the folder of a model.")
    config, found = read_json(folder / CONFIG), beside_the_model(folder)
    return model_card(
        repo_id or str(folder),
        config,
        found["influence"],
        on_hub=repo_id is not None,
        training=found["training"],
        evaluation=found["evaluation"],
        code=repo_id is not None and config.get("model_type") == "self_attentive",
        report=found["report"] is not None,
        picture=None if found["picture"] is None else PICTURE,
        license=license or found["license"],
        language=language or found["language"],
    )


def _told(card: str | None) -> dict[str, Any]:
    """Licence and language that a rendered card names."""
    if card is None or RENDERED not in card:
        return dict.fromkeys(_TOLD)
    from huggingface_hub import ModelCard

    data = ModelCard(card, ignore_metadata_errors=True).data
    return {name: data.get(name) for name in _TOLD}


def _facts(path: Path) -> dict[str, Any] | None:
    return read_json(path) if path.is_file() else None


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
