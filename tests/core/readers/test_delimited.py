"""Delimited text: valid RFC 4180 is read as Python's csv module does; other text is repaired line by line."""

import csv
import io
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capsmith.core.readers.delimited import MAX_FIELD, TOO_LONG, UNCLOSED, body_of, read_lines, rest_of

LENIENT = "quotes that are not doubled, or do not enclose the complete field"


def fields(text, delimiter=","):
    return [line.fields for line in read_lines(text, delimiter)]


CELL = st.text(st.sampled_from('ab ,;"\n\tx|.é'), max_size=8)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(CELL, min_size=2, max_size=4), min_size=1, max_size=5), st.sampled_from(",;"))
def test_csv_output_is_read_back(rows, delimiter):
    """Except blanks around a field, records of empty fields, and lines that look like separate rows."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    stripped = [[cell.strip() for cell in row] for row in rows]
    assert fields(text.getvalue(), delimiter) == [row for row in stripped if any(row)]
    assert not any(line.remark or line.fault for line in read_lines(text.getvalue(), delimiter))


@pytest.mark.parametrize(
    ("line", "expected", "remark"),
    [
        ('a.jpg,"a dog" ,train', ["a.jpg", "a dog", "train"], ""),
        ('"a.jpg"\t,\u00a0"a dog"', ["a.jpg", "a dog"], ""),
        ('a.jpg,"a "big" dog"', ["a.jpg", 'a "big" dog'], LENIENT),
        ('a.jpg,"a dog" runs', ["a.jpg", '"a dog" runs'], LENIENT),
        ('a.jpg,"he said "hi""', ["a.jpg", 'he said "hi"'], LENIENT),
        (r'a.jpg,"he said \"hi\", twice"', ["a.jpg", 'he said "hi", twice'], LENIENT),
        ('a.jpg,a 5" pipe', ["a.jpg", 'a 5" pipe'], ""),
        ('"a.jpg,""a dog, running"""', ["a.jpg", "a dog, running"], "complete row in quotes"),
        ('a.jpg,"",x', ["a.jpg", "", "x"], ""),
        ('a.jpg,""""', ["a.jpg", '"'], ""),
    ],
)
def test_usual_quoting_styles_are_read(line, expected, remark):
    (result,) = read_lines(line, ",")
    assert (result.fields, result.remark, result.fault) == (expected, remark, "")


@pytest.mark.parametrize(
    "line", ['"Hello," says "Bob"', '"open', 'a "big" dog', '"a "big" dog"', "it's 5\" long"], ids=str
)
def test_quotes_within_tab_separated_fields_are_literal(line):
    assert fields(f"a.jpg\t{line}\nb.jpg\tx", "\t") == [["a.jpg", line], ["b.jpg", "x"]]


def test_a_tab_separated_field_may_be_quoted():
    assert fields('a.jpg\t"He said ""hi"", twice"\nb.jpg\t"two\nlines"', "\t") == [
        ["a.jpg", 'He said "hi", twice'],
        ["b.jpg", "two\nlines"],
    ]


def test_an_unclosed_quote_affects_only_its_line():
    text = 'a.jpg,ok\nb.jpg,"open\nc.jpg,kept\nd.jpg,"kept, too"\ne.jpg,"open again\n'
    result = list(read_lines(text, ","))
    assert [line.number for line in result if line.fault == UNCLOSED] == [2, 5]
    assert [line.fields for line in result if not line.fault] == [
        ["a.jpg", "ok"],
        ["c.jpg", "kept"],
        ["d.jpg", "kept, too"],
    ]


def test_the_next_row_is_not_joined_to_a_caption_with_an_open_quote():
    """The next quote ends a line; only the image names show that it does not close the first one."""
    result = list(read_lines('a.jpg,"open\nb.jpg,lost"\nc.jpg,x\n', ","))
    assert [(line.number, line.fault) for line in result] == [(1, UNCLOSED), (2, ""), (3, "")]


def test_a_field_that_is_too_long_is_reported_with_its_line():
    result = list(read_lines(f"a.jpg,{'x' * (MAX_FIELD + 1)}\nb.jpg,y\n", ","))
    assert [line.fault for line in result] == [TOO_LONG, ""]


@pytest.mark.parametrize(
    ("line", "before", "after", "expected"),
    [
        ("a.jpg,a dog, running", 1, 0, "a dog, running"),
        ("a dog, running,a.jpg", 0, 1, "a dog, running"),
        ("a.jpg,a dog, a cat,train", 1, 1, "a dog, a cat"),
        ('a.jpg,"He said "hi", twice"', 1, 0, 'He said "hi", twice'),
        ('a.jpg,"a dog", running', 1, 0, '"a dog", running'),
    ],
)
def test_surplus_separators_can_belong_to_the_last_field(line, before, after, expected):
    (result,) = read_lines(line, ",")
    assert rest_of(result, ",", before, after) == expected


@pytest.mark.parametrize(
    ("text", "first", "delimiter", "comments"),
    [
        ("sep=;\na;b", 2, ";", 0),
        ("\n\n# made by hand, in 2020\n#\na,b", 5, "", 2),
        ("#image,caption\na.jpg,x", 1, "", 0),
        ("#1.jpg,x", 1, "", 0),
        ("", 1, "", 0),
    ],
)
def test_comments_and_blank_lines_before_the_header_are_skipped(text, first, delimiter, comments):
    body = body_of(text)
    assert (body.first, body.delimiter, body.comments) == (first, delimiter, comments)


EVIL = {
    "open quotes": 'a.jpg,"open\n',
    "open quotes of rows without a name": '1,"open\n',
    "open after an inch mark": 'a 5" x,"open\n',
    "four quotes": 'a,""""x\n',
    "one line of broken fields": '"a "b,',
    "one line of other broken fields": '"a"b,',
    "one line of escapes": '\\"',
    "columns": "c,",
    "blanks behind quotes": '"x"        ,',
}


@pytest.mark.parametrize("name", EVIL)
def test_reading_takes_linear_time(name):
    def seconds(count):
        start = time.process_time()
        text = ('9,"' if name == "one line of escapes" else "") + EVIL[name] * count + '9"x'
        assert sum(1 for _ in read_lines(text, ",")) >= 1
        return time.process_time() - start

    seconds(1000)
    assert seconds(40_000) < 16 * seconds(10_000) + 0.3
