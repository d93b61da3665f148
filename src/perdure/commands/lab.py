"""`perdure lab`: run the scenarios of the lab, and show what was measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from perdure.commands.command import Command, Read
from perdure.commands.outcome import NO, YES, CouldNot, Manner, print_json, say
from perdure.commands.progress import Bar, is_watched
from perdure.config import Part, Section

if TYPE_CHECKING:
    from perdure.lab.perform import Outcome
    from perdure.lab.scenario import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class LabOptions:
    """What `perdure lab` has."""

    words: list[str] = field(default_factory=list, metadata={"argument": True, "metavar": "list|run NAME..."})
    """Show the scenarios there are; or run some of them."""

    all: bool = False
    """Run every scenario."""
    backend: Literal["auto", "memory", "namespaces", "loopback"] = "auto"
    """Where to run: in virtual time without sockets; between network namespaces over the kernel's own TCP; on
    loopback with a delaying relay. auto: namespaces where this user may make them, else loopback."""
    report: Path | None = field(default=None, metadata={"metavar": "DIR"})
    """Write a page with all figures and pictures into a folder, and the same as SVG, JSON, HAR and pcap."""

    def __post_init__(self) -> None:
        if self.words[:1] not in (["list"], ["run"]):
            raise ValueError(f"list or run expected, got {' '.join(self.words) or 'nothing'}")
        names = self.words[1:]
        if self.words[0] == "run" and bool(names) == self.all:
            raise ValueError(
                "run: names of scenarios or --all expected, got " + ("both" if names else "neither")
            )


def run(manner: Manner, read: Read) -> int:
    """List or run."""
    (options,) = read()
    if options.words[0] == "list":
        return show_list(manner)
    from perdure.lab.scenario import load, scenario_names

    names = scenario_names() if options.all else options.words[1:]
    scenarios = [load(name) for name in names]
    outcomes = perform_all(scenarios, choose_backend(options.backend), manner, skip=options.all)
    return tell_all(outcomes, options.report, manner)


def show_list(manner: Manner) -> int:
    """Show name and title of every scenario."""
    from perdure.lab.scenario import scenario_names, scenario_title

    titles = {name: scenario_title(name) for name in scenario_names()}
    if manner.json:
        print_json([{"name": name, "title": title} for name, title in titles.items()])
        return YES
    column = max(map(len, titles))
    for name, title in titles.items():
        print(f"{name:<{column}}  {title}")
    return YES


def choose_backend(wanted: str) -> str:
    """The backend to use; says why where it is not the best one."""
    if wanted != "auto":
        return wanted
    from perdure.lab.perform import why_no_namespaces

    why = why_no_namespaces()
    if why:
        say(f"perdure: lab: on loopback, since there are no network namespaces: {why}")
    return "loopback" if why else "namespaces"


def perform_all(scenarios: list[Scenario], backend: str, manner: Manner, *, skip: bool) -> list[Outcome]:
    """Run scenarios one after the other, and tell of each as it ends.

    Args:
        skip: whether to pass over those that cannot run on this backend.
    """
    from perdure.lab.backend import CannotStage
    from perdure.lab.perform import perform

    outcomes: list[Outcome] = []
    bar = Bar(watched=is_watched(), counts_octets=False)
    bar.begin("", len(scenarios))
    try:
        for scenario in scenarios:
            bar.say(scenario.name)
            if skip and backend not in scenario.backends:
                say(f"perdure: lab: {scenario.name} left out: it runs on {', '.join(scenario.backends)} only")
                continue
            try:
                outcome = perform(scenario, backend, lambda act: bar.say(f"{scenario.name}: {act}"))  # noqa: B023
            except CannotStage as error:
                raise CouldNot(f"lab: {error}") from error
            outcomes.append(outcome)
            if not manner.json:
                bar.end()
                print("\n".join(story(outcome, manner)), flush=True)
            bar.advance(1)
    finally:
        bar.end()
    return outcomes


def story(outcome: Outcome, manner: Manner) -> list[str]:
    """One scenario for a person: title, timelines, verdict."""
    from perdure.lab.perform import EMULATED
    from perdure.lab.timeline import LEGEND, events_of, text_of

    scenario = outcome.scenario
    lines = [f"{scenario.name}: {scenario.title}  {' '.join(scenario.rows)}"]
    if emulated := EMULATED[outcome.backend]:
        lines.append(f"  ({emulated})")
    for act in outcome.acts:
        lines += ["", *(f"  {line}" for line in text_of(act))]
        if manner.verbosity:
            lines += [f"  {line}" for line in events_of(act)]
    lines += ["", f"  {LEGEND}", ""]
    for table in outcome.tables:
        lines += [*(f"  {line}" for line in table.lines()), ""]
    lines += [f"  {claim.text()}" for claim in outcome.claims]
    if outcome.error:
        lines.append(f"  fails      {outcome.error}")
        lines += outcome.trace.splitlines() if manner.verbosity else []
    lines.append(f"{outcome.holds.value}: {scenario.name}, {counted(outcome)}, {outcome.seconds:.1f} s\n")
    return lines


def counted(outcome: Outcome) -> str:
    """How many claims hold, fail, and are not shown."""
    from perdure.lab.verdict import Holds

    numbers = [(sum(claim.holds is each for claim in outcome.claims), each) for each in Holds]
    return ", ".join(f"{number} {each.value}" for number, each in numbers if number or each is Holds.YES)


def tell_all(outcomes: list[Outcome], report: Path | None, manner: Manner) -> int:
    """Write the report, say how it ended."""
    from perdure.lab.figures import document, overall
    from perdure.lab.verdict import Holds

    if not outcomes:
        raise CouldNot("lab: none of the scenarios runs on this backend")
    if report is not None:
        from perdure.lab.report import write_report

        written = write_report(report, outcomes)
        if not manner.json:
            print(f"{len(written)} files in {report}; {written[0]} shows them all")
    whole = overall(outcomes)
    if manner.json:
        print_json(document(outcomes))
    elif len(outcomes) > 1:
        print("\n".join(f"{outcome.holds.value:<9}  {outcome.scenario.name}" for outcome in outcomes))
    return NO if whole is Holds.NO else YES


COMMAND: Final = Command(
    Section("lab", (Part(LabOptions),)),
    help="Show and measure what persistent connections do: scenarios of servers, clients and relays.\n\n"
    "Each scenario runs programs on hosts with a link between them, draws what crossed the link, and ends "
    "with what was expected and what was measured. Exit status 0: all of it holds. 1: something does not. "
    "2: it could not be run.",
    example="perdure lab run slow-start",
    run=run,
)
