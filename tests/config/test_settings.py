import copy
import textwrap

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.cli import parse_config
from snakemake.utils import update_config

from idpipe.config import read, read_file
from idpipe.errors import ConfigError


def write(folder, text, name="config.yaml"):
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return path


def refused(*paths, **kwargs):
    with pytest.raises(ConfigError) as caught:
        read(paths, **kwargs)
    return caught.value.problems


NO_YAML = (
    *(b"a: [1\n", b"a:\n\t- 1\n", b"[1]: 2\n", b"{a: 1}: 2\n", b"a: *nowhere\n"),
    *(b"a: !!python/name:os.system\n", b"a: 1\n---\na: 2\n", b"a: \xff\xfe\n"),
    *(b"a: " + b"9" * 5000, b"a: " + b"[" * 400),
)


class TestReadFile:
    def test_plain(self, tmp_path):
        path = write(tmp_path, "a: {b: [1, 2]}\nc: 1.5\n")
        assert read_file(path) == {"a": {"b": [1, 2]}, "c": 1.5}
        assert read_file(write(tmp_path, "# nothing\n")) == {}

    def test_repeated_keys_are_named_with_path_and_lines(self, tmp_path):
        path = write(
            tmp_path,
            """\
            run: x
            studies:
              cnn: {base: {}}
              fcn: {base: {seed: 1, seed: 2}}
              cnn:
                axes: {}
            probes: [{a: 1, b: 2, a: 3}]
            run: y
            """,
        )
        assert refused(path) == [
            f"studies.fcn.base.seed: given twice, in lines 4 and 4 of {path}; "
            "allowed: each key once",
            f"studies.cnn: given twice, in lines 3 and 5 of {path}; allowed: each key once",
            f"probes[0].a: given twice, in lines 7 and 7 of {path}; allowed: each key once",
            f"run: given twice, in lines 1 and 8 of {path}; allowed: each key once",
        ]

    def test_repeated_keys_of_an_override_are_seen(self, tmp_path):
        main = write(tmp_path, "studies: {a: {}}\n")
        override = write(tmp_path, "studies:\n  b: {}\n  b: {}\n", "override.yaml")
        (problem,) = refused(main, override)
        assert problem.startswith("studies.b: given twice, in lines 2 and 3 of ")
        assert "override.yaml" in problem

    def test_anchors_are_no_repeats(self, tmp_path):
        text = """\
            a: &one {x: 1, y: [1, 2]}
            b: *one
            c: [*one, *one]
            d: {<<: *one, x: 2}
            e: {<<: *one, <<: {z: 3}}
            """
        read = read_file(write(tmp_path, text))
        assert read["c"] == [read["a"], read["a"]]
        assert read["d"] == {"x": 2, "y": [1, 2]}
        assert read["e"] == {"x": 1, "y": [1, 2], "z": 3}

    def test_a_list_that_holds_itself_ends(self, tmp_path):
        assert isinstance(read_file(write(tmp_path, "a: &a [*a, 1]\n"))["a"], list)

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (b"- 1\n- 2\n", "must hold `key: value` lines"),
            (b"just text\n", "must hold `key: value` lines"),
            *[(content, "must be YAML: ") for content in NO_YAML],
        ],
    )
    def test_what_is_no_mapping_is_refused_in_one_line(self, tmp_path, content, expected):
        path = tmp_path / "bad.yaml"
        path.write_bytes(content)
        (problem,) = refused(path)
        assert problem.startswith(f"{path}: {expected}")
        assert "\n" not in problem

    def test_missing_file_and_folder(self, tmp_path):
        assert refused(tmp_path / "no.yaml") == [
            f"{tmp_path}/no.yaml: cannot be read: No such file or directory"
        ]
        assert refused(tmp_path) == [f"{tmp_path}: cannot be read: Is a directory"]


keys = st.sampled_from(["a", "b", "name", "source"])
trees = st.dictionaries(
    keys,
    st.recursive(
        st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2),
        lambda inner: st.dictionaries(keys, inner, min_size=1, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)


class TestRead:
    @settings(deadline=None, max_examples=60)
    @given(st.lists(trees, max_size=3))
    def test_merges_files_as_snakemake_does(self, tmp_path_factory, contents):
        folder = tmp_path_factory.mktemp("files")
        expected: dict = {}
        for number, content in enumerate(contents):
            (folder / f"{number}.yaml").write_text(yaml.safe_dump(content))
            update_config(expected, copy.deepcopy(content))
        assert read(sorted(folder.iterdir())) == expected

    def test_settings_go_over_files_and_snakemake_over_all(self, tmp_path):
        path = write(tmp_path, "data: {source: digits, root: here}\nrun: file\n")
        given = ["data.source=mnist", "run=setting", "probes.rho=[0, 1]", "a.b={c: 1e-4}"]
        assert read([path], given, {"run": "snakemake"}) == {
            "data": {"source": "mnist", "root": "here"},
            "run": "snakemake",
            "probes": {"rho": [0, 1]},
            "a": {"b": {"c": "1e-4"}},
        }

    def test_the_key_of_an_axis_is_dotted_itself(self):
        assert read([], ["studies.a.axes.net.depth=[1, 2]"]) == {
            "studies": {"a": {"axes": {"net.depth": [1, 2]}}}
        }

    @pytest.mark.parametrize("bad", ["run", "=5", "a..b=1", ".a=1"])
    def test_a_setting_needs_a_key_and_a_value(self, bad):
        assert refused(settings=[bad]) == [f"{bad}: must be dotted.key=value"]

    def test_text_that_snakemake_was_given_as_text_stays_text(self):
        for told, text in (("on", "on"), ("2026-11-28", "2026-11-28"), ("!!str 2024", "2024")):
            assert read([], snakemake_config=parse_config([f"run={told}"])) == {"run": text}

    @pytest.mark.parametrize(
        "text", ["seed: !!bool maybe", 'a: !!int ""', 'a: !!float ""', "a: !!timestamp x"]
    )
    def test_a_value_that_does_not_fit_its_tag_is_refused(self, text, tmp_path):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        assert refused(path) == [f"{path}: must be YAML: a value does not fit its !!tag"]

    def test_a_file_too_large_to_be_settings_is_refused_at_once(self, tmp_path):
        path = tmp_path / "config.yaml"
        path.write_text("# " + "x" * 10**7)
        (line,) = refused(path)
        assert line == f"{path}: must be of at most 1,048,576 bytes, and has 10,000,002"

    def test_braces_of_snakemakes_config_hold_values_and_not_text(self):
        given = parse_config(
            ["defaults={max_steps: 400, data: {vary: true}}", "probes={rho: [0, 0.5]}", "run=mine"]
        )
        assert given["defaults"]["max_steps"] == "400"  # why `read` has to look again
        assert read([], snakemake_config=given) == {
            "defaults": {"max_steps": 400, "data": {"vary": True}},
            "probes": {"rho": [0, 0.5]},
            "run": "mine",
        }
