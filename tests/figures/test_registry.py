import importlib
import inspect
import subprocess
import sys

import pytest

from idpipe.config import FigureStyle
from idpipe.errors import FigureError
from idpipe.figures import FIGURES
from idpipe.figures.draw import draw
from idpipe.results import Results


def test_figures_never_see_torch():
    modules = {f"idpipe.figures.{figure.module}" for figure in FIGURES.values()}
    code = (
        f"import sys, importlib\nfor m in {sorted(modules)}: importlib.import_module(m)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_entry_has_its_function_and_every_such_function_its_entry():
    for name, figure in FIGURES.items():
        module = importlib.import_module(f"idpipe.figures.{figure.module}")
        assert figure.name == name
        assert list(inspect.signature(getattr(module, name)).parameters) == ["results", "style"]
        if set(figure.suffixes) - {"png", "pdf"}:
            assert callable(getattr(module, f"{name}_texts"))
        drawn = {name for name in vars(module) if name.startswith("fig") and name[3:].isdigit()}
        assert drawn <= set(FIGURES)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(FigureError, match="fig99: no such figure; allowed: fig01, fig02, "):
        draw("fig99", Results(), FigureStyle())
