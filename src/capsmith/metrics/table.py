"""Tables of scores for the terminal."""

from collections.abc import Mapping, Sequence

from capsmith.core.errors import escaped
from capsmith.metrics.diversity import Diversity
from capsmith.metrics.registry import heading
from capsmith.metrics.scores import Score, compare


def table(scores: Mapping[str, Score], signatures: bool = True) -> str:
    """Returns a table of scores and intervals, followed by the signatures.

    Args:
        scores: The result of ``Scorer.score``.
        signatures: Include the signatures.
    """
    rows = [["", "score", "95 % interval"]]
    rows += [[heading(name), f"{score.value:.3f}", span(score.interval)] for name, score in scores.items()]
    lines = columns(rows)
    return "\n".join([*lines, "", *(score.signature for score in scores.values())] if signatures else lines)


def comparison(first: Mapping[str, Score], second: Mapping[str, Score], names: tuple[str, str]) -> str:
    """Returns a table of the scores of two sets of captions and the paired test of each difference.

    Args:
        first: The scores of the first set.
        second: The scores of the second set, from the same ``Scorer``.
        names: The names of the two sets.
    """
    rows = [["", *names, "difference", "95 % interval", "p"]]
    for name, score in first.items():
        tested = compare(second[name], score)
        mark = " *" if tested.p_value < 0.05 else ""
        rows.append(
            [
                heading(name),
                f"{score.value:.3f}",
                f"{second[name].value:.3f}",
                f"{tested.difference:+.3f}",
                span(tested.interval, "+.3f"),
                f"{tested.p_value:.3f}{mark}",
            ]
        )
    note = f"difference: {names[1]} minus {names[0]}; paired bootstrap over images; * p < 0.05"
    return "\n".join([*columns(rows), note, "", *(score.signature for score in first.values())])


def human_row(by_reference: Sequence[Mapping[str, Score]], model: Mapping[str, Score]) -> str:
    """Returns a table of the scores of each reference against the others.

    Args:
        by_reference: The result of ``human.human_rows``.
        model: The scores of the captions, which have one reference more.
    """
    rows = [["", "captions", "people, mean", *(f"reference {k}" for k in range(1, len(by_reference) + 1))]]
    for name, score in model.items():
        values = [row[name].value for row in by_reference]
        mean = sum(values) / len(values)
        rows.append([heading(name), f"{score.value:.3f}", f"{mean:.3f}", *(f"{value:.3f}" for value in values)])
    note = "people: each reference in turn against the others, so one reference fewer than the captions have"
    return "\n".join([*columns(rows), note])


def behaviour(by_name: Mapping[str, Diversity]) -> str:
    """Returns a table of diversity measures, one column per set of captions."""
    rows = [["", *by_name]]
    fields: dict[str, str] = {
        "captions": ",",
        "vocabulary": ",",
        "mean_length": ".1f",
        "distinct": ".1%",
        "novel": ".1%",
        "repeats": ".1%",
        "broken": ".1%",
        "mbleu4": ".3f",
    }
    for field, shape in fields.items():
        values = [getattr(measures, field) for measures in by_name.values()]
        if any(value is not None for value in values):
            rows.append([field.replace("_", " "), *("" if v is None else format(v, shape) for v in values)])
    return "\n".join(columns(rows))


def span(interval: tuple[float, float] | None, shape: str = ".3f") -> str:
    """Returns an interval as text."""
    return "" if interval is None else f"{interval[0]:{shape}} to {interval[1]:{shape}}"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligns the cells of a table: the first column to the left, the others to the right."""
    rows = [[escaped(cell) for cell in row] for row in rows]  # file names and ids
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]).rstrip()
        for row in rows
    ]
