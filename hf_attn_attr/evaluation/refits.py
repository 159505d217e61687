"""A model trained again, as its folder records, with other seeds; and the matrix of each."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..data import LabelledTexts
from ..errors import (
    AttnAttrError,
    IncompatibleError,
    IncompleteCheckpointError,
    InvalidInputError,
)
from ..extraction import AttributionExtractor, extract_with
from ..files import canonical_json, read_json, sha256_of_bytes
from ..influence import InfluenceMatrix, WordRule, fold
from ..layout import REFITS, TRAINING
from ..training import TrainingResult, TrainingSettings, fit
from .held_out import recorded_texts, recorded_training

FEWEST = 2
"""Refits, to be compared with each other."""
_OTHERS = (
    "Train it with other seeds yourself, fold each model on the same texts (`hf-attn-attr run "
    "--model DIR --texts FILE -o OUT`), and compare the matrices with `seed_agreement` and "
    "`selection_frequency` of hf_attn_attr.evaluation.stability."
)


@dataclass(frozen=True)
class Refits:
    """How a model is trained again.

    Attributes:
        cache: Folder where each finished refit's matrix is kept, and found again by a digest of
            all that it depends on; an interrupted training goes on from its last epoch.
        training: The texts it was trained on.
        validation: The texts that chose its epoch.
        folded: The texts that its matrix was folded on.
        extractor: The model, and how its words were attributed.
        rule: When two spellings are one word.
        preset: As in `training.json`.
        config: As in `training.json`.
        settings: As in `training.json`, but for the seed.
        seeds: Those of the refits; none of them is one that the model was chosen from.
        started: Called before each refit that has to be made: which, counted from 1, of how many.
    """

    cache: Path
    training: LabelledTexts
    validation: LabelledTexts
    folded: LabelledTexts
    extractor: AttributionExtractor
    rule: WordRule
    preset: str
    config: dict[str, Any]
    settings: TrainingSettings
    seeds: tuple[int, ...]
    started: Callable[[int, int], None] = lambda *_: None

    def matrices(self) -> list[InfluenceMatrix]:
        """A matrix per seed; its provenance has the `seed` and the validation `metrics`."""
        found = []
        for number, seed in enumerate(self.seeds, 1):
            folder = self.cache / f"seed_{seed}"
            matrix = _cached(folder, self._identity(seed))
            if matrix is None:
                self.started(number, len(self.seeds))
                matrix = self._made(seed)
                matrix.save_pretrained(folder)
            found.append(matrix)
        shutil.rmtree(self._work, ignore_errors=True)
        return found

    @property
    def _work(self) -> Path:
        return self.cache / "training"

    def _identity(self, seed: int) -> str:
        """Digest of what the matrix of a refit depends on."""
        own = self.extractor.provenance
        described = {
            "settings": asdict(replace(self.settings, seed=seed)),
            "preset": self.preset,
            "config": self.config,
            "training": self.training.digest,
            "rationales": self.training.rationales,
            "validation": self.validation.digest,
            "folded": self.folded.digest,
            "rule": self.rule.describe(),
            **{
                name: own.get(name)
                for name in ("tokenizer_sha256", "method", "options", "words", "window")
            },
        }
        return sha256_of_bytes(canonical_json(described))

    def _made(self, seed: int) -> InfluenceMatrix:
        trained = self._trained(replace(self.settings, seed=seed))
        own = self.extractor
        extractor = AttributionExtractor(
            trained.model,
            own.tokenizer,
            own.method,
            options=own.attribute.options,
            context=False,
            batch_tokens=own.batch_tokens,
            word_rule=own.word_rule,
            window_overlap=own.window_overlap,
        )
        columns = extract_with(extractor, self.folded.dataset)
        told = {
            "method": own.method,
            "refit": self._identity(seed),
            "seed": seed,
            "metrics": trained.metrics,
        }
        return fold(columns, provenance=told, label_names=own.labels, **self.rule.describe())

    def _trained(self, settings: TrainingSettings) -> TrainingResult:
        def train(*, resume: bool) -> TrainingResult:
            return fit(
                self.training,
                self.validation,
                output_dir=self._work,
                preset=self.preset,
                config=self.config,
                tokenizer=self.extractor.tokenizer,
                settings=settings,
                resume=resume,
                progress=False,
            )

        try:
            return train(resume=True)
        except (IncompleteCheckpointError, IncompatibleError):  # nothing there, or another seed's
            return train(resume=False)


def planned_refits(
    folder: Path,
    extractor: AttributionExtractor,
    matrix: InfluenceMatrix | None,
    texts: LabelledTexts,
    count: int,
    *,
    train: Sequence[Any] = (),
    rationale_column: str | None = None,
    read_options: Mapping[str, Any],
    started: Callable[[int, int], None] = lambda *_: None,
) -> Refits:
    """How to train the model of a folder again; nothing is trained yet.

    Args:
        folder: Where `training.json` and the matrix lie.
        extractor: The model, and how its words are attributed.
        matrix: The matrix.
        texts: The texts of the evaluation, which may be those of validation or of the matrix.
        count: Number of refits.
        train: Sources of the training texts; those recorded where empty.
        rationale_column: As for `load_labelled`, of the training texts.
        read_options: As for `load_labelled`.
        started: As for `Refits`.

    Raises:
        InvalidInputError: If the model cannot be trained again: it was not trained here, its record
            lacks something, or its texts cannot be found again.
    """
    if count < FEWEST:
        raise InvalidInputError(f"seeds is {count}; it must be at least {FEWEST}, or 0 for none.")
    if matrix is None:
        raise InvalidInputError(
            f"{folder} holds no influence matrix to compare refits with. Fold one, and evaluate "
            "again."
        )
    record, settings = _record(folder, extractor)
    model = extractor.model
    training = recorded_training(
        record, model, train, rationale_column=rationale_column, **read_options
    )
    recorded = record["texts"]["validation"]["sha256"]
    validation = texts
    if texts.digest != recorded:
        validation = recorded_texts(folder, model, None, **read_options)
    corpus = matrix.manifest.get("provenance", {}).get("corpus") or {}
    for folded in (texts, validation, training):
        if folded.digest == corpus.get("sha256"):
            break
    else:
        raise InvalidInputError(
            f"The matrix in {folder} was folded on {corpus.get('source', 'texts not recorded')!r}: "
            "other texts than those given and those of training. Give them with --data."
        )
    first = settings.seed + settings.seeds
    return Refits(
        cache=folder / REFITS,
        training=training,
        validation=validation,
        folded=folded,
        extractor=extractor,
        rule=WordRule(**matrix.manifest["word_rule"]),
        preset=record["preset"],
        config=record["config"],
        settings=replace(settings, seeds=1),
        seeds=tuple(range(first, first + count)),
        started=started,
    )


def _record(
    folder: Path, extractor: AttributionExtractor
) -> tuple[dict[str, Any], TrainingSettings]:
    """Content of `training.json`, and the settings in it."""
    path = folder / TRAINING
    if extractor.model.config.model_type != "self_attentive" or not path.is_file():
        raise InvalidInputError(
            f"{folder} does not say how its model was trained ({TRAINING} of a model trained with "
            f"hf_attn_attr), so it cannot be trained again. {_OTHERS}"
        )
    record = read_json(path)
    try:
        settings = TrainingSettings(**record["settings"])
        missing = {"preset", "config", "unlabelled"} - set(record)
    except (KeyError, TypeError) as error:
        raise InvalidInputError(
            f"{path} has settings that this release does not know ({error}). Train with this "
            "release, or evaluate with the one that wrote it."
        ) from error
    if missing:
        raise InvalidInputError(
            f"{path} does not record {sorted(missing)[0]!r}: an earlier release wrote it. Train "
            "again with this one."
        )
    if record["unlabelled"]:
        raise InvalidInputError(
            f"The model in {folder} was trained on {record['unlabelled']:,} unlabelled texts too, "
            f"which are not recorded. {_OTHERS}"
        )
    for name in ("teacher", "init_embeddings"):
        source = getattr(settings, name)
        # A folder's or file's own name is recorded; on the Hub it would be somebody else's.
        if source is not None and "/" not in source and not Path(source).exists():
            raise InvalidInputError(
                f"The model in {folder} was trained with {name} {source!r}, which does not lie in "
                "the current folder. Evaluate where it lies."
            )
    return record, settings


def _cached(folder: Path, identity: str) -> InfluenceMatrix | None:
    """The matrix of a refit made before, if it is whole and depends on the same."""
    if not folder.is_dir():
        return None
    try:
        matrix = InfluenceMatrix.from_pretrained(folder)
    except AttnAttrError:
        return None
    return matrix if matrix.manifest.get("provenance", {}).get("refit") == identity else None
