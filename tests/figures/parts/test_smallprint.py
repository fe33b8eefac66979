from idpipe.config import FigureStyle
from idpipe.figures.parts.smallprint import basis, exceptions, spread
from idpipe.results import ladder


def test_what_numbers_rest_on(run):
    run.add("cnn_depth", 5, source="digits")
    run.add("cnn_depth", 9, ("converged",) * 5, source="mnist")
    run.add("fcn_relu_depth", 9, width=8)
    networks = [ladder(run.results(), name) for name in ("cnn_depth", "fcn_relu_depth")]
    assert basis(networks, "On {sources}, {replicates} times.") == (
        "5 × 5 filters, 32 channels; 8 hidden units. On digits, mnist, 3 to 5 times."
    )
    assert basis(networks[1:], "{replicates}") == "8 hidden units. 3"


def test_an_interval_or_why_there_is_none():
    style = FigureStyle(interval=0.9)
    assert spread(style, "bars:") == "bars: 90% interval (Student t)"
    assert spread(style, "bars:", False) == "no interval, for want of a second one"


def test_exceptions_are_listed_by_place(run):
    run.add("cnn_depth", 1)
    run.add("cnn_depth", 5, ("converged", "max_steps", "dead"), restarts=1)
    run.add("cnn_depth", 9, ("dead", "diverged"))
    rungs = {f"{rung.value}": rung for rung in ladder(run.results(), "cnn_depth").rungs}
    assert exceptions(rungs, "Some", "None", "Late") == [
        "Some: 2 of 3 at 5.",
        "None: dead or diverged at 9.",
        "Late: 1 at 5.",
        "Restarted after they died or diverged: 3 at 5.",
    ]
    assert exceptions(rungs, "Some.", "", "Late")[:2] == ["Some.", "Late: 1 at 5."]
    assert exceptions({"1": rungs["1"]}, "Some", "None", "Late") == []
