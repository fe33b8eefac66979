"""The claims file: complete, argued, refused where it is wrong; and how ranks are compared."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import spearmanr
from scorecard_world import paper, planned

from idpipe.claims import cnn, verdicts
from idpipe.claims.catalogue import FILE, Claim, catalogue, claims, claims_of, read
from idpipe.claims.measures import Measure, entered_in
from idpipe.claims.networks import Run, _named, sized
from idpipe.claims.samples import rank_correlation
from idpipe.claims.verdicts import REPRODUCED, UNTESTABLE, judge
from idpipe.config import load
from idpipe.config import read as read_settings
from idpipe.errors import ConfigError
from idpipe.figures import FIGURES

ROOT = Path(__file__).parents[2]


def test_the_file_has_every_claim_of_the_list_once_and_in_order():
    assert [claim.id for claim in claims()] == [f"c{number:02d}" for number in range(1, 32)]


def untestable(*presets: str) -> set[str]:
    """Claims that cannot be tested where every cell of a preset trained well."""
    plan = load(read_settings([ROOT / name for name in presets]))
    judgements = judge(planned(plan).results(), claims(), 0.95)
    return {j.claim.id for j in judgements if UNTESTABLE in {o.verdict for o in j.outcomes}}


def test_every_claim_can_be_tested_at_the_papers_preset():
    assert untestable("config.yaml", "config/paper.yaml") == set()


def test_the_page_names_the_claims_that_the_default_preset_can_test():
    page = (ROOT / "docs/scorecard.md").read_text()
    (sentence,) = re.findall(r"default preset can test(.*?): ", page, re.S)
    named = set()
    for first, last in re.findall(r"`c(\d\d)`(?: to `c(\d\d)`)?", sentence):
        named |= {f"c{number:02d}" for number in range(int(first), int(last or first) + 1)}
    assert named == {claim.id for claim in claims()} - untestable("config.yaml")


def test_figures_and_studies_exist():
    plan = load(read_settings([ROOT / "config.yaml", ROOT / "config/paper.yaml"]))
    for claim in claims():
        assert claim.figures and set(claim.figures) <= set(FIGURES), claim.id
        assert set(claim.studies) <= set(plan.studies), claim.id
        assert set(claim.studies) or claim.id == "c30"
        shown = {study for name in claim.figures for study in FIGURES[name].studies}
        if claim.id != "c27":  # compares with the networks of another figure, without skips
            assert set(claim.studies) <= shown, claim.id
        assert claim.why and claim.words and claim.place and claim.parts, claim.id


def test_what_a_claim_rests_on_is_what_its_file_says():
    for judgement in judge(paper().results(), claims(), 0.95):
        used = {net.study for o in judgement.outcomes for net in o.nets}
        assert used == set(judgement.claim.studies), judgement.claim.id


ENTRY = """
bounds: {close: {value: 0.8, why: so}}
claims:
  c99: {claim: a, place: b, words: c, figures: [], studies: [], why: d,
    parts: {x: {measure: m, above: close}}}
"""


def written(path: Path, text: str) -> tuple[Claim, ...]:
    """The claims of a file that says so."""
    (path / "claims.yaml").write_text(text)
    return claims_of(read(path / "claims.yaml"))


def test_a_threshold_is_a_bound_or_a_number(tmp_path):
    (claim,) = written(tmp_path, ENTRY)
    assert (claim.parts[0].threshold, claim.parts[0].bound) == (0.8, "close")
    (claim,) = written(tmp_path, ENTRY.replace("above: close", "below: -2"))
    (part,) = claim.parts
    assert (part.threshold, part.side, part.bound) == (-2, "below", "")
    assert part.margin(-3.0) == 1


def test_a_claim_holds_what_its_entry_says():
    content = yaml.safe_load(FILE.read_text())
    for claim in claims():
        entry = content["claims"][claim.id]
        assert [*claim.figures] == entry["figures"] and [*claim.studies] == entry["studies"]
        for key in ("claim", "place", "words", "why"):
            assert getattr(claim, key) == entry[key]
        told = {f"{claim.id}.{name}": part["measure"] for name, part in entry["parts"].items()}
        assert {part.key: part.measure for part in claim.parts} == told


def test_named_probes_are_of_some_kinds_and_of_the_size_trained_on():
    kinds, sizes = ["unseen", "pattern", "unseen", "train"], [28, 28, 7, 28]
    rows = pd.DataFrame({"kind": kinds, "size": sizes, "size_train": [28] * 4})
    assert _named("unseen", "pattern")(rows).tolist() == [True, True, False, False]
    kinds = ["unseen", "out_of_domain", "pattern", "train", "blend", "unseen"]
    rows = pd.DataFrame({"kind": kinds, "size": [7] * 5 + [28]})
    assert sized(7).rows(rows).tolist() == [True] * 3 + [False] * 3


def test_a_measure_is_entered_as_it_is_under_its_key():
    table: dict[str, Measure] = {}
    assert entered_in(table)("c99.x")(worst) is worst and table == {"c99.x": worst}


def worst(run: Run) -> float:
    return 0.0


X = "claims.c99.parts.x"
LIMIT = "a finite number or the name of a bound"
ONE_SIDE = "must have measure and one of above, below"
LIST = "must be a list; each entry: text"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "above: close",
            "above: closer",
            "claims.c99.parts.x.above = 'closer': must be a finite number or one of close",
        ),
        ("above: close", "above: ''", f"{X}.above = '': must be a finite number or one of close"),
        ("above: close", "above: yes", f"{X}.above = true: must be {LIMIT}"),
        ("above: close", "above: [1]", f"{X}.above = [1]: must be {LIMIT}"),
        ("above: close", "above: .nan", f"{X}.above = nan: must be {LIMIT}"),
        (", above: close", "", f"{X} = {{'measure': 'm'}}: {ONE_SIDE}"),
        (
            "above: close",
            "above: close, below: 2",
            f"{X} = {{'above': 'close', 'below': 2, 'measure': 'm'}}: {ONE_SIDE}",
        ),
        (
            "above: close",
            "abov: close",
            f"{X}.abov = 'close': unknown key; did you mean above? allowed: above, below, measure",
        ),
        ("why: d,", "", "claims.c99.why: missing; must be text"),
        ("why: d,", "why: 1,", "claims.c99.why = 1: must be text"),
        ("figures: []", "figures: fig01", f"claims.c99.figures = 'fig01': {LIST}"),
        (
            "why: d,",
            "why: d, verdict: yes,",
            "claims.c99.verdict = true: unknown key; "
            "allowed: claim, figures, parts, place, studies, why, words",
        ),
        ("value: 0.8", "value: high", "bounds.close.value = 'high': must be a finite number"),
        ("parts:", "claim: b, parts:", "claims.c99.claim: given twice, in lines 4 and 5 of"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(old, new, told, tmp_path):
    assert ENTRY.count(old) == 1
    with pytest.raises(ConfigError) as refused:
        written(tmp_path, ENTRY.replace(old, new))
    (problem,) = refused.value.problems
    assert problem.startswith(told)


def test_the_page_shows_how_to_add_a_claim(tmp_path):
    page = (ROOT / "docs/scorecard.md").read_text()
    (entry,) = re.findall(r"```yaml\n(.*?)```", page, re.S)
    (function,) = re.findall(r"```python\n(.*?)```", page, re.S)
    added = written(tmp_path, FILE.read_text() + entry)[-1]
    exec(function, vars(cnn).copy())
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(verdicts, "MEASURES", {**verdicts.MEASURES, **cnn.MEASURES})
            (judgement,) = judge(paper().results(), [added], 0.95)
    finally:
        del cnn.MEASURES["c32.identity"]
    assert (added.id, judgement.verdict) == ("c32", REPRODUCED)
    assert judgement.outcomes[0].value == pytest.approx(0.95)


WORDED = {
    "above clear": "c08.untrained_first c12.blur",
    "above close": """c01.cnn c03.relu c05.identity c09.larger c13.wide c24.shallow c25.fcn c25.cnn
    c26.identity c28.fcn_deep c28.cnn_shallow c29.ranks c31.rank""",
    "above more": """c03.linear c03.deeper c06.constant c10.range c10.smaller c11.smaller
    c12.constant c14.constant c16.example c16.effect c18.sooner c20.less
    c22.shallow c22.xavier c24.deep c27.identity c27.vanilla c27.noisier
    c28.cnn_deep c31.kernel""",
    "above noticeable": "c08.loss c08.recovery",
    "above one_percent": "c20.moves",
    "below clear": "c08.untrained_later",
    "below close": "c01.fcn c07.identity c07.constant c09.smaller c13.narrow",
    "below more": "c31.bound",
    "below one_percent": "c02.deviation c20.still",
    "below unrelated": """c04.constant c04.identity c17.noise c19.relu c19.linear c24.reruns
    c28.fcn_shallow""",
}
"""Parts of claims by what they must be, as it was fixed before any network was trained."""
NUMBERED = {
    "c15.deep": ("above", 1 / 2),
    "c15.shallow": ("below", 1 / 2),
    "c17.constant": ("above", 0.2),
    "c21.upper": ("above", (0.2 + 0.8) / 2),
    "c22.artifacts": ("above", round(math.log10(2), 1)),
    "c23.differ": ("above", (0.75 - -0.75) / 3),
    "c30.counts": ("below", 1),
    "c31.full": ("below", math.log10(0.001**2)),
}


def test_thresholds_are_those_that_were_argued():
    assert {name: bound.value for name, bound in catalogue().bounds.items()} == {
        "close": pytest.approx(0.64**0.5),
        "unrelated": pytest.approx(0.04**0.5),
        "more": 0,
        "noticeable": 5 / 100,
        "clear": 1 / 10,
        "one_percent": math.log10(1 / 100),
    }
    parts = {part.key: part for claim in claims() for part in claim.parts}
    worded = {key: how for how, keys in WORDED.items() for key in keys.split()}
    assert {key: f"{p.side} {p.bound}" for key, p in parts.items() if p.bound} == worded
    numbered = {
        key: (p.side, pytest.approx(p.threshold)) for key, p in parts.items() if not p.bound
    }
    assert numbered == NUMBERED


def test_every_bound_is_argued():
    assert set(catalogue().bounds) >= {part.bound for claim in claims() for part in claim.parts} - {
        ""
    }
    assert all(len(bound.why) > 30 for bound in catalogue().bounds.values())


def test_ranks():
    rising = [1.0, 2.0, 3.0]
    assert rank_correlation(rising, [5.0, 6.0, 9.0]) == pytest.approx(1)
    assert rank_correlation(rising, [3.0, 2.0, 1.0]) == pytest.approx(-1)
    assert rank_correlation([1.0, 1.0, 2.0], rising) == pytest.approx(0.75**0.5)
    assert math.isnan(rank_correlation([1.0, 1.0], [1.0, 2.0]))


def test_ranks_with_many_ties_are_scipys():
    generator = np.random.default_rng(0)
    for _ in range(5):
        a, b = generator.integers(0, 6, (2, 30)).astype(float).tolist()
        assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
