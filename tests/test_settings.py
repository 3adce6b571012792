from pathlib import Path

import pytest

from app import read_settings
from privacy.faults import faults_from
from privacy.settings import SettingsError, settings_from


def test_without_any_setting_placet_serves_the_example_on_localhost(tmp_path: Path) -> None:
    settings = settings_from({}, tmp_path)
    assert settings.base_url == "http://localhost:8000"
    assert settings.database_url == f"sqlite:///{tmp_path / 'placet.sqlite3'}"
    assert settings.register.name == "example"
    assert not settings.demo
    assert not settings.https
    assert 2 <= settings.workers <= 8


def test_the_environment_overrides_the_file_and_the_file_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('threads = 7\nmail_host = "mail.example.com"\n')
    environ = {"PLACET_INSTANCE": str(tmp_path), "PLACET_THREADS": "9", "HOME": "/ignored"}
    settings = read_settings(environ)
    assert settings.threads == 9
    assert settings.mail.host == "mail.example.com"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PLACET_BASE_URL", "localhost:8000"),
        ("PLACET_BASE_URL", "http://privacy.example.com"),
        ("PLACET_BASE_URL", "https://privacy.example.com/path"),
        ("PLACET_BASE_URL", "https://privacy.example.com/"),
        ("PLACET_BASE_URL", "ftp://privacy.example.com"),
        ("PLACET_DATABASE_URL", "mysql://localhost/placet"),
        ("PLACET_THREADS", "0"),
        ("PLACET_THREADS", "many"),
        ("PLACET_DEMO", "maybe"),
        ("PLACET_BODY_LIMIT_BYTES", "1"),
        ("PLACET_MAIL_PORT", "70000"),
        ("PLACET_TRUSTED_PROXIES", "-1"),
        ("PLACET_SESSION_IDLE_MINUTES", "0"),
        ("PLACET_ARGON2_MEMORY_KIB", "1"),
        ("PLACET_TYPO", "x"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings_from({name: value}, tmp_path)


def test_the_demo_that_shows_every_letter_does_not_start_for_real_people(tmp_path: Path) -> None:
    public = {"PLACET_DEMO": "true", "PLACET_BASE_URL": "https://privacy.example.com"}
    with pytest.raises(SettingsError, match="PLACET_DEMO"):
        settings_from(public, tmp_path)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("threads = ")
    with pytest.raises(SettingsError, match=r"config\.toml"):
        read_settings({"PLACET_INSTANCE": str(tmp_path)})


def test_an_unknown_fault_point_is_refused() -> None:
    with pytest.raises(SettingsError, match="PLACET_FAULT"):
        faults_from({"PLACET_FAULT": "commit:sideways"})


def test_the_mail_password_does_not_show(tmp_path: Path) -> None:
    settings = settings_from({"PLACET_MAIL_PASSWORD": "hunter2 hunter2"}, tmp_path)
    assert settings.mail.password == "hunter2 hunter2"
    assert "hunter2" not in repr(settings)
