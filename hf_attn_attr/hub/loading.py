"""From the Hub: everything as of one commit, and no code of the repository."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..influence import InfluenceMatrix
from ..influence.locating import FILES as INFLUENCE
from ..layout import CONFIG
from ..loading import ADAPTER, FILES, load_classifier
from ..remote import fetch, resolve
from .belonging import check_belongs


@dataclass(frozen=True)
class Published:
    """What a repository holds.

    Attributes:
        model: The classifier, in eval mode.
        tokenizer: Its tokenizer.
        influence: Its matrix; None if none is published.
        repo_id: The repository.
        commit: The commit all of it is of.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    influence: InfluenceMatrix | None
    repo_id: str
    commit: str


def load_from_hub(
    repo_id: str, revision: str | None = None, *, token: str | bool | None = None
) -> Published:
    """A published classifier and its influence matrix, both of one commit and checked as a pair.

    Runs no code of the repository, whatever its files ask for; reads no pickle. Works offline from
    the cache.

    Args:
        repo_id: "user/name".
        revision: Branch, tag or commit; None is the main branch as it is now.
        token: As for huggingface_hub; None takes that of `hf auth login`.

    Raises:
        InvalidInputError: If the name can be none, or it is no sequence classifier that loads
            without code of its own.
        HubError: If the Hub lacks it or cannot be reached.
        CorruptArtifactError: If a file is missing or not what it should be.
        IncompatibleError: If matrix and model do not belong together.
    """
    commit = resolve(repo_id, revision, token=token)
    wanted = (*FILES, ADAPTER, *INFLUENCE)
    folder = fetch(repo_id, commit, wanted, required=(CONFIG,), token=token)
    model, tokenizer = load_classifier(folder)
    influence = None
    if (folder / "influence").is_dir():
        influence = InfluenceMatrix.from_pretrained(folder)
        check_belongs(influence, model, tokenizer)
    return Published(model, tokenizer, influence, repo_id, commit)


def pipeline(
    task: str = "attention-attribution",
    model: str | Path | PreTrainedModel | None = None,
    *,
    tokenizer: PreTrainedTokenizerFast | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    **options: Any,
) -> Any:
    """`transformers.pipeline` that runs no code of a repository and asks for no trust.

    Args:
        task: "attention-attribution" or "text-classification".
        model: A folder, "user/name", or a classifier (then with its `tokenizer`).
        tokenizer: The tokenizer of a given classifier.
        revision: Branch, tag or commit of "user/name".
        token: As for huggingface_hub.
        options: As for `transformers.pipeline`.
    """
    import transformers
    from transformers.pipelines import PIPELINE_REGISTRY

    if isinstance(model, (str, Path)):
        model, tokenizer = load_classifier(model, revision=revision, token=token)
    # Named here, or a config could name another one.
    registered = PIPELINE_REGISTRY.check_task(task)[1]["impl"]
    if isinstance(registered, str):
        registered = getattr(transformers, registered.rpartition(".")[2])
    return transformers.pipeline(
        task, model=model, tokenizer=tokenizer, pipeline_class=registered, **options
    )
