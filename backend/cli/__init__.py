"""The terminal: `daedap …`, or `python -m backend.cli …`."""


def main() -> None:
    """Run the command of the command line, and exit."""
    from backend.cli.app import run_app

    run_app()
