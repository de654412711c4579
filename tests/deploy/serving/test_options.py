"""Options of a request: forms and JSON give the same, and what does not fit together is named."""

import pytest

from capsmith.deploy.serving.bounds import NUMBERS
from capsmith.deploy.serving.options import CaptionOptions
from capsmith.deploy.serving.problems import Problem

from_form, from_json = CaptionOptions.from_form, CaptionOptions.from_json


def fields_of(make, values):
    with pytest.raises(Problem) as refused:
        make(values)
    assert refused.value.status == 422
    return {error["field"] for error in refused.value.errors}


def test_forms_and_json_give_the_same():
    form = [("search", "sample"), ("n", "3"), ("temperature", "5e-1"), ("attention", "True")]
    form += [("exclude", "dog"), ("exclude", "the man"), ("model", "mine"), ("prefix", "")]
    json = {"search": "sample", "n": 3, "temperature": 0.5, "attention": True}
    json |= {"exclude": ["dog", "the man"], "model": "mine", "prefix": ""}
    assert from_form(form) == from_json(json)
    given = from_json(json).search_settings()
    assert given == {"search": "sample", "n": 3, "temperature": 0.5, "exclude": ["dog", "the man"], "prefix": ""}


@pytest.mark.parametrize("name", NUMBERS)
def test_bounds_of_numbers(name):
    kind, least, most = NUMBERS[name]
    for value in (least, most):
        assert getattr(from_json({name: value}), name) == value
        assert getattr(from_form([(name, str(value))]), name) == value
    for value in (least - 1, most + 1, "x", [least], None, True):
        assert fields_of(from_json, {name: value}) == {name}
    for text in (str(least - 1), str(most + 1), "", "NaN", "Infinity", "1e99"):
        assert fields_of(from_form, [(name, text)]) == {name}


@pytest.mark.parametrize(
    "values",
    [
        {"search": "annealing"},
        {"attention": 1},
        {"prefix": "a" * 201},
        {"prefix": "a\nb"},
        {"include": "dog"},
        {"include": ["dog"] * 21},
        {"exclude": [""]},
        {"exclude": ["a" * 101]},
        {"exclude": ["a\tb"]},
        {"model": ""},
        {"exclude_file": "/etc/passwd"},
        {"rerank": None},
    ],
)
def test_values_that_are_refused(values):
    assert fields_of(from_json, values) == set(values)


def test_all_errors_are_told_at_once_with_their_place():
    with pytest.raises(Problem) as refused:
        from_json({"n": 99, "exclude": ["dog", ""], "x\x1b": 1})
    assert [(error["field"], error.get("index")) for error in refused.value.errors] == [
        ("n", None),
        ("exclude", 1),
        ("x\\x1b", None),
    ]


@pytest.mark.parametrize(
    "values, unfit",
    [
        ({"search": "greedy", "beam_size": 3}, {"beam_size"}),
        ({"search": "beam", "seed": 1, "top_k": 2}, {"seed", "top_k"}),
        ({"search": "sample", "include": ["dog"], "length_penalty": 1}, {"include", "length_penalty"}),
        ({"temperature": 0.5, "beam_size": 3}, {"beam_size"}),
    ],
)
def test_fields_of_another_search(values, unfit):
    assert fields_of(from_json, values) == unfit


@pytest.mark.parametrize(
    "values", [{}, {"beam_size": 3, "include": ["dog"]}, {"seed": 1}, {"search": "greedy", "n": 2}]
)
def test_fields_that_fit(values):
    assert from_json(values).search_settings() == values
