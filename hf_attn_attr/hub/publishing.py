"""Model, tokenizer, influence and card, in one commit."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..files import read_json
from ..influence import InfluenceMatrix
from ..loading import load_classifier
from ..remote import Branch, Publication, publish
from .staging import EVALUATION, OWNED, REPORT, TRAINING, Contents, stage

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
    contents = Contents(
        model=model,
        tokenizer=tokenizer,
        influence=influence,
        training=training,
        evaluation=evaluation,
        report=None if report is None else Path(report),
    )
    contents.check()
    with TemporaryDirectory(prefix="hf_attn_attr-") as temporary:
        stage(contents, Path(temporary), code=code)
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

    Reads model, tokenizer, `influence/`, `training.json`, `evaluation.json` and `report.html`, the
    last four where they are there. Checkpoints and whatever else lies in the folder stay here.
    """
    folder = Path(folder)
    model, tokenizer = load_classifier(folder)
    report = folder / REPORT
    return push_to_hub(
        repo_id,
        model,
        tokenizer,
        InfluenceMatrix.from_pretrained(folder) if (folder / "influence").is_dir() else None,
        training=_facts(folder / TRAINING),
        evaluation=_facts(folder / EVALUATION),
        report=report if report.is_file() else None,
        **options,
    )


def _facts(path: Path) -> dict[str, Any] | None:
    return read_json(path) if path.is_file() else None
