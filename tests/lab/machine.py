"""What the tests of the lab need of the machine."""

from __future__ import annotations

import pytest

from perdure.lab.perform import why_no_namespaces

WHY_NOT = why_no_namespaces()
needs_namespaces = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "never")
