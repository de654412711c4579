from capsmith.metrics import Scorer
from capsmith.metrics.diversity import diversity
from capsmith.metrics.human import human_rows
from capsmith.metrics.table import behaviour, columns, comparison, human_row, span, table

REFERENCES = {f"{n}.jpg": [f"a dog number {n} runs", f"the {n} dogs run far"] for n in range(12)}
GOOD = {key: group[0] for key, group in REFERENCES.items()}
POOR = {key: "a dog" for key in REFERENCES}


def test_columns_are_aligned():
    assert columns([["", "score"], ["BLEU-4", "0.5"], ["x", "10.25"]]) == [
        "        score",
        "BLEU-4    0.5",
        "x       10.25",
    ]


def test_span():
    assert span((0.1, 0.25)) == "0.100 to 0.250" and span(None) == ""


def test_scores_with_intervals_and_signatures():
    scores = Scorer(REFERENCES).score(GOOD)
    lines = table(scores).splitlines()
    assert lines[0].split() == ["score", "95", "%", "interval"]
    assert [line.split()[0] for line in lines[1:7]] == ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr"]
    assert lines[1].split()[1:] == ["1.000", "1.000", "to", "1.000"]
    assert lines[8:] == [score.signature for score in scores.values()]
    assert len({len(line) for line in lines[:7]}) == 1
    assert table(scores, signatures=False).splitlines() == lines[:7]


def test_comparison_has_difference_and_significance():
    scorer = Scorer(REFERENCES, ["rouge"])
    text = comparison(scorer.score(POOR), scorer.score(GOOD), ("poor.jsonl", "good.jsonl"))
    row = text.splitlines()[1].split()
    assert row[0] == "ROUGE-L" and row[3].startswith("+") and row[-1] == "*"
    assert "difference: good.jsonl minus poor.jsonl" in text
    same = comparison(scorer.score(POOR), scorer.score(POOR), ("x", "y")).splitlines()[1].split()
    assert same[3] == "+0.000" and same[-1] == "1.000"


def test_the_human_row_has_a_column_for_each_reference():
    scorer = Scorer(REFERENCES, ["bleu1"])
    rows = human_rows(scorer)
    cells = human_row(rows, scorer.score(GOOD)).splitlines()[1].split()
    values = [row["bleu1"].value for row in rows]
    assert cells == ["BLEU-1", "1.000", f"{sum(values) / 2:.3f}", *(f"{value:.3f}" for value in values)]


def test_diversity_table_leaves_out_unknown_measures():
    captions = [caption.split() for caption in GOOD.values()]
    text = behaviour({"mine": diversity(captions), "other": diversity(captions[:1])})
    assert "novel" not in text
    assert text.splitlines()[-1].split() == ["mbleu4", f"{diversity(captions).mbleu4:.3f}"]
    assert "novel" in behaviour({"mine": diversity(captions, training=[])})
