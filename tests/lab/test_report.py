"""A report in a folder, and what a browser makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from perdure.lab import report
from perdure.lab.perform import perform
from perdure.lab.report import page, write_report
from perdure.lab.scenario import load
from tests.lab.frames import CLIENT, SERVER, carried, frame
from tests.lab.outcomes import outcome

NAMES = ("serial-http10", "keep-alive-handshake", "blind-relay")


class Tags(HTMLParser):
    """Every tag and whether all of them are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))


def test_folder_has_the_page_figures_pictures_exports_and_packets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "bars", lambda table: f"<svg>{table.columns[0]}</svg>")
    captured = outcome()
    captured.carried = [carried(1.0, frame(CLIENT, SERVER, 2))]
    written = write_report(tmp_path / "new" / "out", [captured])
    assert [path.name for path in written] == [
        "index.html",
        "report.json",
        "test-1.svg",
        "test-table-1.svg",
        "test.har",
        "test.trace.json",
        "test.pcap",
    ]
    assert json.loads(written[1].read_text("utf-8"))["scenarios"][0]["name"] == "test"
    assert written[2].read_text("utf-8").startswith("<svg")
    assert written[6].stat().st_size == 24 + 16 + 54


def test_page_needs_no_other_file_and_has_every_figure() -> None:
    tags = Tags(page([outcome()])).found
    assert not [tag for tag, _ in tags if tag in ("script", "link", "img", "iframe")]
    links = [each[name] or "" for _, each in tags for name in ("src", "href", "xlink:href") if name in each]
    assert all(link.startswith("#") for link in links)
    figures = [each for tag, each in tags if tag == "figure" and "id" in each]
    assert figures == [
        {"id": "test-1", "data-seconds": "1.0000", "data-connections": "1", "data-packets": "7"}
    ]
    [section] = [each for tag, each in tags if tag == "section"]
    assert (section["id"], section["data-verdict"], section["data-claims"]) == ("test", "holds", "1")


def test_words_of_scenarios_cannot_become_markup() -> None:
    text = page([outcome()])
    assert "a &lt;claim&gt;" in text
    assert "a &lt;page&gt;" in text
    assert "<claim>" not in text


def test_page_says_what_is_emulated_and_what_failed() -> None:
    broken = outcome()
    broken.backend, broken.error = "loopback", "RuntimeError: on fire"
    text = page([broken])
    assert "Emulated: on loopback, where a relay delays octets" in text
    assert "RuntimeError: on fire" in text
    assert "Emulated" not in page([outcome()])


def test_without_matplotlib_there_are_tables_without_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = page([outcome()])
    monkeypatch.setattr(report, "bars", lambda table: "")
    plain = page([outcome()])
    assert plain.count("<td") == drawn.count("<td")
    assert plain.count("<svg") < drawn.count("<svg")


@pytest.mark.slow
@pytest.mark.peer
def test_browser_shows_every_scenarios_picture_and_its_numbers(
    peer: Callable[[str], str], tmp_path: Path
) -> None:
    chromium = peer("chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    outcomes = [perform(load(name), "memory") for name in NAMES]
    [index, *_] = write_report(tmp_path, outcomes)
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page()
        errors: list[str] = []
        opened.on("console", lambda message: errors.append(message.text))
        opened.goto(index.as_uri())
        for name, each in zip(NAMES, outcomes, strict=True):
            for number, act in enumerate(each.acts, 1):
                figure = opened.locator(f"figure[id='{name}-{number}']")
                box = figure.locator("svg").bounding_box()
                assert box["width"] > 500
                assert box["height"] > 50
                assert float(figure.get_attribute("data-seconds")) == pytest.approx(act.seconds, abs=0.001)
                assert int(figure.get_attribute("data-connections")) == len(act.lanes)
                assert f"{len(act.lanes)} connection" in figure.locator("figcaption").inner_text()
        browser.close()
    assert errors == []
