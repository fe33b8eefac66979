"""Judge a run and write its scorecard."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from idpipe.claims import picture, texts
from idpipe.claims.catalogue import claims
from idpipe.claims.verdicts import Judgement, judge
from idpipe.config import FigureStyle
from idpipe.figures.draw import PICTURES, save, styled
from idpipe.results import Results
from idpipe.store import replacing


def write(tables: Path, run: str, style: FigureStyle, paths: Iterable[Path | str]) -> None:
    """Judge every claim by the tables in a folder, and write to each of `paths` by its suffix.

    Raises FigureError where a table is missing.
    """
    judgements = judge(Results(tables=tables), claims(), style.interval)
    told = _texts(judgements, run, style.interval)
    targets = [Path(path) for path in paths]
    with styled():
        figure = picture.draw(judgements, run, style.interval)
    save(figure, [path for path in targets if path.suffix in PICTURES], style)
    for path in targets:
        if path.suffix not in PICTURES:
            with replacing(path) as part:
                part.write_text(told[path.suffix])


def _texts(judgements: list[Judgement], run: str, level: float) -> dict[str, str]:
    return {
        ".csv": texts.to_csv(judgements),
        ".md": texts.to_markdown(judgements, run, level),
        ".html": texts.to_html(judgements, run, level),
    }
