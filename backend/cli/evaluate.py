"""`daedap eval`: retrieval measured on a data set, as a table."""

from pathlib import Path

from backend.cli.terminal import command_settings, out, run, side
from backend.config.setting import Settings
from backend.service.evaluation import Evaluation, Figure, Report


def evaluate(folder: Path, outside: Path | None, limit: int | None) -> None:
    """Measure, and write the figures. No data folder is touched."""
    _tabulate(run(_evaluate(folder, outside, limit, command_settings())))


async def _evaluate(folder: Path, outside: Path | None, limit: int | None, settings: Settings) -> Report:
    from rich.progress import Progress

    from backend.container import Container

    embedder = Container(settings=settings).embedding_manager()
    await embedder.open()
    try:
        with Progress(console=side(), transient=True) as bar:
            tasks = {}

            def say(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = bar.add_task(stage, total=total)
                bar.update(tasks[stage], completed=done)

            return await Evaluation(embedder).run(folder, outside=outside, limit=limit, progress=say)
    finally:
        await embedder.close()


def _tabulate(report: Report) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for figure in report.figures:
        table.add_row(figure.name, _shown(figure))
    out().print(
        f"{report.data_set}: {report.documents} documents (indexed in {report.seconds:.1f} s),"
        f" {report.questions} questions",
        style="bold",
    )
    out().print(table)


def _shown(figure: Figure) -> str:
    return f"{figure.value:.1f} {figure.unit}" if figure.unit else f"{figure.value:.4f}"
