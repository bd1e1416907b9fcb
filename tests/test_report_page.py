"""The report in a browser: silent, offline, linked, and usable by everybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import Visit, find_browser, launched
from playwright.sync_api import Browser
from report_stories import told


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as running:
        yield running


@pytest.fixture(scope="module")
def v(browser: Browser) -> Iterator[Visit]:
    """One page for all tests in this file: a load takes longer than most of them, so each sets what it needs."""
    visit = Visit(browser, told("empty_components") / "report.html")
    yield visit
    visit.close()


def chosen(v: Visit, parameter: str) -> None:
    v.page.select_option("#param", label=parameter)


# --- the first test on the shared page meets it untouched


def test_the_first_tab_reaches_a_skip_link_and_focus_is_seen(v):
    v.page.keyboard.press("Tab")
    assert v.page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
    v.page.keyboard.press("Enter")
    assert v.page.evaluate("document.activeElement.id") == "verdict"
    v.page.focus("#param")
    v.page.keyboard.press("ArrowDown")
    assert v.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_chosen_parameter_is_followed_by_figures_numbers_and_sentences(v):
    v.draw("forest")
    chosen(v, "means[1, 0]")
    assert v.page.inner_text(".chosen >> nth=0") == "means[1, 0]"
    assert "means[1, 0]" in v.page.inner_text("#coverage-what")
    assert "means[1, 0]" in v.page.inner_text("#pair-title")
    assert "means[1, 0]" in v.page.inner_text("#marginal-title")
    assert v.page.text_content("[data-title=pair] >> nth=0") == v.page.inner_text("#pair-title")
    for figure in ("coverage", "pair"):
        assert v.page.locator(f"#fig-{figure} thead code").all_text_contents()[0] == "means[1, 0]"
    ninety = v.page.locator("#fig-coverage tbody tr:has(th:text('90'))").locator("td").all_text_contents()
    said = v.page.inner_text("#coverage-what")
    assert all(f"{cell.split()[0]}" in said for cell in ninety)
    assert v.page.inner_text("#live") == "means[1, 0] chosen in every figure"
    assert v.page.locator("#table tr.on").count() == 2
    shapes = v.page.evaluate("document.getElementById('forest').layout.shapes.length")
    assert shapes == 3  # band, and the two marks of the chosen row
    v.page.locator(".thumb >> nth=0").click()
    assert v.page.locator(".thumb[aria-pressed=true]").count() == 1
    assert v.said == []


def test_a_parameter_that_is_left_out_shows_its_quantiles_and_no_pairs(v):
    v.draw("shortfall", "marginal", "pair0")
    chosen(v, "means[4, 0]")
    assert "left out of the verdict: its component is occupied" in v.page.inner_text("#marginal-note")
    heads = v.page.locator("#numbers thead th:visible").all_inner_texts()
    assert heads == ["method", "5 %", "50 %", "95 %"]
    assert v.page.locator("#pairs").is_hidden()
    assert v.page.inner_text("#marginal-title") == "No verdict rests on means[4, 0]"
    assert v.page.locator("#fig-coverage tbody tr >> nth=0").locator("td").all_text_contents()[1] == "–"
    thin = "document.getElementById('shortfall').data.filter(t => t.meta.role === 'chosen').map(t => t.y.length)"
    assert v.page.evaluate(thin) == [0, 0]
    chosen(v, "means[0, 0]")
    assert v.page.locator("#pairs").is_visible()
    assert v.page.locator("#marginal-note").is_hidden()
    assert v.page.locator("#numbers thead th:visible").count() == 6
    assert v.said == []


def test_a_method_can_be_hidden_and_another_compared(v):
    v.draw("forest", "corr1", "data1")
    v.page.click(".toggle[data-method='cavi']")
    assert v.page.get_attribute(".toggle[data-method='cavi']", "aria-pressed") == "false"
    seen = v.page.evaluate("document.getElementById('forest').data.slice(1).map(t => [t.meta.method, t.visible])")
    assert seen == [["cavi", False], ["svi:AutoNormal", True]]
    assert v.page.inner_text("#count") == "12 of 36 rows"
    v.page.click(".toggle[data-method='cavi']")
    v.page.select_option("#against-corr", "svi:AutoNormal")
    assert v.page.input_value("#against-data") == "svi:AutoNormal"
    assert "SVI AutoNormal" in v.page.inner_text("#corr-title")
    data = "document.getElementById('data1')"
    assert v.page.evaluate(f"{data}.data.at(-1).line.color") == "#009073"
    assert v.page.evaluate(f"{data}.layout.annotations.map(a => a.text)") == ["0", "1", "2", "3"]
    said = v.page.inner_text("#data-what")
    assert "under SVI AutoNormal" in said
    assert "Two of six components own a row in fewer than" in said
    assert v.said == []


def test_a_point_is_an_upright_line_without_correlations_and_the_sentence_of_another_does_not_stay(browser):
    v = Visit(browser, told("disagreeing") / "report.html")
    v.draw("marginal", "corr2")
    v.page.select_option("#against-corr", "em")
    assert "EM is one point" in v.page.inner_text("#corr-title")
    assert v.page.inner_text("#corr-what") == "A point has no correlations, so its two panels are blank."
    shown = "['corr1', 'corr2'].map(id => document.getElementById(id).data[0].z.flat().filter(z => z !== null).length)"
    assert v.page.evaluate(shown) == [0, 0]
    points = "document.getElementById('marginal').data.filter(t => t.meta.role === 'point').map(t => t.x)"
    [[left, right]] = v.page.evaluate(points)
    assert left == right
    assert v.said == []
    v.close()


def test_the_table_sorts_searches_and_says_so(v):
    v.page.fill("#search", "means")
    assert v.page.inner_text("#count") == "12 of 24 rows"
    v.page.click("#more")
    for column, order in ((2, "ascending"), (2, "descending"), (9, "ascending")):
        head = v.page.locator(f"#table thead th >> nth={column}")
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == order
        shown = v.page.evaluate(
            "[...document.querySelectorAll('#table tbody tr:not([hidden])')]"
            ".map(r => [...r.cells].flatMap(c => Array(c.colSpan).fill(c.dataset.v || '')))"
        )
        values = [float(row[column]) for row in shown if row[column]]
        assert values == sorted(values, reverse=order == "descending")
        assert len(values) == (16 if column == 2 else 24)  # left-out rows have no ratio, but an sd
        assert all(row[column] for row in shown[: len(values)])  # and come last
    assert v.page.inner_text("#live") == "Table sorted by sd, ascending"
    assert v.page.locator("#more").is_hidden()
    v.page.fill("#search", "")


def test_files_and_pictures_can_be_saved(v):
    folder = told("empty_components")
    for name in ("comparison.csv", "summary.json"):
        with v.page.expect_download() as download:
            v.page.click(f"[data-download='{name}']")
        assert Path(download.value.path()).read_text(encoding="utf-8") == (folder / name).read_text(encoding="utf-8")
    with v.page.expect_download() as download:
        v.page.click("[data-save='forest']")
    assert Path(download.value.path()).read_text().startswith("<svg")


def test_the_theme_button_turns_page_and_figures(v):
    v.draw("forest")
    paper, mark = (
        "getComputedStyle(document.body).backgroundColor",
        "document.getElementById('forest').data[1].marker.color",
    )
    v.page.click(".theme")
    assert (v.page.evaluate(paper), v.page.evaluate(mark)) == ("rgb(20, 23, 26)", "#E66A0A")
    v.page.click(".theme")
    assert (v.page.evaluate(paper), v.page.evaluate(mark)) == ("rgb(253, 253, 252)", "#D55E00")
    assert v.said == []


def test_axe_finds_nothing_in_either_theme(v):
    v.draw_all()
    # a plot is one picture with a name, its inside is not read; and a dozen rows of the table stand for all
    pictures = {"exclude": [".plot", "#table tbody tr:nth-child(n+13)"]}
    found = [(f["id"], f["nodes"][0]["html"][:120]) for f in Axe().run(v.page, pictures).response["violations"]]
    v.page.click(".theme")
    contrast = {"runOnly": ["color-contrast"]}  # all that a theme can change
    found += [("dark", f["nodes"][0]["html"]) for f in Axe().run(v.page, pictures, contrast).response["violations"]]
    assert found == []
    assert v.said == []


def test_the_page_prints_with_its_figures_in_light(v):
    v.page.evaluate("document.documentElement.dataset.theme = 'dark'; dispatchEvent(new Event('beforeprint'))")
    v.wait_until_drawn()
    v.page.emulate_media(media="print")
    assert v.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert v.page.evaluate("document.getElementById('forest').data[1].marker.color") == "#D55E00"
    assert v.page.evaluate("document.getElementById('forest').clientWidth") < 800
    assert v.said == []


# --- pages of their own


@pytest.mark.parametrize("name", ["empty_components", "hostile_names", "one_column"])
def test_on_a_phone_every_figure_is_drawn_in_silence_and_nothing_scrolls_sideways(browser, name):
    phone = Visit(browser, told(name) / "report.html", width=390)
    phone.draw_all()
    assert phone.said == []
    assert len(phone.asked) == 1  # the file itself
    assert phone.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    phone.close()


def test_the_verdict_and_the_tables_stand_without_javascript(browser):
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto((told("empty_components") / "report.html").resolve().as_uri())
    assert page.locator(".verdicts .v").count() == 3
    assert page.locator(".v svg.dens polyline").count() == 2
    assert page.locator("#table tbody tr").count() == 72
    context.close()


def test_a_missing_browser_is_a_failure_that_says_what_to_install(monkeypatch):
    monkeypatch.setenv("VI_VS_MCMC_CHROMIUM", "/nowhere/chromium")
    with pytest.raises(pytest.fail.Exception, match="/nowhere/chromium"):
        find_browser()
    monkeypatch.delenv("VI_VS_MCMC_CHROMIUM")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        find_browser()
