"""The demonstration, as `make demo` runs it but for one epoch: real models, known influences."""

import re

from hf_attn_attr import InfluenceMatrix
from hf_attn_attr.demo.planted import generate_planted_corpus, recovery
from hf_attn_attr.loading import load_classifier


def test_the_demonstration_answers_both_questions_and_recovers_what_was_planted(command, tmp_path):
    done = command("demo", "--output", tmp_path, "--epochs", "1")
    assert done.status == 0, done.err
    corpus = generate_planted_corpus(0)
    planted = InfluenceMatrix.from_pretrained(tmp_path / "planted")
    for label in planted.labels:
        assert f"what drives {label}?" in done.out
        word = planted.top_words(label, 1)["word"].iloc[0]
        assert re.search(rf"^{word} +[+-]\d", done.out, re.MULTILINE)

    found = recovery(planted.words, planted.influence, corpus)
    assert found.rho_own > 0.7
    (row,) = re.findall(r"^influence +([\d.]+) +([\d.]+)", done.out, flags=re.MULTILINE)
    assert row == (f"{found.rho_own:.3f}", f"{found.rho:.3f}")
    bayes, model, linear = (
        float(re.search(rf"^{re.escape(name)} +(0\.\d+)$", done.out, re.MULTILINE)[1])
        for name in (
            "Bayes rule (nothing can do better)",
            "this model",
            "logistic regression on words",
        )
    )
    assert 1 / len(planted.labels) < min(model, linear)
    assert max(model, linear) <= bayes + 0.02

    model, _ = load_classifier(tmp_path / "sentences")
    sentences = InfluenceMatrix.from_pretrained(tmp_path / "sentences")
    assert list(model.config.id2label.values()) == list(sentences.labels)
    assert sentences.manifest["provenance"]["folded_on"] == "train"
    assert "I was terrified at first" in done.out
