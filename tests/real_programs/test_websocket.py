"""A browser's WebSocket against `perdure serve`."""

from __future__ import annotations

import pytest

from tests.real_programs import ours
from tests.real_programs.browser import result_of

pytestmark = [pytest.mark.peer, pytest.mark.slow]


def test_chromium_talks_compressed_and_sees_a_clean_close() -> None:
    with ours.serve("tests.server.page_application:application") as server:
        assert result_of(f"{server.url}/") == "chat permessage-deflate 6000 4321 enough true"
