"""Sphinx settings. Pages are Markdown that also reads on a code host; ``make docs`` builds docs/_build/html."""

import re

project = "capsmith"
extensions = ["myst_parser"]
root_doc = "README"
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "capsmith"
html_show_sourcelink = False
myst_heading_anchors = 4  # the anchors of a code host
suppress_warnings = ["myst.header"]
REPOSITORY = "../../.."  # docs/_build/html seen from a page: links to files outside docs/ open the checkout


def setup(app):
    app.connect("source-read", adapt)


def adapt(app, docname, source):
    """Adapts a page for Sphinx: the contents tree from the links of README.md, and links to files outside docs/."""
    text = re.sub(r"(?<!!)\[([^]]+)\]\(\.\./([^)]+)\)", rf'<a href="{REPOSITORY}/\2">\1</a>', source[0])
    if docname == root_doc:
        sections = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
        for title, body in zip(sections[::2], sections[1::2], strict=True):
            pages = "\n".join(re.findall(r"\]\((\w+)\.md\)", body))
            text += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{pages}\n```\n"
    source[0] = text
