"""`perdure lab`: run the scenarios of the lab, and show what was measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final, Literal

from perdure.commands.command import Command, Read
from perdure.commands.outcome import INTERRUPTED, NO, YES, CouldNot, Manner, print_json, say
from perdure.commands.progress import Bar, is_watched
from perdure.config import Part, Section

if TYPE_CHECKING:
    from perdure.lab.perform import Outcome
    from perdure.lab.scenario import Scenario


@dataclass(slots=True)
class Played:
    """What was played of the scenarios that were asked for.

    Attributes:
        outcomes: of those that were finished.
        left_out: why each of the others could not run, by name.
        interrupted: True if Ctrl-C ended it before the last one was finished.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False


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
        if self.words[0] == "list" and names:
            raise ValueError(f"list: nothing more expected, got {' '.join(names)}")
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
    scenarios = list({scenario.name: scenario for scenario in map(load, names)}.values())
    if options.report is not None:
        check_report(options.report)
    played = perform_all(scenarios, choose_backend(options.backend), manner)
    return tell_all(played, options.report, manner)


def check_report(folder: Path) -> None:
    """Make the folder of the report, before minutes are spent on what could not be written.

    Raises:
        CouldNot: it cannot be made, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CouldNot(f"--report: {folder}: {error.strerror}") from error


def show_list(manner: Manner) -> int:
    """Show name and title of every scenario."""
    from perdure.lab.scenario import scenario_names, scenario_title

    titles = {name: scenario_title(name) for name in scenario_names()}
    if manner.json:
        print_json([{"name": name, "title": title} for name, title in titles.items()])
        return YES
    column = max(map(len, titles))
    # At once: a reader that has gone away is noticed here, not at the end of the program.
    print("\n".join(f"{name:<{column}}  {title}" for name, title in titles.items()), flush=True)
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


def perform_all(scenarios: list[Scenario], backend: str, manner: Manner) -> Played:
    """Run scenarios one after the other, and tell of each as it ends; Ctrl-C ends the current one and all."""
    from perdure.lab.backend import CannotStage
    from perdure.lab.perform import perform

    played = Played()
    bar = Bar(watched=is_watched(), counts_octets=False)
    bar.begin("", len(scenarios))
    try:
        for scenario in scenarios:
            bar.say(scenario.name)
            try:
                outcome = perform(scenario, backend, lambda act: bar.say(f"{scenario.name}: {act}"))  # noqa: B023
            except CannotStage as error:
                played.left_out[scenario.name] = str(error)
                bar.end()
                say(f"perdure: lab: {scenario.name} left out: {error}")
                continue
            played.outcomes.append(outcome)
            if not manner.json:
                bar.end()
                print("\n".join(story(outcome, manner)), flush=True)
            bar.advance(1)
    except KeyboardInterrupt:
        played.interrupted = True
    finally:
        bar.end()
    if played.interrupted:
        say(f"perdure: lab: interrupted: {len(played.outcomes)} of {len(scenarios)} scenarios were finished")
    return played


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


def tell_all(played: Played, report: Path | None, manner: Manner) -> int:
    """Write the report of what was finished, say how it ended.

    Raises:
        CouldNot: none of the scenarios could run.
    """
    from perdure.lab.figures import document, overall
    from perdure.lab.verdict import Holds

    outcomes, left_out, interrupted = played.outcomes, played.left_out, played.interrupted
    if not outcomes and not interrupted:
        raise CouldNot("lab: none of the scenarios could run")
    if report is not None and outcomes:
        from perdure.lab.report import write_report

        written = write_report(report, outcomes, left_out, interrupted=interrupted)
        if not manner.json:
            print(f"{len(written)} files in {report}; {written[0]} shows them all")
    whole = overall(outcomes)
    if manner.json:
        print_json(document(outcomes, left_out, interrupted=interrupted))
    elif len(outcomes) + len(left_out) > 1:
        ends = [(outcome.holds.value, outcome.scenario.name) for outcome in outcomes]
        ends += [("left out", name) for name in left_out]
        print("\n".join(f"{word:<9}  {name}" for word, name in ends), flush=True)
    if interrupted:
        return INTERRUPTED
    return NO if whole is Holds.NO else YES


COMMAND: Final = Command(
    Section("lab", (Part(LabOptions),)),
    help="Show and measure what persistent connections do: scenarios of servers, clients and relays.\n\n"
    "Each scenario runs programs on hosts with a link between them, draws what crossed the link, and ends "
    "with what was expected and what was measured. Exit status 0: all of it holds. 1: something does not. "
    "2: none could be run. 130: interrupted; what was finished is told.",
    example="perdure lab run slow-start",
    run=run,
)
