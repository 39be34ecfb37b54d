"""The page of a run's items, driven in Chromium; screenshots go to out/app."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sna_eval.reporting.view import write_view
from tests.app.browser import PATIENCE, SHOTS, WIDTHS, chromium
from tests.reporting.runs import choices, continued, lay_out, small_run, written

pytestmark = pytest.mark.app
MANY = 100_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


class Reader:
    """Someone who reads a page; remembers what the page asked for and what went wrong in it."""

    def __init__(self, browser: Any, path: Path, width: int = WIDTHS[0], hash: str = "") -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.page.set_default_timeout(PATIENCE)
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda said: self.wrong.append(said.text))
        self.page.goto(f"{path.as_uri()}{hash}")
        self.page.wait_for_selector("#place:not(:empty)")

    def names(self) -> list[str]:
        """Headings of the items in sight."""
        return list(self.page.locator(".item h2").all_inner_texts())

    def press(self, group: str, value: str) -> None:
        self.page.click(f"#{group} button[data-value='{value}']")
        self.settle()

    def settle(self) -> None:
        """Until what was asked for is shown."""
        self.page.evaluate("new Promise((done) => setTimeout(done, 400))")

    def tile(self, place: int) -> str:
        return str(self.page.locator("#tiles dd").nth(place).inner_text())


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_view(small_run(tmp_path_factory.mktemp("small"))).path


@pytest.fixture
def reader(browser: Any, small: Path) -> Iterator[Reader]:
    reader = Reader(browser, small)
    yield reader
    assert reader.wrong == []
    assert reader.asked == [small.as_uri()]
    assert reader.page.evaluate("window.hacked") is None
    reader.page.close()


def test_sorted_by_size_of_change(reader: Reader) -> None:
    """Flips first, the further apart the answers the earlier; then a change of P, then the rest."""
    names = reader.names()
    assert names[:2] == ["colours #1", "colours #2"]
    assert names[2:4] == ["sums (strict-match) #0", "sums (last-word) #0"]
    assert names[4] == "words #0"
    assert set(names[5:]) == {"colours #0", "sums (strict-match) #1", "words #1"}
    assert [reader.tile(n) for n in range(4)] == ["8", "4 (50 %)", "2", "2"]


def test_filters(reader: Reader) -> None:
    reader.press("flip", "won")
    assert reader.names() == ["colours #1", "sums (strict-match) #0"]
    reader.press("flip", "lost")
    assert reader.names() == ["colours #2", "sums (last-word) #0"]
    reader.page.select_option("#task", label="colours (3)")
    reader.settle()
    assert reader.names() == ["colours #2"]
    reader.press("flip", "")
    reader.press("zone", "3")
    assert reader.names() == ["colours #0"]
    assert reader.page.locator("#zone small").all_inner_texts() == ["", "2", "0", "1"]
    reader.press("flip", "won")
    assert "No item is like that" in reader.page.inner_text("#items")
    reader.page.keyboard.press("Escape")
    reader.settle()
    assert len(reader.names()) == 8


def test_both_texts_with_their_differences(reader: Reader) -> None:
    reader.page.select_option("#task", label="sums (strict-match) (2)")
    reader.settle()
    first = reader.page.locator(".item").first
    assert first.locator("del").all_inner_texts() == ["and", "3"]
    assert first.locator("ins").all_inner_texts() == ["plus", "2"]
    assert "Question 0" in first.inner_text()
    assert "taken as: 3" in first.inner_text()
    assert "exact_match 0 → 1" in first.inner_text()
    left, right = (one.bounding_box() for one in first.locator(".answers > div").all())
    assert left["x"] < right["x"]
    assert left["y"] == right["y"]


def test_choices_with_their_shares(reader: Reader) -> None:
    rows = reader.page.locator(".item").first.locator("tbody tr")
    assert rows.nth(1).inner_text().split() == ["✓", "blue", "24", "%", "-2", "67", "%", "-2"]
    assert rows.locator(".chosen").count() == 2
    assert "wrong → right" in reader.page.locator(".item").first.inner_text()


def test_search(reader: Reader) -> None:
    reader.page.keyboard.press("/")
    reader.page.keyboard.type("ONE plus")
    reader.page.wait_for_selector("mark")
    reader.settle()
    assert reader.names() == ["sums (strict-match) #0", "sums (last-word) #0"]
    reader.page.fill("#search", "onerror=window.hacked")
    reader.settle()
    reader.settle()
    assert len(reader.names()) == 3


def test_keys_and_the_whole_prompt(reader: Reader) -> None:
    reader.page.select_option("#task", label="words (2)")
    reader.settle()
    reader.page.keyboard.press("Tab")
    reader.page.evaluate("document.activeElement.blur()")
    reader.page.keyboard.press("j")
    assert reader.page.evaluate("document.activeElement.className") == "item"
    prompt = reader.page.locator(".item").first.locator(".text").first
    assert prompt.inner_text().startswith("…")
    reader.page.keyboard.press("Enter")
    assert prompt.inner_text().count("shots") == 100
    reader.page.keyboard.press("j")
    reader.page.keyboard.press("k")
    assert reader.page.evaluate("document.activeElement === document.querySelector('.item')")


def test_a_view_can_be_kept_as_a_link(browser: Any, small: Path, reader: Reader) -> None:
    reader.press("flip", "won")
    reader.page.select_option("#sort", "file")
    reader.settle()
    kept = reader.page.evaluate("location.hash")
    other = Reader(browser, small, hash=kept)
    assert other.names() == reader.names() == ["colours #1", "sums (strict-match) #0"]
    assert other.page.input_value("#sort") == "file"
    other.page.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_window(browser: Any, small: Path, width: int) -> None:
    reader = Reader(browser, small, width)
    SHOTS.mkdir(parents=True, exist_ok=True)
    reader.page.screenshot(path=SHOTS / f"view-{width}.png", full_page=True)
    assert reader.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    reader.page.close()


def test_a_hundred_thousand_items_stay_fluent(browser: Any, tmp_path: Path) -> None:
    """Seconds are what a busy machine may take; a quiet one takes a tenth."""
    third = MANY // 4
    run = lay_out(tmp_path, {
        "colours": [choices(n, [-1, -2, -3], [-1 - n % 3, -2, -3], n % 3) for n in range(third)],
        "sums": [written(n, f"it is {n % 9}", f"it is {n % 7}", "3") for n in range(third)],
        "words": [continued(n, -2.0, -1.0 - n % 5) for n in range(MANY - 2 * third)],
    })  # fmt: skip
    page = write_view(run).path
    assert page.stat().st_size < 20e6
    started = time.monotonic()
    reader = Reader(browser, page)
    assert time.monotonic() - started < 30
    assert reader.tile(0) == "100,000"
    assert reader.page.evaluate("document.querySelectorAll('*').length") < 5_000
    started = time.monotonic()
    reader.page.click("#flip button[data-value=won]")
    reader.page.evaluate("new Promise((done) => requestAnimationFrame(done))")
    assert time.monotonic() - started < 10
    reader.page.click("#last")
    reader.settle()
    assert "of" in reader.page.inner_text("#status")
    reader.press("flip", "")
    reader.page.fill("#search", "head 49995")
    reader.page.wait_for_selector("mark")
    reader.settle()
    assert reader.names() == ["words #49995"]
    assert reader.wrong == []
    reader.page.close()
