"""The settings of cache and limits. (X9, 000-61, 000-62: each of them is read, and a wrong one stops the start)"""

from pathlib import Path
from typing import Any

import pytest
from dependency_injector import providers

from backend.config.setting import SettingError, Settings, load_settings
from backend.container import Container
from backend.dto.principal import Principal
from backend.dto.tenant import Limits
from backend.service.limit import no_limits


def settings_of(folder: Path, **values: Any) -> Settings:
    return load_settings(_env_file=None, data_dir=folder, **values)


@pytest.mark.parametrize(
    ("text", "seconds"), [("3600", {"default": 3600}), ('{"verdict": 60}', {"verdict": 60}), ("{}", {})]
)
def test_seconds_are_a_number_for_all_or_an_object(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, seconds: dict[str, float]
) -> None:
    monkeypatch.setenv("CACHE_TTL", text)
    assert settings_of(tmp_path).cache_ttl == seconds


def test_a_server_without_its_orm_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """(000-6)"""
    monkeypatch.setenv("USE_ORM", "true")
    assert settings_of(tmp_path).use_orm
    monkeypatch.setenv("USE_ORM", "false")
    with pytest.raises(SettingError, match=r"USE_ORM.* one way to its data"):
        settings_of(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cache_ttl", -1),
        ("cache_ttl", {"verdict": -1}),
        ("rate_limit_per_minute", 0),
        ("daily_tokens", -1),
        ("daily_cost", 0),
        ("budget_timezone", "Asia/Pyongyang2"),
        ("budget_timezone", "../../etc/passwd"),
        ("request_log", "some"),
        ("request_log_retention_days", 0),
    ],
)
def test_a_wrong_value_stops_the_start_and_is_named(tmp_path: Path, name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=name.upper()):
        settings_of(tmp_path, **{name: value})


async def test_each_setting_reaches_what_it_is_for(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path,
        cache_ttl={"default": 7},
        rate_limit_per_minute=1,
        user_rate_limit_per_minute=2,
        daily_tokens=3,
        user_daily_tokens=4,
        daily_cost=5,
        user_daily_cost=6,
        budget_timezone="America/New_York",
        request_log="errors",
        request_log_retention_days=8,
    )
    container = Container(settings=providers.Object(settings))
    book = container.limit_book()
    book._limits = no_limits  # no database is open here
    assert await book.of("default") == Limits(
        requests_per_minute=1,
        user_requests_per_minute=2,
        daily_tokens=3,
        user_daily_tokens=4,
        daily_cost=5,
        user_daily_cost=6,
    )
    assert container.caches()._seconds("any", None) == 7
    assert str(container.budget()._zone) == str(container.usage_service()._zone) == "America/New_York"
    assert container.request_log_service().enabled
    assert container.request_log()._keep.days == 8
    allowance = await container.rate_service().take(Principal("default", "alice"))
    assert allowance is not None
    assert allowance.limit == 1
