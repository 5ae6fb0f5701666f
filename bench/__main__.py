"""`python -m bench [NAME …]`: how fast the server is, as ratios to the same graphs in process and served by hand."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from bench.first_user import first_user
from bench.row import ROWS, SCENARIOS, Rounds
from bench.scenario import AGENT, CHAT
from bench.side import Side, by_hand, in_process, measured, measured_graphs, server
from bench.stored import stored_threads

SIDES = ("in process", "by hand", "server")
NAMES = (*SCENARIOS, "stored", "start")


async def compared(names: Iterable[str], folder: Path, console: Console) -> Table:
    """Measure the scenarios in alternating rounds on all sides; return the table of their figures and ratios."""
    table = Table(title="Medians of alternating rounds", title_justify="left")
    for column in ("scenario", *SIDES, "÷ in process", "÷ by hand", "must", "aim", "reached"):
        table.add_column(column, justify="left" if column == "scenario" else "right")
    async with AsyncExitStack() as stack:
        alone: Side = await stack.enter_async_context(in_process())
        hand: Side = await stack.enter_async_context(by_hand(folder, AGENT))
        ours = await stack.enter_async_context(server(folder / "server", AGENT, **measured_graphs()))
        chat = type(ours)(ours.process, ours.port, CHAT)
        for name in names:
            of = SCENARIOS[name]
            sides: dict[str, Side] = {"in process": alone, "by hand": hand, "server": ours}
            if of.is_chat:
                sides = {"in process": alone, "server": chat}
            rounds = Rounds()
            for number in range(of.rounds + of.warm):
                count = of.count if number >= of.warm else of.at_once * 2
                for side, by in sides.items():
                    figures = await measured(by, of.scenario, count, of.at_once)
                    if number >= of.warm:
                        rounds.add(side, figures)
            for row in (row for row in ROWS if row.of == name):
                table.add_row(*row.cells(rounds))
            console.print(f"{name} is measured", style="dim")
    return table


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="*", choices=[[], *NAMES], help=f"what to measure: {', '.join(NAMES)}")
    names = parser.parse_args().name or list(NAMES)
    console = Console(width=150)
    load = os.getloadavg()
    console.print(f"{os.cpu_count()} cores, load {load[0]:.1f}, Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if scenarios := [name for name in names if name in SCENARIOS]:
            console.print(await compared(scenarios, folder, console))
        if "stored" in names:
            console.print(await stored_threads(folder))
        if "start" in names:
            console.print(await first_user(folder))


if __name__ == "__main__":
    uvloop.run(main())
