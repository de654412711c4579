import logging

import pytest

from capsmith.core.errors import CapsmithError
from capsmith.core.log import ROOT, TERMINAL, get_logger, log_file, quiet_terminal

LOG = get_logger("capsmith.tests")


def test_lines_are_printed_and_written_to_the_file(tmp_path, capsys):
    path = tmp_path / "run" / "log.txt"
    with log_file(path):
        LOG.info("one")
        LOG.info("zwei ü")
    LOG.info("after")
    assert capsys.readouterr().err == "one\nzwei ü\nafter\n"
    assert path.read_text(encoding="utf-8") == "one\nzwei ü\n"


def test_a_quiet_terminal_does_not_affect_the_file(tmp_path, capsys):
    with log_file(tmp_path / "log.txt"), quiet_terminal():
        LOG.info("one")
    LOG.info("two")
    assert capsys.readouterr().err == "two\n"
    assert (tmp_path / "log.txt").read_text() == "one\n"


def test_an_inner_log_file_gets_its_lines_and_the_outer_file_gets_all(tmp_path):
    with log_file(tmp_path / "outer.txt"):
        LOG.info("one")
        with log_file(tmp_path / "inner.txt"):
            LOG.info("two")
    assert (tmp_path / "outer.txt").read_text() == "one\ntwo\n"
    assert (tmp_path / "inner.txt").read_text() == "two\n"


def test_an_application_may_raise_the_level_or_replace_the_handler(capsys):
    ROOT.setLevel(logging.WARNING)
    try:
        LOG.info("hidden")
    finally:
        ROOT.setLevel(logging.INFO)
    assert not capsys.readouterr().err
    assert ROOT.handlers.count(TERMINAL) == 1


def test_an_unwritable_log_file_is_one_error(tmp_path):
    (tmp_path / "run").write_text("a file")
    before = list(ROOT.handlers)
    with pytest.raises(CapsmithError, match="log.txt"), log_file(tmp_path / "run" / "log.txt"):
        LOG.info("one")
    assert ROOT.handlers == before
