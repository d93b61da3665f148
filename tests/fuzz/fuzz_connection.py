"""Coverage-guided fuzzing of both sides of a connection, for as long as one likes.

    python -m pip install atheris          # CPython 3.11 to 3.13 on Linux; not a dependency of anything here
    scripts/fuzz -max_total_time=600       # libFuzzer's options; a corpus grows in out/fuzz

The first octet chooses the side and whether the stream ends, the next three where to cut; the rest
is what arrives. What must hold is in `octets`. A crash leaves a crash-* file: give it as an argument
to see it again, and keep it as a vector in tests/vectors.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore] # absent unless one fuzzes

with atheris.instrument_imports(include=["perdure.core"]):
    from tests.fuzz.octets import check_client, check_server

TOP = Path(__file__).resolve().parent.parent.parent


def test_one_input(data: bytes) -> None:
    """Called by libFuzzer; whatever is raised is a finding."""
    if len(data) < 4:
        return
    choice, places, octets = data[0], list(data[1:4]), data[4:]
    check = check_client if choice & 1 else check_server
    check(octets, places, bool(choice & 2))


def write_seeds(folder: Path) -> None:
    """Begin with the vectors: they are where parsers are known to disagree."""
    folder.mkdir(parents=True, exist_ok=True)
    for choice, side in enumerate(["requests", "responses"]):
        with (TOP / "tests" / "vectors" / f"{side}.toml").open("rb") as file:
            vectors = tomllib.load(file)["vector"]
        for number, vector in enumerate(vectors):
            seed = bytes([choice | 2, 3, 20, 50]) + vector["octets"].encode("latin-1")
            (folder / f"{side}-{number}").write_bytes(seed)


if __name__ == "__main__":
    corpus = TOP / "out" / "fuzz"
    write_seeds(corpus)
    named = any(not argument.startswith("-") for argument in sys.argv[1:])
    atheris.Setup(sys.argv if named else [*sys.argv, str(corpus)], test_one_input)
    atheris.Fuzz()
