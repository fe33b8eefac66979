"""Pages from templates: what is set in cannot become markup, and nothing is left out in silence."""

import json

import pytest
from jinja2 import UndefinedError

from idpipe.templates import render

EVIL = "</script><b title='x'>\"&"


def made(tmp_path, template: str, **content) -> str:
    (tmp_path / "page.html").write_text(template)
    return render(tmp_path / "page.html", **content)


def test_what_is_set_in_is_escaped(tmp_path):
    page = made(tmp_path, "<p>{{ text }}</p>\n", text=EVIL)
    assert page == "<p>&lt;/script&gt;&lt;b title=&#39;x&#39;&gt;&#34;&amp;</p>\n"


def test_json_ends_no_element_and_keeps_its_order(tmp_path):
    content = {"b": [EVIL, 0.5, None], "a": True}
    page = made(tmp_path, "{{ content | tojson }}", content=content)
    assert not set("<>&'") & set(page)
    assert list(json.loads(page).items()) == list(content.items())


def test_lines_of_blocks_leave_no_lines(tmp_path):
    page = made(
        tmp_path,
        "{% for n in rows %}\n  {% if n %}\n{{ n }}\n  {% endif %}\n{% endfor %}\n",
        rows=[0, 1, 2],
    )
    assert page == "1\n2\n"


def test_what_is_missing_or_no_json_is_refused(tmp_path):
    with pytest.raises(UndefinedError, match="text"):
        made(tmp_path, "{{ text }}")
    with pytest.raises(ValueError, match="JSON"):
        made(tmp_path, "{{ number | tojson }}", number=float("nan"))
