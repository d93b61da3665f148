"""`VirtualLoop`: an asyncio event loop whose time jumps to the next timer when nothing is ready.

`run_virtual(coroutine)` runs a coroutine on one. (Code follows.)
"""

from __future__ import annotations
