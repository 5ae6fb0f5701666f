"""`daedap doctor`: what is configured, what is missing, what is dangerous."""

import json
import sys
from importlib.metadata import version

from backend.cli.diagnosis import Finding, Level, diagnose, shown_settings
from backend.cli.terminal import DONE, FAILED, command_settings, out, printable, run
from backend.config.setting import SettingError, Settings

_STYLES: dict[Level, str] = {"ok": "green", "note": "blue", "missing": "yellow", "danger": "bold red"}


def doctor(*, as_json: bool) -> int:
    """Write the findings, and return the exit code: 1 when something is dangerous."""
    settings: Settings | None = None
    try:
        settings = command_settings(log_level="ERROR")
        findings = run(diagnose(settings))
    except SettingError as error:
        findings = [Finding("danger", "settings", line) for line in str(error).splitlines()]
    if as_json:
        _write_json(settings, findings)
    else:
        _tabulate(settings, findings)
    return FAILED if any(finding.level == "danger" for finding in findings) else DONE


def _write_json(settings: Settings | None, findings: list[Finding]) -> None:
    document = {
        "version": version("daedap"),
        "dangerous": any(finding.level == "danger" for finding in findings),
        "findings": [{"level": each.level, "subject": each.subject, "text": each.text} for each in findings],
        "settings": shown_settings(settings) if settings else None,
    }
    out().out(json.dumps(document, ensure_ascii=False, indent=2))


def _tabulate(settings: Settings | None, findings: list[Finding]) -> None:
    from rich.table import Table

    python = ".".join(map(str, sys.version_info[:3]))
    out().print(f"daedap {version('daedap')}, Python {python}", style="bold")
    if settings is not None:
        shown = shown_settings(settings)
        configured = {name: shown[name] for name in shown if name.lower() in settings.model_fields_set - _OURS}
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in configured.items():
            table.add_row(name, printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
        out().print("\nConfigured" if configured else "\nNothing is configured: the defaults hold.", style="bold")
        if configured:
            out().print(table)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(finding.level, finding.subject, printable(finding.text), style=_STYLES[finding.level])
    out().print("\nFound", style="bold")
    out().print(table)
    dangers = sum(finding.level == "danger" for finding in findings)
    out().print(f"\n{dangers} dangerous." if dangers else "\nNothing is dangerous.", style="bold")


_OURS = {"log_level", "log_format", "log_file_path"}
"""What commands set for themselves."""
