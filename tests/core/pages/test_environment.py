"""Templates escape every value and refuse a missing one."""

import jinja2
import pytest

from capsmith.core.pages.environment import environment

EVIL = "<script>alert('1')</script>&\""


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "pages_of_a_test"
    (folder / "templates").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "templates" / "a.html").write_text("<p>\n  {% if x %}\n  {{ x }}\n  {% endif %}\n</p>\n")
    (folder / "templates" / "style.html").write_text("<style>{{ stylesheet()|safe }}</style>{{ generator|safe }}")
    monkeypatch.syspath_prepend(tmp_path)
    return folder.name


def test_values_are_escaped_and_blocks_leave_no_lines(package):
    page = environment(package).get_template("a.html").render(x=EVIL)
    assert page == "<p>\n  &lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&#34;\n</p>\n"


def test_missing_value_is_an_error(package):
    with pytest.raises(jinja2.UndefinedError):
        environment(package).get_template("a.html").render()


def test_templates_know_the_stylesheet(package):
    page = environment(package).get_template("style.html").render()
    assert "--accent:" in page and ".button" in page and '<meta name="generator" content="capsmith">' in page


def test_template_outside_the_folder_is_not_found(package):
    for name in ("../__init__.py", "/etc/passwd", "..\\__init__.py"):
        with pytest.raises(jinja2.TemplateNotFound):
            environment(package).get_template(name)
