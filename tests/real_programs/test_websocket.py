"""A browser's WebSocket against `perdure serve`."""

from __future__ import annotations

import re
import tempfile

import pytest

from tests import peers
from tests.real_programs import ours
from tests.real_programs.test_serve import CHROMIUM_FLAGS

pytestmark = [pytest.mark.peer, pytest.mark.slow]


def test_chromium_talks_compressed_and_sees_a_clean_close() -> None:
    chromium = peers.require("chromium")
    with (
        ours.serve("tests.server.page_application:application") as server,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
    ):
        done = ours.run(
            chromium, *CHROMIUM_FLAGS, f"--user-data-dir={profile}", "--dump-dom", f"{server.url}/"
        )
    result = re.search(r'id="result">(.*?)<', done.stdout)
    assert result is not None, done.stdout + done.stderr[-2000:]
    assert result[1] == "chat permessage-deflate 6000 4321 enough true"
