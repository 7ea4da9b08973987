"""What the report says that its figures do not say, and its figures as measures of ISO 19157."""

from landweave.report.sections.limits import iso_rows, limits_section


def score(value, low=None, high=None):
    return {"value": value, "low": low, "high": high}


ACCURACY = {
    "overall_accuracy": score(0.9, 0.85, 0.93),
    "classes": {"forest": {"precision": score(0.8, 0.7, 0.9), "recall": score(None), "f1": score(0.8)}},
}
SAMPLE = {
    "overall_accuracy": score(0.88),
    "classes": {"forest": {"users_accuracy": score(0.7, 0.6, 0.8), "producers_accuracy": score(0.6, 0.5, 0.7)}},
}


def test_without_a_sample_areas_and_truth_are_among_what_is_not_said():
    alone, sampled = (dict(limits_section(ACCURACY, sample, None)) for sample in (None, SAMPLE))
    assert {"The area of each class", "Accuracy against what is really there"} == set(alone) - set(sampled)
    assert "[map] trust = true" in alone["Whether a given pixel is right"]
    assert "trust.tif" in dict(limits_section(ACCURACY, None, {"bands": []}))["Whether a given pixel is right"]
    assert limits_section(None, None, None) == []


def test_misclassification_rates_are_one_less_the_accuracies_with_intervals_turned_round():
    rows = iso_rows(ACCURACY, SAMPLE)
    assert [row["result"] for row in rows[:2]] == ["12.0 %", "30.0 % (95 %: 20.0 % to 40.0 %)"]
    held_out = [row for row in rows if row["scope"].startswith("held-out")]
    assert [row["result"] for row in held_out] == [
        "10.0 % (95 %: 7.0 % to 15.0 %)", "20.0 % (95 %: 10.0 % to 30.0 %)", "not known"
    ]  # fmt: skip
    assert rows[-1]["measure"] == "Misclassification matrix (62)"
    assert iso_rows(None, None) == []
