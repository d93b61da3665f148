"""The command begins before its command line is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

INTERRUPTED_AT_IMPORT = """
import sys

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == "perdure.cli":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
from perdure.__main__ import main
main()
"""


def test_interruption_before_it_has_begun_is_quiet() -> None:
    result = subprocess.run([sys.executable, "-c", INTERRUPTED_AT_IMPORT], capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (130, b"", b"")


def test_command_is_the_module_too() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "perdure", "--version"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("perdure ")
