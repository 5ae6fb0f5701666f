"""The commands and their options. What a command does is imported when it is called, so that `--help` is quick."""

import sys
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

import typer

from backend.cli.terminal import FAILED, STOPPED, USAGE, CommandError, complain

app = typer.Typer(
    name="daedap",
    help="An open LangGraph agent server with its own knowledge. 자체 지식을 갖춘 오픈 소스 에이전트 서버.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
graph_app = typer.Typer(help="Look at the agents. 에이전트 보기.", no_args_is_help=True)
demo_app = typer.Typer(help="See it at work, with nothing set up. 준비 없이 둘러보기.", no_args_is_help=True)
new_app = typer.Typer(help="Write a working example to start from. 동작하는 예제 만들기.", no_args_is_help=True)
app.add_typer(demo_app, name="demo")
app.add_typer(graph_app, name="graph")
app.add_typer(new_app, name="new")

Tenant = Annotated[str, typer.Option(help="Whose documents and conversations; its token is taken from the settings.")]
GraphConfig = Annotated[
    list[Path] | None,
    typer.Option("--config", metavar="FILE", help="A langgraph.json whose graphs are served as well; may be repeated."),
]


def run_app() -> None:
    """Run the command line. An expected failure is one sentence on standard error, never a traceback."""
    try:
        app()
    except _expected() as error:
        text, code = _told(error)
        complain(text)
        sys.exit(code)
    except KeyboardInterrupt:
        sys.exit(STOPPED)


def _expected() -> tuple[type[Exception], ...]:
    """Return what may go wrong; Python asks only when something has."""
    from backend.config.setting import SettingError
    from backend.core.error import DomainError

    return CommandError, SettingError, DomainError, OSError


def _told(error: Exception) -> tuple[str, int]:
    """Return the sentence that says what went wrong, and the exit code."""
    from backend.config.setting import SettingError
    from backend.core.error import DomainError

    match error:
        case CommandError():
            return str(error), error.code
        case SettingError():
            return f"The settings cannot be used:\n{error}", USAGE
        case DomainError():
            return error.detail, FAILED
        case OSError(filename=str(name)):
            return f"{name}: {error.strerror}.", FAILED
        case _:
            return f"{error}.", FAILED


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"daedap {version('daedap')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version, and exit.")
    ] = False,
) -> None:
    """Settings come from the environment and `.env`; `daedap doctor` shows them."""


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on, instead of HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The port, instead of PORT; 0 is any.")] = None,
    config: GraphConfig = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Start again when the code of a graph or a setting in .env changes.")
    ] = False,
) -> None:
    """Start the server. 서버를 시작합니다."""
    from backend.cli.serve import serve

    raise typer.Exit(serve(host=host, port=port, config=config, reload=reload))


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="In Korean or English.")],
    docs: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Answer from the files in this folder alone; they are taken in first."),
    ] = None,
    agent: Annotated[str, typer.Option(help="Which agent; `daedap graph list` has them.")] = "answer",
    model: Annotated[str | None, typer.Option(help="A model's alias, instead of the default one.")] = None,
    thread: Annotated[
        UUID | None, typer.Option(metavar="ID", help="The conversation to go on with; a new one without it.")
    ] = None,
    tenant: Tenant = "default",
) -> None:
    """Ask a question: the answer as it comes, then its sources. 질문하고 출처와 함께 답을 받습니다.

    Exit code 0: answered. 3: the documents do not answer it. 1: it failed.
    """
    from backend.cli.ask import ask
    from backend.cli.client import Question

    raise typer.Exit(ask(Question(question, agent, model, thread), docs=docs, tenant=tenant))


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files, and folders with all below them.")],
    tenant: Tenant = "default",
) -> None:
    """Take in documents. 문서를 넣습니다.

    Exit code 1 when a file could not be read; the others are taken in all the same. Ctrl-C stops; what was taken in
    stays, and the same command goes on where it was.
    """
    from backend.cli.ingest import ingest

    raise typer.Exit(ingest(paths, tenant))


@app.command()
def sync(
    full: Annotated[
        bool, typer.Option("--full", help="List everything; what is gone at the platform goes here.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end; Ctrl-C only stops looking.")] = False,
    platform: Annotated[str, typer.Option(help="Which support desk.")] = "freshdesk",
    tenant: Tenant = "default",
) -> None:
    """Let the running server collect from a support desk. 상담 데이터를 수집합니다.

    Exit code 1 when the collection could not be begun, or with --watch when it failed.
    """
    from backend.cli.sync import sync

    raise typer.Exit(sync(full=full, watch=watch, platform=platform, tenant=tenant))


@app.command("eval")
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A data set: questions with what answers them.")],
    outside: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A data set about something else, whose questions should be refused."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only so many of the questions.")] = None,
) -> None:
    """Measure retrieval on a data set, in a place of its own. 검색 품질을 측정합니다."""
    from backend.cli.evaluate import evaluate

    evaluate(folder, outside, limit)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, for a machine.")] = False,
) -> None:
    """Say what is configured, what is missing and what is dangerous. 설정을 점검합니다.

    Exit code 1 when something is dangerous.
    """
    from backend.cli.doctor import doctor

    raise typer.Exit(doctor(as_json=as_json))


@demo_app.command("freshdesk")
def demo_freshdesk(
    ticket: Annotated[int | None, typer.Option(min=1, help="The ticket, instead of one that is chosen.")] = None,
    lang: Annotated[Literal["ko", "en"], typer.Option(help="Of the ticket, and of what is said here.")] = "ko",
    yes: Annotated[bool, typer.Option("--yes", help="Accept the draft without asking.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server running until Ctrl-C.")] = False,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where its data stay; without it, they go when it ends.")
    ] = None,
) -> None:
    """Collect from a simulated Freshdesk and draft a cited reply. 모의 Freshdesk로 초안 작성까지 보여 줍니다.

    It needs no key and no service, and no setting is read. Exit code 3: nothing answers the ticket. 4: the draft waits
    for a decision, and nobody is at the terminal.
    """
    from backend.cli.demo import Demo, demo

    raise typer.Exit(demo(Demo(ticket=ticket, lang=lang, yes=yes, keep=keep, data=data)))


@graph_app.command("list")
def list_graphs(config: GraphConfig = None) -> None:
    """List the agents. 에이전트 목록."""
    from backend.cli.graph import list_graphs

    list_graphs(config)


@graph_app.command("show")
def show_graph(
    name: Annotated[str, typer.Argument(help="The agent.")],
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Write it as Mermaid source.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write it; a name in .mmd means Mermaid.")
    ] = None,
    config: GraphConfig = None,
) -> None:
    """Show an agent's nodes in order, the added ones marked. 에이전트의 구조를 보여 줍니다."""
    from backend.cli.graph import show_graph

    show_graph(name, config, mermaid=mermaid, output=output)


@new_app.command("graph")
def new_graph(
    name: Annotated[str, typer.Argument(help="Small letters, digits and underscores.")],
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where to write it.")] = Path(),
) -> None:
    """Write an agent with its test, and enter it in langgraph.json. 새 에이전트를 만듭니다."""
    from backend.cli.graph import new_graph

    new_graph(name, folder)


@new_app.command("node")
def new_node(
    name: Annotated[str, typer.Argument(help="Of the node and its file.")],
    agent: Annotated[str, typer.Option(help="The agent that it is added to.")],
    after: Annotated[
        str | None, typer.Option(metavar="NODE", help="The node behind which it runs; without it, the first.")
    ] = None,
) -> None:
    """Write a node with its test into the extension folder. 에이전트에 노드를 더합니다."""
    from backend.cli.graph import new_node

    new_node(name, agent, after)
