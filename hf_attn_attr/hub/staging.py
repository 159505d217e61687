"""The folder that becomes a commit."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..errors import InvalidInputError
from ..files import canonical_json, read_json, sha256_of_file
from ..influence import InfluenceMatrix
from ..influence.storage import FOLDER as INFLUENCE
from ..influence.storage import TABLE
from ..layout import CARD, CONFIG, EVALUATION, PICTURE, REPORT, TRAINING
from ..loading import FILES as MODEL
from ..tokenization import save_tokenizer
from .belonging import check_belongs, check_is_about
from .card import model_card
from .code import FILES as CODE
from .code import published_config, write_code

# What a publication owns in a repository: of these, what it does not bring is deleted. Weights that
# are no safetensors are among them: they would be those of an earlier model.
OWNED = (
    *MODEL,
    "pytorch_model*.bin",
    "pytorch_model.bin.index.json",
    *CODE,
    f"{INFLUENCE}/*",
    TRAINING,
    EVALUATION,
    REPORT,
    PICTURE,
    CARD,
)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What is published.

    Attributes:
        model: A sequence classifier.
        tokenizer: Its fast tokenizer.
        influence: Its matrix, if there is one.
        training: What `training.json` says, if anything.
        evaluation: What `evaluation.json` says, if anything.
        report: A page of HTML, if there is one.
        picture: PNG of the most influential words, if there is one.
        license: Identifier of the model's licence, as on the Hub.
        language: Language of its texts, as on the Hub.
        card: README.md as somebody wrote it; None to render one.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    influence: InfluenceMatrix | None = None
    training: Mapping[str, Any] | None = None
    evaluation: Mapping[str, Any] | None = None
    report: Path | None = None
    picture: Path | None = None
    license: str | None = None
    language: str | None = None
    card: str | None = None

    @property
    def self_attentive(self) -> bool:
        """Whether it is this package's model, whose code can go along."""
        return bool(self.model.config.model_type == "self_attentive")

    def check(self) -> None:
        """Refuse what strangers could not use.

        Raises:
            InvalidInputError: If the tokenizer is not a fast one, the model carries an adapter or
                its attributions are not defined yet, or report or picture are no files.
            IncompatibleError: If matrix and model do not belong together.
        """
        if not getattr(self.tokenizer, "is_fast", False):
            raise InvalidInputError(
                f"{type(self.tokenizer).__name__} is not a fast tokenizer, so words could not be "
                "found in texts. Load it with AutoTokenizer.from_pretrained(...)."
            )
        model = self.model
        if hasattr(model, "peft_config"):  # saved without its weights, or under peft's names
            raise InvalidInputError(
                f"{type(model).__name__} carries an adapter of peft, so nobody could load it as a "
                "whole. Publish what its merge_and_unload() gives."
            )
        if self.self_attentive and not model.config.head_hidden_size and not model.gauge_texts:
            raise InvalidInputError(
                "The gauge of this model has not been measured since it was last trained, so its "
                "attributions are not defined. Call measure_gauge(model, tokenizer, training_texts)"
                " and fold again."
            )
        if self.influence is not None:
            check_belongs(self.influence, model, self.tokenizer)
        for path in (self.report, self.picture):
            if path is not None and not path.is_file():
                raise InvalidInputError(f"{path} is no file. Give one, or leave it out.")


def stage(contents: Contents, repo_id: str, folder: Path, *, code: bool) -> None:
    """Write everything into an empty folder; equal contents give equal bytes.

    Args:
        contents: What is published.
        repo_id: Where it will be found.
        folder: Where it is written.
        code: Whether a self-attentive model's code goes along.

    Raises:
        IncompatibleError: If the checks are of another model or matrix.
    """
    contents.model.save_pretrained(folder)
    save_tokenizer(contents.tokenizer, str(folder))
    for path in folder.glob("*.py"):  # a class that came from a repository saves its code, too
        path.unlink()
    code = code and contents.self_attentive
    config = published_config(read_json(folder / CONFIG), code=code)
    (folder / CONFIG).write_bytes(canonical_json(config))
    if code:
        write_code(folder)
    for name, facts in ((TRAINING, contents.training), (EVALUATION, contents.evaluation)):
        if facts is not None:
            (folder / name).write_bytes(canonical_json(dict(facts)))
    for name, given in ((REPORT, contents.report), (PICTURE, contents.picture)):
        if given is not None:
            shutil.copyfile(given, folder / name)
    table = None
    if contents.influence is not None:
        contents.influence.save_pretrained(folder)
        table = sha256_of_file(folder / INFLUENCE / TABLE)
    if contents.evaluation is not None:
        check_is_about(contents.evaluation, contents.model, contents.tokenizer, table)
    card = contents.card or model_card(
        repo_id,
        config,
        contents.influence,
        training=contents.training,
        evaluation=contents.evaluation,
        code=code,
        report=contents.report is not None,
        picture=None if contents.picture is None else PICTURE,
        license=contents.license,
        language=contents.language,
    )
    (folder / CARD).write_text(card, encoding="utf-8")
