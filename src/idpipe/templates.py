"""Pages of HTML, from templates that lie beside the code whose pages they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(template: Path, **content: Any) -> str:
    """What a template makes of `content`, escaped where the template does not call it safe.

    `tojson` writes JSON that ends no element, and refuses numbers that JSON does not have
    (ValueError). Raises jinja2.UndefinedError where `content` lacks what the template names.
    """
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment.get_template(template.name).render(content)
