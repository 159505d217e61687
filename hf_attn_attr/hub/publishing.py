"""Model, tokenizer, influence and card, in one commit."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..errors import InvalidInputError
from ..influence import InfluenceMatrix
from ..loading import load_classifier
from ..remote import Branch, Publication, is_repo_id, publish
from .folder import beside_the_model
from .staging import OWNED, Contents, stage

MESSAGE = "Publish model and influence"


def push_to_hub(
    repo_id: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    influence: InfluenceMatrix | None = None,
    *,
    training: Mapping[str, Any] | None = None,
    evaluation: Mapping[str, Any] | None = None,
    report: str | Path | None = None,
    picture: str | Path | None = None,
    license: str | None = None,
    language: str | None = None,
    card: str | None = None,
    code: bool = True,
    private: bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    dry_run: bool = False,
    token: str | bool | None = None,
    message: str = MESSAGE,
) -> Publication:
    """Publish a classifier and its influence matrix as one commit of a Hub repository.

    Up go weights (safetensors), config, tokenizer, `influence/`, the card and what else is given;
    never a pickle. Files of an earlier publication that are no part of this one are deleted, other
    files of the repository are left alone. If nothing changed, nothing is committed.

    Args:
        repo_id: "user/name"; the repository is made if there is none.
        model: Any sequence classifier.
        tokenizer: Its fast tokenizer.
        influence: The matrix folded from this very model. Without one, an earlier one is deleted:
            it would be of other weights.
        training: Data, settings and metrics, as in the `training.json` of a trained folder.
        evaluation: Results of checks, as in `evaluation.json`.
        report: A page of HTML, published as `report.html`.
        picture: A PNG of the most influential words, for the card (`report.save_picture`).
        license: Identifier of the model's licence, as on the Hub: "mit".
        language: Language of its texts, as on the Hub: "en".
        card: README.md as you wrote it; None renders one from the facts given here.
        code: Also publish the code of a self-attentive model, for `trust_remote_code=True` where
            this package is not installed.
        private: Whether the repository is private; None leaves it as it is (new: public).
        revision: Branch to commit to; made from main if there is none.
        create_pr: Open a pull request instead.
        dry_run: Change nothing, say what would be changed.
        token: As for huggingface_hub; None takes that of `hf auth login`.
        message: Title of the commit.

    Raises:
        InvalidInputError: If the name, tokenizer, model or report cannot be published, or an
            existing repository is not as private as asked for.
        IncompatibleError: If matrix and model do not belong together, or somebody else commits
            meanwhile.
        HubError: If the Hub refuses or cannot be reached. What it held before, it still holds.
    """
    require_repo_id(repo_id)
    contents = Contents(
        model=model,
        tokenizer=tokenizer,
        influence=influence,
        training=training,
        evaluation=evaluation,
        report=None if report is None else Path(report),
        picture=None if picture is None else Path(picture),
        license=license,
        language=language,
        card=card,
    )
    contents.check()
    with TemporaryDirectory(prefix="hf_attn_attr-") as temporary:
        stage(contents, repo_id, Path(temporary), code=code)
        return publish(
            Path(temporary),
            Branch(repo_id, "model", revision, token),
            message=message,
            owned=OWNED,
            private=private,
            create_pr=create_pr,
            dry_run=dry_run,
        )


def push_folder(folder: str | Path, repo_id: str, **options: Any) -> Publication:
    """Publish what `run` or `train` left in a folder; see `push_to_hub` for the options.

    Reads model, tokenizer, `influence/`, `training.json`, `evaluation.json`, `report.html`,
    `influence.png` and `README.md`, the last six where they are there. A rendered README.md is
    rendered anew, with its licence and language; your own goes up as it is. Checkpoints and
    whatever else lies in the folder stay here.
    """
    folder = Path(folder)
    model, tokenizer = load_classifier(folder)
    return push_to_hub(repo_id, model, tokenizer, **{**beside_the_model(folder), **options})


def require_repo_id(name: str) -> None:
    """Refuse what can be no repository's name, before any work is done for it."""
    if not is_repo_id(name):
        raise InvalidInputError(
            f"{name!r} cannot be the name of a repository. Wanted 'user/name', of letters, "
            "digits, '-', '_' and '.'."
        )
