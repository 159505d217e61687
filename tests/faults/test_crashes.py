"""Processes that die between any two steps of a writer, and what others make of what they left."""

import re
import shutil
from dataclasses import replace

import pytest
import torch
from influence.test_folding import dataset_of
from influence.texts import LABELS, accumulated, random_rows, take
from test_training import SMALL, reviews

from hf_attn_attr import (
    IncompatibleError,
    IncompleteCheckpointError,
    InfluenceAccumulator,
    InfluenceMatrix,
    InvalidInputError,
)
from hf_attn_attr import columns as columns_module
from hf_attn_attr.columns import load_columns, save_columns
from hf_attn_attr.errors import CorruptArtifactError
from hf_attn_attr.files import settle, writing
from hf_attn_attr.influence import storage, totals
from hf_attn_attr.training import TrainingSettings, fit, saving
from hf_attn_attr.training import checkpoints as checkpoints_module
from hf_attn_attr.training import seed as seed_module
from hf_attn_attr.training.checkpoints import COMPLETE, vouch
from hf_attn_attr.training.saving import save_training

from .hostile import pickled
from .killing import crashes

SETTINGS = TrainingSettings(epochs=3, batch_size=16, learning_rate=2e-2)


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def two_results(tmp_path_factory):
    """Two trainings."""
    return [
        fit(
            reviews(24, seed), output_dir=tmp_path_factory.mktemp("fit"), config=SMALL,
            settings=replace(SETTINGS, epochs=1, seed=seed), progress=False,
        )
        for seed in (0, 1)
    ]  # fmt: skip


def matrix_writer(matrix, other):
    def read(folder):
        InfluenceMatrix.from_pretrained(folder)
        return contents(folder)

    return [m.save_pretrained for m in (matrix, other)], read, [storage]


def columns_writer():
    datasets = [dataset_of(random_rows(seed, 5)) for seed in (0, 1)]

    def read(folder):
        load_columns(folder)
        return contents(folder)

    return [lambda f, d=d: save_columns(d, f, {}) for d in datasets], read, [columns_module]


def state_writer():
    states = [accumulated(random_rows(seed, 5)) for seed in (0, 1)]

    def read(folder):
        InfluenceAccumulator.load(folder / "state")
        return {"state": (folder / "state").read_bytes()}

    return [lambda f, s=s: s.save(f / "state") for s in states], read, [totals]


def csv_writer(matrix, other):
    def read(folder):
        return {"table": (folder / "table").read_bytes()}

    return [lambda f, m=m: m.to_csv(f / "table") for m in (matrix, other)], read, []


def model_writer(results):
    def read(folder):
        settle(folder)
        return contents(folder)

    return [lambda f, r=r: save_training(r, f) for r in results], read, [saving]


@pytest.mark.parametrize("kind", ["matrix", "columns", "state", "csv", "model"])
def test_12_death_at_every_line_of_a_writer(
    faults, kind, matrix, other_matrix, two_results, tmp_path, thorough
):
    """SIGKILL at every line of each writer: all old or all new, and no litter stays."""
    writers, read, modules = {
        "matrix": lambda: matrix_writer(matrix, other_matrix),
        "columns": columns_writer,
        "state": state_writer,
        "csv": lambda: csv_writer(matrix, other_matrix),
        "model": lambda: model_writer(two_results),
    }[kind]()
    wanted = []
    for number, write in enumerate(writers):
        write(tmp_path / str(number))
        wanted.append(read(tmp_path / str(number)))
    old, new = wanted
    assert old != new
    folder, decided = tmp_path / "folder", False
    shutil.copytree(tmp_path / "0", folder)
    every = 1 if thorough else 17
    for line in crashes(lambda: writers[1](folder), writing, *modules, every=every):
        left = tmp_path / "left"
        shutil.copytree(folder, left)
        found = {name: data for name, data in read(folder).items() if ".tmp" not in name}
        decided |= found == new
        faults.survive(found == (new if decided else old), f"after line {line}")
        writers[1](left)  # the next to save clears away what the dead process left
        faults.survive(contents(left) == contents(tmp_path / "1"), f"after line {line}")
        shutil.rmtree(left)
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "0", folder)
    assert decided or not thorough
    assert read(folder) == new


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that nothing interrupted."""
    return trained(tmp_path_factory.mktemp("whole"))


def trained(folder, **options):
    return fit(
        reviews(48), reviews(16, 1), output_dir=folder, config=SMALL, settings=SETTINGS,
        progress=False, **options,
    )  # fmt: skip


def same_weights(one, other):
    other = other.model.state_dict()
    return all(torch.equal(tensor, other[name]) for name, tensor in one.model.state_dict().items())


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """The checkpoints of a training that ended after its second epoch."""

    class Cut(seed_module.CompleteCheckpoints):
        def on_save(self, args, state, control, **kwargs):
            super().on_save(args, state, control, **kwargs)
            if state.epoch >= 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(seed_module, "CompleteCheckpoints", Cut)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path)
    monkeypatch.undo()
    return tmp_path / "checkpoints" / "seed_0"


@pytest.fixture
def warned(monkeypatch):
    """What transformers' logger of the package was told."""
    told = []
    monkeypatch.setattr(
        checkpoints_module.logger, "warning", lambda text, *values: told.append(text % values)
    )
    return told


def newest(folder):
    return max(folder.glob("checkpoint-*"), key=lambda path: int(path.name[11:]))


def test_16_death_while_a_checkpoint_is_written(faults, whole, interrupted, warned, tmp_path):
    """SIGKILL in a checkpoint: the newest complete one is resumed, the other named."""
    files = sorted(path.name for path in newest(interrupted).iterdir())
    assert COMPLETE in files
    order = ["model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"]
    order += ["trainer_state.json", "averaging.safetensors", COMPLETE]
    for written in range(len(order)):  # what is there when the next file is not yet
        folder = tmp_path / f"cut_{written}" / "checkpoints" / "seed_0"
        shutil.copytree(interrupted, folder)
        shutil.copy(interrupted.parent / "run.json", folder.parent)
        checkpoint = newest(folder)
        for name in set(files) - set(order[:written]):
            (checkpoint / name).unlink()
        if written and written % 2:  # the last one, half
            half = checkpoint / order[written - 1]
            half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
        warned.clear()
        resumed = trained(folder.parents[1], resume=True)
        faults.survive(same_weights(resumed, whole), f"{written} files written")
        assert any(checkpoint.name in text and "left out" in text for text in warned)


def test_17_a_checkpoint_without_one_of_its_files(faults, interrupted):
    """A file of the optimizer, schedule or random numbers missing or changed: never silent.

    There is no `allow_partial`: a run on another course is another run, and training without
    `resume` is how to get one.
    """
    output, checkpoint = interrupted.parents[1], newest(interrupted)
    names = sorted(path.name for path in checkpoint.iterdir() if path.name != COMPLETE)
    assert {"optimizer.pt", "scheduler.pt", "rng_state.pth", "averaging.safetensors"} <= set(names)
    for name in names:
        data = (checkpoint / name).read_bytes()
        (checkpoint / name).unlink()
        with faults.refused(IncompleteCheckpointError, match=re.escape(name)):
            trained(output, resume=True)
        (checkpoint / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        with faults.refused(CorruptArtifactError, match=re.escape(name)):
            trained(output, resume=True)
        (checkpoint / name).write_bytes(data)
    (checkpoint / COMPLETE).write_bytes((checkpoint / COMPLETE).read_bytes()[:-3])
    with faults.refused(CorruptArtifactError, match="complete.json"):
        trained(output, resume=True)


def test_27_pickles_in_a_checkpoint(faults, interrupted, tmp_path):
    """A pickle that runs code in a checkpoint that is vouched for: refused, nothing runs."""
    checkpoint, sentinel = newest(interrupted), tmp_path / "ran"
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        data = (checkpoint / name).read_bytes()
        pickled(checkpoint / name, str(sentinel))
        vouch(checkpoint)
        with faults.refused(CorruptArtifactError, match=re.escape(checkpoint.name)):
            trained(tmp_path, resume=True)
        assert not sentinel.exists()
        (checkpoint / name).write_bytes(data)


def test_18_no_complete_checkpoint(faults, interrupted, whole):
    """No complete checkpoint: an error, not a start from step 0."""
    output = interrupted.parents[1]
    for checkpoint in interrupted.glob("checkpoint-*"):
        (checkpoint / COMPLETE).unlink()
    with faults.refused(IncompleteCheckpointError, match="no complete checkpoint"):
        trained(output, resume=True)
    shutil.rmtree(interrupted)
    with faults.refused(IncompleteCheckpointError, match="no complete checkpoint"):
        trained(output, resume=True)
    (output / "checkpoints" / "run.json").unlink()
    with faults.refused(IncompleteCheckpointError, match="no checkpoint to resume from"):
        trained(output, resume=True)
    faults.survive(same_weights(trained(output), whole))  # anew, when that is asked for


def test_19_death_at_every_line_of_a_fold_in_shards(faults, tmp_path, thorough):
    """SIGKILL at any line that saves a shard's sums: all is whole, no shard counts twice."""
    rows = random_rows(3, 24)
    shards = [take(rows, range(start, start + 6)) for start in range(0, 24, 6)]
    whole = accumulated(rows).finalize()
    whole.save_pretrained(tmp_path / "whole")

    def fold(folder):
        folder.mkdir(exist_ok=True)
        for number, shard in enumerate(shards):
            if not (folder / f"shard_{number}").is_file():  # its name is its id
                accumulated(shard).save(folder / f"shard_{number}")

    folder = tmp_path / "shards"
    for line in crashes(lambda: fold(folder), totals, writing, every=3 if thorough else 61):
        fold(folder)
        total = InfluenceAccumulator(LABELS)
        for number in range(len(shards)):
            total.merge(InfluenceAccumulator.load(folder / f"shard_{number}"))
        total.finalize().save_pretrained(tmp_path / "resumed")
        faults.survive(
            contents(tmp_path / "resumed") == contents(tmp_path / "whole"), f"after line {line}"
        )
        shutil.rmtree(folder)


def test_24_a_partial_result_merged_twice(faults, tmp_path):
    """The same partial result merged twice; disjoint ones in any order and grouping."""
    rows = random_rows(4, 18)
    parts = [accumulated(take(rows, range(start, start + 6))) for start in (0, 6, 12)]
    for number, part in enumerate(parts):
        part.save(tmp_path / str(number))

    def load(number):
        return InfluenceAccumulator.load(tmp_path / str(number))

    def saved(accumulator):
        accumulator.save(tmp_path / "saved")
        return (tmp_path / "saved").read_bytes()

    total = InfluenceAccumulator(LABELS)
    total.merge(parts[0])
    before = saved(total)
    indirect = InfluenceAccumulator(LABELS)
    indirect.merge(parts[0])
    for again in (parts[0], total, indirect):
        with faults.refused(InvalidInputError, match="twice"):
            total.merge(again)
        assert saved(total) == before
    total = load(0)
    with faults.refused(InvalidInputError, match="twice"):
        total.merge(load(0))
    total = InfluenceAccumulator(LABELS)
    total.merge(load(0))
    (tmp_path / "folder").symlink_to(tmp_path)
    with faults.refused(InvalidInputError, match="twice"):
        total.merge(InfluenceAccumulator.load(tmp_path / "folder" / "0"))
    with faults.refused(IncompatibleError):
        total.merge(InfluenceAccumulator(LABELS, lowercase=False))
    wanted = saved(accumulated(rows))
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        left, right = load(order[0]), load(order[1])
        left.merge(load(order[1]))
        left.merge(load(order[2]))
        right.merge(load(order[2]))
        first = load(order[0])
        first.merge(right)
        faults.survive(saved(left) == saved(first) == wanted)
