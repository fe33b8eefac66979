"""Every benchmark in its tiniest form, and the documents made of what they record."""

import json
import math
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

import idpipe.engine
import idpipe.nets
from benchmarks import documents, engine, timing
from benchmarks.__main__ import main
from benchmarks.networks import Engine, image, living, measured_cell
from benchmarks.record import RESULTS, machine, record
from benchmarks.timing import Options, Spread, exponent, interleaved, ratios
from idpipe.errors import IdpipeError


class TestRecord:
    def test_one_key_for_each_benchmark_in_one_file_for_each_machine(self, tmp_path):
        record("one", {"rows": [1]}, tmp_path)
        record("two", {"rows": [2]}, tmp_path)
        path = record("one", {"rows": [3]}, tmp_path)
        assert list(tmp_path.iterdir()) == [path]
        assert re.fullmatch(r"[a-z0-9-]+-\d+-cores", machine())
        assert path.name == f"{machine()}.json"
        content = json.loads(path.read_text())
        assert {name: part["rows"] for name, part in content.items()} == {"one": [3], "two": [2]}
        assert set(content["one"]) == {"date", "torch", "threads", "commit", "rows"}

    def test_none_is_lost_where_many_record_at_once(self, tmp_path):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: record(f"b{n}", {"n": n}, tmp_path), range(24)))
        assert len(json.loads((tmp_path / f"{machine()}.json").read_text())) == 24


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """What all benchmarks record in their tiniest form, and the folder it is in."""
    folder = tmp_path_factory.mktemp("results")
    tiny = ["--quick", "--seconds", "0.005", "--repeats", "2"]
    tiny += ["--results", str(folder), "--device", "cpu", "--images", "40"]
    cases = ["--arch", "cnn", "fcn", "--depth", "3", "--width", "4", "--replicates", "2"]
    main([*tiny, *cases])
    return folder, json.loads((folder / f"{machine()}.json").read_text())


def positive(spread):
    return 0 < spread["low"] <= spread["median"] <= spread["high"] < math.inf


class TestTiny:
    def test_all_are_recorded(self, recorded):
        assert list(recorded[1]) == sorted(documents.BENCHMARKS)

    def test_engine_equals_the_plain_loop(self, recorded):
        rows = recorded[1]["agreement"]["rows"]
        cases = [(row["arch"], row["depth"], row["width"], row["replicates"]) for row in rows]
        assert cases == [("cnn", 3, 4, 2), ("fcn", 3, 4, 2)]
        for row in rows:
            assert row["steps"] == 100
            # Of another replicate they would be 1 and more; a ReLU that rounding flips costs 1e-3.
            assert 0 < row["distances"]["plain, double"] < 0.1
            assert 0 <= row["of_weights"] <= row["distances"]["engine, plain"] < 0.1

    def test_engine_is_timed_against_its_rivals(self, recorded):
        rows = recorded[1]["engine"]["rows"]
        cases = [(row["arch"], row["depth"], row["width"], row["replicates"]) for row in rows]
        assert cases == [("cnn", 3, 4, 2), ("fcn", 3, 4, 2)]
        for row in rows:
            assert set(row["rates"]) == {"engine", "plain", "vmap"}
            assert all(rate > 0 for rate in row["rates"].values())
            assert positive(row["ratios"]["plain"]) and positive(row["ratios"]["vmap"])
            assert 0 < row["ceiling"] < 1

    def test_scaling_has_the_flops_exponents(self, recorded):
        rows = {row["varied"]: row for row in recorded[1]["scaling"]["rows"]}
        assert rows["image size"]["exponent_of_work"] == pytest.approx(2)
        assert rows["replicates"]["exponent_of_work"] == pytest.approx(0)
        assert rows["channels"]["exponent"] > 0

    def test_both_classifiers_agree(self, recorded):
        content = recorded[1]["classifier"]
        (row,) = content["rows"]
        assert row["images"] == 40 and row["same_errors"]
        assert all(row[kind]["seconds"] > 0 for kind in ("class sums", "all pairs"))

    def test_every_formulation_is_timed_and_none_is_wrong(self, recorded):
        for row in recorded[1]["convolution"]["rows"]:
            assert set(row["seconds"]) >= {"direct", "padded", "channels_last", "columns"}
            assert row["chosen"] in row["seconds"]
            assert min(row["seconds"].values()) > 0
            assert max(row["errors"].values()) < 2e-5

    def test_a_filtered_run_leaves_what_is_recorded_alone(self, capsys):
        before = sorted(path.read_bytes() for path in RESULTS.glob("*.json"))
        main(["convolution", "--quick", "--seconds", "0.001", "--repeats", "1", "--device", "cpu"])
        assert "not recorded" in capsys.readouterr().out
        assert before == sorted(path.read_bytes() for path in RESULTS.glob("*.json"))

    def test_an_unknown_benchmark_is_refused(self, capsys):
        with pytest.raises(SystemExit):
            main(["engine", "speed"])
        assert "speed: must be of engine, " in capsys.readouterr().err


class TestEngine:
    small = Options(torch.device("cpu"), quick=True, seconds=0.001, archs=("fcn",))
    small = replace(small, depths=(2,), widths=(8,))

    def test_what_does_not_fit_is_left_out_in_words(self):
        content = engine.measure(replace(self.small, memory_gib=1e-6, replicates=(1,)))
        (row,) = content["rows"]
        assert re.fullmatch(r"needs .+ GiB", row["skipped"])
        assert row["skipped"] in engine.table(content)

    def test_a_device_that_runs_out_of_memory_ends_only_the_case(self, monkeypatch):
        def full(*_):
            raise torch.OutOfMemoryError

        monkeypatch.setattr(engine, "Vmapped", full)
        content = engine.measure(replace(self.small, replicates=(1, 2)))
        assert [row["skipped"] for row in content["rows"]] == ["out of memory"] * 2

    def test_the_paper_grid(self):
        found = list(engine.cases(Options(torch.device("cpu"))))
        assert len(found) == len(set(found)) == 3 * 4 * 3 + 2 * 3
        on_gpu = set(engine.cases(Options(torch.device("cuda"))))
        assert {case.width for case in on_gpu - set(found)} == {1024}

    def test_a_halted_engine_goes_on_where_it_was(self):
        cell = measured_cell("cnn", 2, 4, replicates=2, schedule={"milestones": []})
        halted = Engine(cell, [0, 1], torch.device("cpu"))
        assert [halted(steps) for steps in (3, 1, 6)] == [3, 1, 6]
        whole = cell.model_copy(update={"max_steps": 10})
        expected = idpipe.engine.train(whole, image(cell)).params
        for name, value in halted.training.stack.params.items():
            assert torch.equal(value.detach(), expected[name])

    def test_flops_are_counted_by_hand(self):
        forward = 2 * 25 * (1 * 4 + 4 * 4 + 4 * 1) * 28 * 28
        assert engine.flops(measured_cell("cnn", 3, 4, replicates=5)) == 3 * forward

    def test_narrow_networks_start_alive(self):
        cell = measured_cell("cnn", 20, 3)
        chosen = living(cell, 2)
        params = idpipe.nets.initial_params(cell, chosen)
        shown = torch.from_numpy(image(cell)).expand(2, -1, -1, -1, -1)
        assert chosen != [0, 1]
        assert not idpipe.nets.forward_and_dead(cell.net, params, shown)[1].any()


class TestTiming:
    @pytest.fixture
    def clock(self, monkeypatch):
        """Calls of rivals so far, and a maker of rivals with a clock of their own."""
        now, calls = [0.0], []
        monkeypatch.setattr(timing, "perf_counter", lambda: now[0])

        def rival(name, seconds):
            def steps(number):
                calls.append((name, number))
                now[0] += number * seconds
                return number

            return steps

        return calls, rival

    def test_exponent_of_a_power_law(self):
        sizes = (1, 2, 5, 10)
        assert exponent(sizes, [3 * size**1.7 for size in sizes]) == pytest.approx(1.7)
        assert exponent((4,), (1.0,)) is None

    def test_rivals_take_turns_for_about_the_seconds_asked_for(self, clock):
        calls, rival = clock
        rivals = {"slow": rival("slow", 0.02), "fast": rival("fast", 0.0005)}
        taken = interleaved(rivals, 0.05, 3, torch.device("cpu"))
        assert calls[-6:] == [("slow", 2), ("fast", 100)] * 3
        assert taken["slow"] == pytest.approx([0.02] * 3)
        assert ratios(taken["slow"], taken["fast"]).low == pytest.approx(40)

    def test_a_long_step_warms_up_once_and_is_not_counted_out(self, clock):
        calls, rival = clock
        interleaved({"long": rival("long", 3)}, 1, 2, torch.device("cpu"))
        assert calls == [("long", 1)] * 3

    def test_ratios_are_taken_within_rounds(self):
        assert ratios([2, 20, 3], [1, 10, 1]) == Spread(median=2, low=2, high=3)


class TestDocuments:
    def test_committed_page_says_what_is_recorded(self):
        text = documents.PAGE.read_text()
        assert documents.filled(text) == text, "run `python -m benchmarks tables`"
        assert set(re.findall(r"<!-- begin:(\w+) -->", text)) >= set(documents.BENCHMARKS)

    def test_tables_of_each_machine(self, recorded, tmp_path):
        folder, content = recorded
        page = tmp_path / "page.md"
        page.write_text("# Head\n\n<!-- begin:engine -->\nold\n<!-- end -->\n\nTail\n")
        (tmp_path / "other.json").write_text(json.dumps({"engine": content["engine"]}))
        shutil.copy(next(folder.glob("*.json")), tmp_path)
        documents.write(tmp_path, page)
        text = page.read_text()
        assert text.startswith("# Head\n\n<!-- begin:engine -->\n")
        assert text.endswith("<!-- end -->\n\nTail\n")
        assert text.count(engine.table(content["engine"])) == 2
        assert f"`{machine()}`, 1 thread" in text and "`other`" in text and "old" not in text
        assert documents.filled(text, tmp_path) == text

    def test_an_unknown_name_is_refused(self, tmp_path):
        with pytest.raises(IdpipeError, match="begin:speed: must be one of engine"):
            documents.filled("<!-- begin:speed -->\n<!-- end -->", tmp_path)
