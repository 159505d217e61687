"""A model trained again with other seeds, from Python and from the command line."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from attribution.zoo import build, tokenizer
from scipy.stats import spearmanr
from transformers import EarlyStoppingCallback

from evaluation.reviews import BAD, GOOD, TINY, extractor, reviews
from hf_attn_attr import InfluenceMatrix, InvalidInputError, TrainingSettings
from hf_attn_attr.data import load_labelled
from hf_attn_attr.evaluation import evaluate_folder, load_evaluation
from hf_attn_attr.workflow import influence_of, run


def refit_record(done):
    return next(check for check in done["checks"] if check["name"] == "seeds")


def test_other_seeds_are_trained_compared_and_kept(command, home, model, monkeypatch):
    monkeypatch.chdir(home)
    asked = ("evaluate", model, "--sample", 10, "--seeds", 2)
    done = command(*asked)
    assert done.status == 0, done.err
    assert "training refit 1 of 2" in done.err
    assert "training refit 2 of 2" in done.err
    record = load_evaluation(model)
    found = refit_record(record)
    assert found["verdict"] == "supported"
    assert f"seeds: {found['verdict']}" in done.out
    figures = found["figures"]
    assert figures["texts"] == 120
    assert [one["seed"] for one in figures["refits"]] == [1, 2]  # the model's own is 0
    published = InfluenceMatrix.from_pretrained(model)
    refits = [InfluenceMatrix.from_pretrained(model / "refits" / f"seed_{n}") for n in (1, 2)]
    assert not (model / "refits" / "training").exists()
    assert len({one.influence.tobytes() for one in (published, *refits)}) == 3
    for label, row in figures["classes"].items():
        column = published.label_index(label)
        lists = [one.top_words(label, 20)["word"].tolist() for one in refits]
        own = published.top_words(label, 20)["word"].tolist()
        assert [word["word"] for word in row["words"] if word["published"]] == own
        assert {word["word"] for word in row["words"]} == set(own).union(*lists)
        for word in row["words"]:
            values = [one.influence[one.words.index(word["word"]), column] for one in refits]
            assert word["selected"] == sum(word["word"] in names for names in lists)
            assert word["positive"] == np.mean([value > 0 for value in values])
            assert word["mean"] == pytest.approx(np.mean(values))
            assert (word["low"], word["high"]) == (min(values), max(values))
        assert row["listed"] == np.mean([np.mean([w in names for w in own]) for names in lists])
        known = published.document_count >= 3
        assert row["compared"] == known.sum()
        one, other = (part.influence[known, column] for part in refits)
        assert row["refits"] == pytest.approx(spearmanr(one, other).statistic)
        assert row["same_sign"] == pytest.approx(np.mean(np.sign(one) == np.sign(other)))
        assert row["matrix"] == pytest.approx(
            np.mean([
                spearmanr(published.influence[known, column], values).statistic
                for values in (one, other)
            ])
        )  # fmt: skip
        assert {word["word"] for word in row["words"] if word["selected"] == 2} >= set(
            GOOD if label == "pos" else BAD
        )
    # What is finished is not trained again, what is missing or of other settings is.
    again = command(*asked)
    assert "training refit" not in again.err
    assert refit_record(load_evaluation(model)) == found
    shutil.rmtree(model / "refits" / "seed_2")
    (model / "refits" / "seed_1" / "influence" / "influence.parquet").write_bytes(b"cut off")
    assert "training refit 1 of 2" in command(*asked).err
    assert refit_record(load_evaluation(model)) == found


def test_an_interrupted_refit_goes_on(home, model, monkeypatch):
    whole = evaluate_folder(model, extractor(model), home / "dev.csv", sample=10, seeds=2,
                            train=[home / "train.csv"])  # fmt: skip
    shutil.rmtree(model / "refits")
    steps = []

    def stop(self, args, state, control, **kwargs):
        steps.append(state.global_step)
        if steps.count(0) == 2 and steps[-3] == 0:  # the third epoch of the second refit
            raise KeyboardInterrupt

    monkeypatch.setattr(EarlyStoppingCallback, "on_epoch_begin", stop, raising=False)
    ask = {"sample": 10, "seeds": 2, "train": [home / "train.csv"]}
    with pytest.raises(KeyboardInterrupt):
        evaluate_folder(model, extractor(model), home / "dev.csv", **ask)
    assert (model / "refits" / "seed_1").is_dir()
    assert not (model / "refits" / "seed_2").exists()
    made = []
    resumed = evaluate_folder(
        model, extractor(model), home / "dev.csv", **ask,
        refitting=lambda number, count: made.append((number, count)),
    )  # fmt: skip
    assert made == [(2, 2)]
    assert steps.count(0) == 2  # not from the start
    assert refit_record(resumed) == refit_record(whole)


def test_refits_split_off_the_same_held_out_texts(home, tmp_path, monkeypatch):
    monkeypatch.chdir(home)
    folder = tmp_path / "m"
    reviews(60, 6).to_csv(tmp_path / "more.csv", index=False)
    settings = TrainingSettings(epochs=2, holdout=0.25, seed=5, seeds=2)
    config = {**TINY, "char_ngram_buckets": 50}  # the saved config no longer knows
    run(home / "train.csv", extra_train=tmp_path / "more.csv", output_dir=folder, config=config,
        fold_on="train", settings=settings, progress=False)  # fmt: skip
    assert json.loads((folder / "training.json").read_text())["config"] == config
    with pytest.raises(InvalidInputError, match=r"no file or folder 'more.csv'.*--train"):
        evaluate_folder(folder, extractor(folder), sample=10, seeds=2)
    ask = {"sample": 10, "seeds": 2}
    record = evaluate_folder(
        folder, extractor(folder), train=["train.csv", tmp_path / "more.csv"], **ask
    )
    figures = refit_record(record)["figures"]
    assert [one["seed"] for one in figures["refits"]] == [7, 8]
    assert figures["texts"] == 360
    with pytest.raises(InvalidInputError, match=r"other texts or labels.*--train"):
        evaluate_folder(folder, extractor(folder), train=["train.csv"], **ask)


def test_what_cannot_be_trained_again_says_why(command, home, model, monkeypatch):
    monkeypatch.chdir(home)

    def told(*arguments):
        done = command("evaluate", model, "--sample", 10, "--seeds", 2, *arguments)
        assert done.status == 1
        assert not (model / "refits").exists()
        return done.err

    def record(**changes):
        facts = json.loads((home / "model" / "training.json").read_text())
        facts["settings"] |= changes.pop("settings", {})
        (model / "training.json").write_text(json.dumps(facts | changes))

    assert "seeds is 1; it must be at least 2" in command("evaluate", model, "--seeds", 1).err
    texts = json.loads((home / "model" / "training.json").read_text())["texts"]
    texts["train"]["rationales"] = 5
    record(texts=texts)
    assert "5 of them with rationales; here 0 have one. Name their column with" in told()
    record(unlabelled=7)
    assert "7 unlabelled texts" in told()
    record(settings={"teacher": "somewhere"})
    assert "teacher 'somewhere', which does not lie in the current folder" in told()
    record(settings={"novelty": 1})
    assert "settings that this release does not know" in told()
    facts = json.loads((home / "model" / "training.json").read_text())
    del facts["config"]
    (model / "training.json").write_text(json.dumps(facts))
    assert "does not record 'config'" in told()
    record()
    influence_of(extractor(model), load_labelled(home / "plain.csv", require_labels=False),
                 output_dir=model)  # fmt: skip
    assert "was folded on 'plain.csv'" in told()
    shutil.rmtree(model / "influence")
    assert "no influence matrix to compare refits with" in told()


def test_a_classifier_that_was_not_trained_here_is_not_refitted(command, tmp_path):
    source, folder = tmp_path / "bert", tmp_path / "answers"
    build("bert").float().save_pretrained(source)
    tokenizer("wordpiece").save_pretrained(source)
    pd.DataFrame({"text": ["fine film", "dull mess"] * 20}).to_csv(tmp_path / "t.csv", index=False)
    made = command("run", "--model", source, "--texts", tmp_path / "t.csv", "-o", folder)
    assert made.status == 0, made.err
    ask = ("evaluate", folder, "--model", source, "--data", tmp_path / "t.csv")
    done = command(*ask, "--seeds", 3)
    assert done.status == 1
    for advice in ("does not say how its model was trained", "--model DIR", "seed_agreement"):
        assert advice in " ".join(done.err.split())
    assert not (folder / "evaluation.json").exists()
