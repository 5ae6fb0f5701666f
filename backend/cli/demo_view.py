"""What the demo shows at the terminal: results on standard output, progress and questions on standard error."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from backend.cli.demo_text import TEXTS
from backend.cli.terminal import out, printable, side
from backend.core.desk.cleaning import clean
from backend.util.language import Language

_FIELDS = ("problem", "cause", "solution", "result")
SHOWN = 3
"""Similar tickets that are shown."""


class View:
    def __init__(self, lang: Language) -> None:
        self._texts = TEXTS[lang]
        self._sources: list[dict[str, Any]] = []
        self._speaks = False

    def text(self, name: str, **values: Any) -> str:
        """Return a sentence in the chosen language."""
        return self._texts[name].format(**values)

    def plain(self, html: str) -> str:
        """Return a mail as text that a terminal may show."""
        return printable(clean(html))

    def say(self, name: str, **values: Any) -> None:
        """Tell how far it is."""
        side().print(f"✓ {self.text(name, **values)}", style="green")

    def prompt(self, text: str) -> None:
        side().print(text, style="bold", end="")

    @contextmanager
    def progress(self, tickets: int) -> Iterator[Callable[[dict[str, Any]], None]]:
        """Give what shows the state of a collection of so many tickets."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=side(), transient=True) as bar:
            task = bar.add_task(self._texts["pending"], total=tickets)

            def show(job: dict[str, Any]) -> None:
                counts, stage = job["counts"], job["stage"] if job["status"] != "pending" else "pending"
                done, total = counts["tickets"], max(tickets, counts["tickets"])
                if stage in {"index", "done"}:
                    total = counts["tickets"] + counts["articles"]
                    done = min(counts["indexed"], total)
                bar.update(task, description=self._texts[stage], completed=done, total=total)

            yield show

    def tickets(self, statistics: dict[str, Any], newest: Sequence[dict[str, Any]]) -> None:
        """Show how many tickets there are, and the last changed of them."""
        self._head("statistics")
        for group in ("by_status", "by_priority"):
            out().print(" " + " · ".join(f"{name} {count}" for name, count in statistics[group].items()))
        self._table("newest", newest, ("number", "ticket_id"), ("status", "status_name"), ("priority", "priority_name"))

    def ticket(self, ticket: dict[str, Any]) -> None:
        """Show the ticket that is to be answered."""
        from rich.panel import Panel

        title = self.text("chosen", number=ticket["ticket_id"])
        out().print()
        out().print(Panel(f"{printable(ticket['title'])}\n\n{self.plain(ticket['description'])}", title=title))

    def heard(self, name: str, data: dict[str, Any]) -> None:
        """Show an event of the draft's run."""
        match name, data.get("name"):
            case "tool", "summary":
                self._summary(data["summary"])
            case "tool", "similar_tickets" if data["tickets"]:
                found = [one | {"score": f"{one['score']:.2f}"} for one in data["tickets"][:SHOWN]]
                self._table("similar", found, ("number", "ticket_id"), ("status", "status"), ("score", "score"))
            case "token", _:
                if not self._speaks:
                    self._head("draft")
                self._speaks = True
                out().out(printable(data["text"]), end="")
            case "refusal", _:
                out().print()
                out().print(self._texts["refused"], style="yellow")
            case _:
                return

    def review(self, review: dict[str, Any]) -> None:
        """Show what the draft rests on, and the reply that it makes."""
        out().print()
        self._head("sources")
        for cited in sorted(review["citations"], key=lambda cited: int(cited["index"])):
            kind = self._texts[f"{cited['kind']}_source"]
            label = " › ".join([cited["title"], *cited.get("path", [])])
            out().out(printable(f" [{cited['index']}] {kind}: {label} ({cited['score']:.2f})"))
            if cited.get("url"):
                out().out(printable(f"     {cited['url']}"))
        self._head("reply")
        out().out(printable(review["reply"]))
        out().print()

    def decided(self, done: dict[str, Any]) -> None:
        side().print(f"✓ {printable(str(done.get('answer') or done['status']))}", style="green")

    def note(self, note: dict[str, Any]) -> None:
        """Show a note as the desk has it."""
        from rich.panel import Panel

        out().print()
        out().print(Panel(self.plain(note["body"]), title=f"{self._texts['note']} ({note['id']})"))

    def keep(self, url: str, desk_url: str) -> None:
        """Say where the server is, and what can be asked of it."""
        from backend.simulator.freshdesk import DEMO_KEY

        out().print()
        out().print(self._texts["keep"], style="bold")
        for line in (
            f" {self._texts['docs']}: {url}/docs",
            f" curl {url}/api/v1/tickets/statistics",
            f" curl '{url}/api/v1/tickets?status=open&limit=5'",
            f" curl -N {url}/api/v1/tickets/12/drafts -H 'content-type: application/json' -d '{{\"stream\": true}}'",
            f" curl -u {DEMO_KEY}:X {desk_url}/api/v2/tickets/12",
        ):
            out().out(line)

    def _summary(self, summary: dict[str, Any]) -> None:
        self._head("summary")
        for field in _FIELDS:
            if summary[field]:
                out().print(f" {self._texts[field]}: {printable(summary[field])}")
        if summary["keywords"]:
            out().print(f" {self._texts['keywords']}: {printable(', '.join(summary['keywords']))}")

    def _table(self, name: str, rows: Sequence[dict[str, Any]], first: tuple[str, str], *more: tuple[str, str]) -> None:
        from rich import box
        from rich.table import Table

        columns = (first, ("title", "title"), *more)
        table = Table(*(self._texts[label] for label, _ in columns), box=box.SIMPLE, pad_edge=False)
        for row in rows:
            table.add_row(*(printable(str(row[key])) for _, key in columns))
        self._head(name)
        out().print(table)

    def _head(self, name: str) -> None:
        out().print()
        out().print(self._texts[name], style="bold")
