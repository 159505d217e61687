"""From figures to verdicts: every condition counts, by every way in which words can go."""

import copy

import pytest

from hf_attn_attr.evaluation import verdict


def quality(**changes):
    return {
        "texts": 400, "trained_on": False, "metrics": {"accuracy": 0.8},
        "accuracy": (0.8, 0.76, 0.84), "most_frequent": 0.5, **changes,
    }  # fmt: skip


def influence():
    row = {
        "k": 20, "words": 20, "drop": 0.05, "drop_touched": 0.3, "touched": 0.2,
        "matched": {"drop": (0.0, -0.01, 0.01), "drop_touched": (0.02, 0.0, 0.04)},
    }  # fmt: skip
    other = {**row, "k": 50, "drop": -1.0, "drop_touched": -1.0}  # not the judged one
    ways = {way: [copy.deepcopy(other), copy.deepcopy(row)] for way in ("delete", "mask")}
    classes = {label: copy.deepcopy(ways) for label in ("joy", "fear")}
    return {
        "texts": 400, "folded_on": False, "scale": 1.0, "output": "p({})", "classes": classes,
    }  # fmt: skip


def attribution(name="contribution"):
    def numbers(comprehensiveness, sufficiency):
        return {"comprehensiveness": comprehensiveness, "sufficiency": sufficiency, "tau": 0.5}

    found = {
        name: numbers(0.4, -0.1),
        "leave_one_out": numbers(0.45, -0.1),
        "matched": numbers(0.1, 0.2),
        "gain": {"comprehensiveness": (0.3, 0.2, 0.4), "sufficiency": (-0.3, -0.4, -0.2)},
    }
    return {
        "texts": 300,
        "method": name,
        "ways": {way: copy.deepcopy(found) for way in ("delete", "mask")},
    }


def attention():
    return {
        **attribution("attention"),
        "controls": {
            "permuted_distance": 0.2, "permuted_flips": 0.3, "entropy": 0.6, "conicity": 0.5,
        },
        "refit": {"learned": 0.8, "uniform": 0.7, "gain": (0.1, 0.05, 0.15)},
    }  # fmt: skip


def test_quality_must_beat_the_most_frequent_class():
    assert verdict.on_quality(quality()).level == "supported"
    assert verdict.on_quality(quality(most_frequent=0.77)).level == "not supported"
    assert verdict.on_quality(quality(texts=20)).level == "not checked"
    known = verdict.on_quality(quality(trained_on=True))
    assert known.level == "not checked"
    assert "trained on these very texts" in known.reasons[-1]
    multi = {"texts": 400, "trained_on": False, "metrics": {"macro_f1": 0.5}}
    assert verdict.on_quality(multi).level == "not checked"


@pytest.mark.parametrize("way", ["delete", "mask"])
@pytest.mark.parametrize("change", [{"drop": 0.01}, {"drop_touched": 0.04}, {"drop_touched": -0.3}])
def test_a_class_is_driven_by_every_way_or_not_at_all(way, change):
    figures = influence()
    whole = verdict.on_influence(figures)
    assert whole.level == "supported"
    assert whole.reasons[0] == "2 of 2 classes."
    assert len(whole.reasons) == 3
    same = verdict.on_influence({**figures, "folded_on": True})
    assert "chosen on these same texts" in same.reasons[3]
    assert "joy: removing its 20 top words (delete) lowers p(joy) by 0.300" in whole.reasons[1]
    assert (
        "in the 20% of the texts that held one; words as frequent 0.020 [0.000, 0.040]."
        in (whole.reasons[1])
    )
    figures["classes"]["joy"][way][1] |= change
    part = verdict.on_influence(figures)
    assert part.level == "partly supported"
    assert part.reasons[0] == "1 of 2 classes."
    assert part.reasons[1].startswith("joy: not supported, removing")
    figures["classes"]["fear"][way][1] |= change
    assert verdict.on_influence(figures).level == "not supported"


def test_a_small_effect_is_not_support_even_where_chance_has_less():
    figures = influence()
    for ways in figures["classes"].values():
        for rows in ways.values():
            rows[1] |= {"drop": 0.005, "drop_touched": 0.019}
            rows[1]["matched"] = {"drop": (0, -0.001, 0.001), "drop_touched": (0, -0.001, 0.001)}
    assert verdict.on_influence(figures).level == "not supported"
    figures |= {"scale": 0.9, "output": "{}"}  # of a target that varies less than a probability
    found = verdict.on_influence(figures)
    assert found.level == "supported"
    assert "lowers joy by 0.019" in found.reasons[1]


def test_classes_of_few_words_and_corpora_of_few_texts_are_not_judged():
    figures = influence()
    figures["classes"]["joy"]["mask"][1]["words"] = 4
    found = verdict.on_influence(figures)
    assert (found.level, found.reasons[0]) == ("partly supported", "1 of 2 classes.")
    assert "joy: not checked, only 4 top words" in found.reasons[1]
    figures["classes"]["fear"]["mask"][1]["words"] = 0
    assert verdict.on_influence(figures).level == "not checked"
    for rule, few in (
        (verdict.on_influence, influence()),
        (verdict.on_attribution, attribution()),
        (verdict.on_attention, attention()),
    ):
        few["texts"] = 29
        assert rule(few).level == "not checked"
        assert "29 texts are too few" in rule(few).reasons[0]


def test_the_data_agree_with_most_top_words_of_every_class():
    row = {"words": 20, "positive": 18, "p_value": 0.001, "found": 5}
    figures = {"classes": {"joy": dict(row), "fear": dict(row)}}
    found = verdict.on_association(figures)
    assert (found.level, found.reasons[0]) == ("supported", "2 of 2 classes.")
    assert found.reasons[1].startswith("joy: 18 of its 20 top words are commoner")
    assert "5 of them beyond chance" in found.reasons[1]
    figures["classes"]["joy"] |= {"positive": 11, "p_value": 0.4}
    assert verdict.on_association(figures).level == "partly supported"
    figures["classes"]["fear"]["words"] = 4
    assert verdict.on_association(figures).level == "not supported"
    figures["classes"]["joy"]["words"] = 0
    assert verdict.on_association(figures).level == "not checked"


def test_stability_needs_halves_that_agree():
    figures = {
        "texts": 400, "folded": 400, "spearman": {"influence": 0.7, "joint": 0.9}, "same_sign": 0.8,
        "listed": 0.6,
    }  # fmt: skip
    found = verdict.on_stability(figures)
    assert found.level == "supported"
    assert "agree by 0.70 (Spearman; wanted 0.7, of joint 0.90), 80% of" in found.reasons[0]
    assert len(found.reasons) == 1
    more = verdict.on_stability({**figures, "folded": 401})
    assert "The matrix is of 401 texts" in more.reasons[1]
    figures["spearman"] = {"influence": 0.69}
    assert verdict.on_stability(figures).level == "not supported"
    assert verdict.on_stability({**figures, "texts": 10}).level == "not checked"


def seeds(**changes):
    words = [
        {"word": f"w{number}", "published": number < 9, "selected": 4 if number % 3 else 1}
        for number in range(12)
    ]
    row = {
        "refits": 0.7, "matrix": 0.7, "same_sign": 0.9, "compared": 99, "listed": 0.5,
        "words": words,
    }  # fmt: skip
    classes = {"joy": {**row, **changes}, "fear": row}
    return {"texts": 400, "refits": [{}] * 4, "classes": classes}


def test_seeds_must_agree_with_each_other_and_with_the_matrix_on_every_class():
    found = verdict.on_seeds(seeds())
    assert found.level == "supported"
    assert found.reasons[0] == "2 of 2 classes."
    assert "9 top words are in 50% of their lists (wanted 50%), 6 in all" in found.reasons[1]
    assert found.reasons[1].endswith("in fewer than half: w0, w3, w6.")
    for changes in ({"refits": 0.69}, {"matrix": 0.69}, {"listed": 0.49}):
        found = verdict.on_seeds(seeds(**changes))
        assert found.level == "partly supported"
        assert found.reasons[1].startswith("joy: not supported, ")
    for changes in ({"refits": None}, {"matrix": None}, {"words": []}):
        found = verdict.on_seeds(seeds(**changes))
        assert found.level == "partly supported"
        assert found.reasons[1].startswith("joy: not checked")
    few = {**seeds(), "classes": {"joy": {**seeds()["classes"]["joy"], "words": []}}}
    assert verdict.on_seeds(few).level == "not checked"
    assert verdict.on_seeds({**seeds(), "texts": 10}).level == "not checked"


@pytest.mark.parametrize("way", ["delete", "mask"])
def test_attribution_beats_frequency_and_comes_near_leaving_words_out(way):
    figures = attribution()
    found = verdict.on_attribution(figures)
    assert found.level == "supported"
    assert len(found.reasons) == 2
    figures["ways"][way]["leave_one_out"]["comprehensiveness"] = 0.51
    assert verdict.on_attribution(figures).level == "partly supported"
    for number, interval in (
        ("comprehensiveness", (0.1, 0, 0.2)),
        ("sufficiency", (-0.1, -0.2, 0)),
    ):
        figures = attribution()
        figures["ways"][way]["gain"][number] = interval
        assert verdict.on_attribution(figures).level == "not supported"


def test_occlusion_is_told_apart():
    assert "by erasure itself" in verdict.on_attribution(attribution("occlusion")).reasons[-1]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda figures: figures["controls"].update(permuted_distance=0.09),
        lambda figures: figures["refit"].update(gain=(0.1, 0.0, 0.2)),
        lambda figures: figures["ways"]["mask"]["leave_one_out"].update(comprehensiveness=0.51),
        lambda figures: figures["ways"]["delete"]["gain"].update(sufficiency=(-0.1, -0.2, 0.0)),
    ],
)
def test_attention_must_pass_every_test(spoil):
    figures = attention()
    found = verdict.on_attention(figures)
    assert found.level == "supported"
    assert any("Shuffling it moves the answer by 0.200" in reason for reason in found.reasons)
    assert any("0.800 with this attention, 0.700 with a uniform" in one for one in found.reasons)
    spoil(figures)
    assert verdict.on_attention(figures).level == "not supported"


def test_of_other_models_attention_is_tested_by_erasure_alone():
    assert verdict.on_attention(attribution("attention")).level == "supported"
