"""What interrupted writers leave behind, and who clears it away."""

import errno
import os
import subprocess
import sys

import pytest

from hf_attn_attr.errors import CorruptArtifactError
from hf_attn_attr.files import read_json, replacing, replacing_together, settle, writing


@pytest.fixture
def ended():
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def living():
    """The number of a process that waits, and that nobody may disturb."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.communicate(b"\n", timeout=60)
    assert process.returncode == 0


def leftover(folder, process, host=writing._HOST, name="file"):
    return folder / f".{name}.{host}-{process}.abc.tmp"


def alone(folder):
    with replacing(folder / "one") as temporary:
        temporary.write_text("new")


def together(folder):
    with replacing_together(folder) as temporary:
        (temporary / "two").write_text("new")
        (temporary / "three").write_text("new")


@pytest.mark.parametrize("write", [alone, together])
def test_the_next_writer_clears_away_what_dead_processes_left(tmp_path, ended, write):
    leftover(tmp_path, ended).write_text("half")
    leftover(tmp_path, ended, name="other").mkdir()
    (leftover(tmp_path, ended, name="other") / "half").write_text("half")
    write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"one", "two", "three"}


def test_what_may_still_be_written_stays(tmp_path, ended, living):
    kept = [
        leftover(tmp_path, os.getpid()),
        leftover(tmp_path, living),
        leftover(tmp_path, 10**30),  # no number of a process of this machine
        leftover(tmp_path, ended, host="00000000"),  # of another machine
        tmp_path / f".file.{writing._HOST}-{ended}.tmp",  # not named as ours are
        tmp_path / f"file.{writing._HOST}-{ended}.abc.tmp",
    ]
    for path in kept:
        path.write_text("half")
    alone(tmp_path)
    together(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted([*(path.name for path in kept), "one", "two", "three"])


def test_temporary_names_tell_the_process_and_are_hidden(tmp_path):
    with replacing(tmp_path / ".config.json") as temporary:
        found = writing._TEMPORARY.fullmatch(temporary.name)
        assert (found[1], int(found[2])) == (writing._HOST, os.getpid())
        assert temporary.name.startswith(".config.json.")
        temporary.touch()


def test_a_decided_replacement_is_finished_file_by_file(tmp_path):
    decided = tmp_path / ".hf_attn_attr.next"
    decided.mkdir()
    (tmp_path / "a").write_text("old")
    (tmp_path / "other").write_text("stays")
    for name in "ab":
        (decided / name).write_text("new")
    settle(tmp_path)
    contents = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert contents == {"a": "new", "b": "new", "other": "stays"}
    settle(tmp_path)  # nothing is left to do


def test_a_faster_process_is_no_error(tmp_path, monkeypatch):
    (tmp_path / ".hf_attn_attr.next").mkdir()
    (tmp_path / ".hf_attn_attr.next" / "a").write_text("new")
    replace, seen = type(tmp_path).replace, []

    def taken_first(path, target):
        if not seen:
            seen.append(path)
            replace(path, target)
        return replace(path, target)

    monkeypatch.setattr(type(tmp_path), "replace", taken_first)
    settle(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_more_that_is_decided_meanwhile_is_finished_too(tmp_path, monkeypatch):
    (tmp_path / ".hf_attn_attr.next").mkdir()
    remove, later = writing._remove_empty, ["b"]

    def one_more(decided):
        if later:
            (decided / later.pop()).write_text("new")
        remove(decided)

    monkeypatch.setattr(writing, "_remove_empty", one_more)
    settle(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_link_in_place_of_a_decision_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".hf_attn_attr.next").symlink_to("elsewhere")
    with pytest.raises(CorruptArtifactError, match=r"attr\.next is a link, which no release makes"):
        settle(tmp_path)


def test_what_cannot_be_finished_says_who_could(tmp_path, monkeypatch):
    (tmp_path / ".hf_attn_attr.next").mkdir()
    error = PermissionError(errno.EACCES, "Permission denied")

    def refused(decided):
        raise error

    monkeypatch.setattr(writing, "_remove_empty", refused)
    with pytest.raises(CorruptArtifactError) as raised:
        settle(tmp_path)
    assert str(raised.value) == (
        f"Saving to {tmp_path} was interrupted and cannot be finished here ({error}). Load it once "
        "as somebody who may write there."
    )


@pytest.mark.parametrize("step", ["rmdir", "rename"])
def test_errors_of_the_disk_are_not_taken_for_other_writers(tmp_path, monkeypatch, step):
    def full(*arguments):
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path))

    monkeypatch.setattr(type(tmp_path), step, full)
    if step == "rename":
        with pytest.raises(OSError, match="Read-only"), replacing_together(tmp_path) as temporary:
            (temporary / "a").write_text("new")
        assert not list(tmp_path.iterdir())
    else:
        (tmp_path / ".hf_attn_attr.next").mkdir()
        with pytest.raises(CorruptArtifactError, match="Read-only"):
            settle(tmp_path)


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError) as raised, replacing(tmp_path / "a") as temporary:
        temporary.write_text("new")
    assert raised.value.errno == errno.EISDIR
    assert raised.value.strerror == os.strerror(errno.EISDIR)
    assert raised.value.filename == str(tmp_path / "a")


@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_the_umask_is_as_before(tmp_path, mask):
    before = os.umask(mask)
    try:
        alone(tmp_path)
        together(tmp_path)
        assert os.umask(before) == mask
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666 & ~mask}


def test_folders_of_that_kind_that_others_made_are_left_alone(tmp_path):
    (tmp_path / ".next").mkdir()  # of every Next.js project
    (tmp_path / ".next" / "package.json").write_text("theirs")
    (tmp_path / "package.json").write_text("mine")
    with replacing_together(tmp_path) as temporary:
        (temporary / "config.json").write_text("{}")
    assert read_json(tmp_path / "config.json") == {}
    assert (tmp_path / "package.json").read_text() == "mine"
    assert (tmp_path / ".next" / "package.json").read_text() == "theirs"
