"""The speed benchmark: its registry, and that table and page are made from its rows. No time is asserted."""

import importlib
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

rows, store, table, page, timing, worker, chains, data, command = (
    importlib.import_module(f"benchmarks.speed.{name}")
    for name in ("rows", "store", "table", "page", "timing", "worker", "chains", "data", "__main__")
)
SECTIONS = rows.sections()
CONTEXT = rows.Context(True, None)
NAMES = ["machine", "passes", "optimum", "nuts", "nuts_large", "scaling", "startup", "streaming"]


def entry(*of, quick=False):
    return {
        "finished": True,
        "when": "2026-01-01 00:00 UTC",
        "seconds": 1.0,
        "quick": quick,
        "rows": [row.plain() for row in of],
    }


def chain(ess, seconds, gradients=1000, mean=0.0, rhat=1.0):
    of = {"ess": ess, "sampling": seconds, "warm-up": 1.0, "gradients": gradients, "steps": 300, "rhat": rhat}
    return of | {"mean": np.array([mean, 1.0]), "error": np.array([0.01, 0.01])}


@pytest.fixture(scope="module")
def results():
    scaling = {"name": "N", "values": [1, 2, 4], "seconds": [0.1, 0.2, 0.4], "slope": 1.0, "unit": "rows"}
    start = {"label": "--help", "seconds": [0.7, 0.6], "most": 0.5, "group": "ours"}
    canned = {
        "machine": entry(rows.Row("Processor", "a|b <script>"), rows.Row("Memory", "24 GiB")),
        "passes": entry(
            rows.against("N = 10: one pass", "1 ms", [10.0, 30.0, 20.0], 25.0, note="a note"),
            rows.against("N = 10: 8 restarts", "2 ms", [0.5]),
        ),
        "nuts": entry(*chains.told({"ours": [chain(400, 1.0)], "nutpie": [chain(100, 1.0)]}, {"nutpie": 1.0})),
        "scaling": entry(rows.Row("Slope in N", "1.0", wanted="linear", met=True, numbers=scaling)),
        "startup": entry(rows.Row("--help", "0.6 s", wanted="under 0.5 s", met=False, numbers=start)),
        "streaming": entry(rows.Row("Rows from Parquet", "not measured", wanted="under 1 GiB")),
    }
    return canned


def test_every_file_of_the_folder_is_a_section_in_order():
    files = {p.stem for p in (ROOT / "benchmarks" / "speed" / "sections").glob("*.py")} - {"__init__"}
    assert set(SECTIONS) == files
    assert list(SECTIONS) == NAMES
    assert all(s.title and s.intro and s.name == n for n, s in SECTIONS.items())


def test_a_ratio_is_the_median_of_its_pairs_and_is_judged_by_it():
    row = rows.against("a", "b", [10.0, 30.0, 20.0], 20.0)
    assert (row.ratio, row.low, row.high, row.met) == (20.0, 10.0, 30.0, True)
    assert rows.against("a", "b", [10.0, 30.0, 19.0], 20.0).met is False
    assert rows.against("a", "b", [1.0]).met is None


def test_rows_become_plain_numbers():
    found = rows.Row("a", "b", numbers={"x": np.array([1.0, np.nan]), "n": np.int64(3)}).plain()["numbers"]
    assert found == {"x": [1.0, None], "n": 3}


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (1234.5, "1\u202f234"), (12.34, "12.3"), (0.01234, "0.0123")])
def test_numbers_have_three_digits(value, text):
    assert timing.three(value) == text


def test_spread_and_slope():
    assert timing.span([0.001, 0.003, 0.002], "ms", 1e3) == "2.00 ms (1.00 to 3.00)"
    assert timing.slope([1, 2, 4], [3, 12, 48]) == pytest.approx(2.0)


def test_the_table_has_a_line_for_each_row_and_says_what_falls_short(results):
    text = table.markdown(results, SECTIONS)
    assert text.count("\n| ") == sum(len(e["rows"]) for e in results.values()) + len(results)
    assert "| N = 10: one pass | 1 ms; a note | 20.0× (10.0 to 30.0) | at least 25× | no, falls short |" in text
    assert "a\\|b" in text
    assert "Not run yet." in text
    assert "2 of 4 goals are met." in text


def test_the_page_is_whole_and_lets_nothing_in(results):
    text = page.render(results, SECTIONS, "a command")
    assert "2 of 4 goals of speed are met" in text
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert policy.startswith("default-src &#39;none&#39;; script-src &#39;sha256-") or "default-src 'none'" in policy
    assert "unsafe" not in policy
    body = re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL)
    assert not re.search(r'(src|href)="(http|//)|\sstyle=|\son\w+=', body)
    assert "<script>" not in body
    assert text.count("a|b &lt;script&gt;") >= 1
    found = Outline()
    found.feed(text)
    assert found.ids.issuperset(results)
    assert len(found.ids) == len(found.all)
    assert found.captions == len(results)
    assert {"passes-bars", "nuts-bars", "scaling-N", "startup-bars"} <= found.ids
    assert found.plots == found.labelled == 4


def test_the_page_says_when_it_is_of_a_quick_run(results):
    assert "A quick run." not in page.render(results, SECTIONS, "a command")
    assert "A quick run." in page.render(results | {"machine": entry(quick=True)}, SECTIONS, "a command")


def test_a_section_that_ended_early_has_a_table_and_no_figure():
    broken = {"scaling": entry(rows.Row("The rest of this section", "not measured", note="ValueError: no"))}
    text = page.render(broken, SECTIONS, "a command")
    assert "ValueError: no" in text
    assert 'class="plot' not in re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL)


def test_what_goes_wrong_becomes_a_row_and_earlier_rows_stay(tmp_path):
    def run(context):
        yield rows.Row("first", "1")
        raise ValueError("no more")

    section = rows.Section("machine", 0, "The machine", "", run)
    store.keep(tmp_path, "passes", entry(rows.Row("kept", "1")))
    assert not store.measure(section, CONTEXT, tmp_path)
    kept = store.last(tmp_path)
    assert [row["claim"] for row in kept["machine"]["rows"]] == ["first", "The rest of this section"]
    assert kept["machine"]["rows"][1]["note"] == "ValueError: no more"
    assert kept["machine"]["finished"] is False
    assert "cut short" in table.markdown(kept, SECTIONS)
    assert kept["passes"]["rows"][0]["claim"] == "kept"


def test_a_sampler_with_another_answer_is_flagged():
    found = {"ours": [chain(400, 1.0)], "nutpie": [chain(100, 1.0, mean=0.2, rhat=1.5)]}
    row = list(chains.told(found, {}))[1]
    assert "another answer" in row.note
    assert "R-hat 1.50" in row.note
    assert "means within" in list(chains.told(found | {"nutpie": [chain(100, 1.0)]}, {}))[1].note


def test_a_ratio_of_samplers_is_explained_by_its_factors():
    found = {"ours": [chain(400, 1.0, 2000)], "nutpie": [chain(100, 1.0, 1000)]}
    row = next(r for r in chains.told(found, {"nutpie": 3.0}) if r.ratio)
    assert row.ratio == pytest.approx(4.0)
    assert row.met
    assert row.measured == "2.00× the gradients a second, 2.00× the ESS of a gradient"


def test_a_worker_answers_and_tells_what_went_wrong():
    with worker.Worker("timing") as other:
        assert other("three", value=12.34) == "12.3"
        with pytest.raises(worker.WorkerError, match="AttributeError"):
            other("nothing")
        assert other("slope", x=[1, 2], y=[1, 2]) == pytest.approx(1.0)


def test_data_are_the_same_for_all():
    assert np.array_equal(data.clusters(50, 3, 4), data.clusters(50, 3, 4))
    assert data.overlapping(70, 1.5).shape == (70, 2)


def test_the_command_writes_again_without_running(tmp_path, monkeypatch, results):
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    for name, of in results.items():
        store.keep(tmp_path, name, of)
    assert command.main(["--write"]) == 0
    assert {p.name for p in tmp_path.iterdir()} == {"results.json", "table.md", "index.html"}


class Outline(HTMLParser):
    """Ids, captions and plots of a page."""

    def __init__(self):
        super().__init__()
        self.all, self.captions, self.plots, self.labelled = [], 0, 0, 0

    @property
    def ids(self):
        return set(self.all)

    def handle_starttag(self, tag, attrs):
        of = dict(attrs)
        if "id" in of:
            self.all.append(of["id"])
        self.captions += tag == "caption"
        if (of.get("class") or "").startswith("plot "):
            self.plots += 1
            self.labelled += bool(of.get("aria-label")) and of.get("role") == "img"
