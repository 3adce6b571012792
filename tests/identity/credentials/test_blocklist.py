"""Common and leaked passwords, looked up in files."""

from __future__ import annotations

import hashlib
import unicodedata
from pathlib import Path

import pytest

from identity.credentials.blocklist import (
    DIGEST_BYTES,
    SHORT_ENTRIES,
    DigestList,
    encode,
    folded,
    load,
)
from policies.passwords import check
from privacy.settings import SettingsError, settings_from

SHIPPED = Path(__file__).parents[3] / "identity" / "credentials" / "common_passwords.bin"


def sha1(password: str) -> str:
    return hashlib.sha1(password.encode()).hexdigest().upper()


def test_the_shipped_list_is_small_sorted_and_without_repetition() -> None:
    content = SHIPPED.read_bytes()
    entries = [content[i : i + DIGEST_BYTES] for i in range(0, len(content), DIGEST_BYTES)]
    assert len(content) < 1_000_000
    assert len(entries) >= SHORT_ENTRIES + 9_700
    assert entries == sorted(set(entries))


@pytest.mark.parametrize(
    "password",
    [
        "qwertyuiopasdfgh",
        "1qaz2wsx3edc4rfv",
        "passwordpassword",
        "password1",
        "football",
        "mi contraseña secreta",
        "contrasena-segura",
    ],
)
def test_a_common_password_is_in_the_shipped_lists(password: str) -> None:
    assert password in load(None)


def test_an_uncommon_password_is_in_no_list() -> None:
    lists = load(None)
    assert not any(f"una frase que nadie ha usado {n}" in lists for n in range(10_000))


def test_every_listed_password_is_found_and_case_and_form_do_not_hide_it(tmp_path: Path) -> None:
    listed = [f"Contraseña Número {n:05}" for n in range(2_000)] + ["ocho1234"]
    path = tmp_path / "list"
    path.write_bytes(encode([*listed, "corta"]))
    found = DigestList(path)
    assert len(found) == 2_001
    assert all(folded(password) in found for password in listed)
    decomposed = unicodedata.normalize("NFD", "CONTRASEÑA NÚMERO 00007")
    assert folded(decomposed) in found
    assert "corta" not in found
    assert not any(f"contraseña número {n:05}" in found for n in range(2_000, 4_000))


def test_only_so_many_of_the_short_ones_are_kept_the_most_common_first() -> None:
    encoded = encode(f"corta{n:06}" for n in range(SHORT_ENTRIES + 5))
    assert len(encoded) == SHORT_ENTRIES * DIGEST_BYTES
    assert encode(["x" * 15, "corta000"]) == encode(["corta000", "x" * 15])


def test_the_operator_s_own_list_is_text(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("Compañía Ejemplo 2026\r\n\nla casa de la esquina\n", encoding="utf-8")
    lists = load(path)
    assert "compañía ejemplo 2026" in lists
    assert "la casa de la esquina" in lists
    assert "" not in lists
    assert "passwordpassword" in lists  # ours stay


@pytest.mark.parametrize("end", ["\n", "\r\n", ":12\r\n"])
def test_or_it_is_a_file_of_sha_1_in_order_of_any_size(tmp_path: Path, end: str) -> None:
    passwords = [f"contraseña filtrada {n}" for n in range(3_000)]
    path = tmp_path / "sha1.txt"
    path.write_bytes("".join(sorted(sha1(p) + end for p in passwords)).encode())
    lists = load(path)
    assert all(password in lists for password in passwords)
    assert not any(f"contraseña guardada {n}" in lists for n in range(3_000))


def test_a_file_without_a_last_line_end_and_in_small_letters_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sha1.txt"
    passwords = ["una", "otra", "la tercera"]
    path.write_text("\n".join(sorted(sha1(p) for p in passwords)).lower())
    lists = load(path)
    assert all(password in lists for password in passwords)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        (b"", "empty"),
        (b"caf\xe9 con leche\n", "UTF-8"),
        (f"{sha1('b')}\nno digest\n".encode(), "not a SHA-1"),
        ("\n".join(sorted(map(sha1, "abcdefgh"), reverse=True)).encode(), "not in order"),
    ],
)
def test_a_wrong_list_is_refused_by_the_name_of_its_setting(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    path = tmp_path / "list"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"PLACET_PASSWORD_BLOCKLIST.*{why}"):
        load(path)


@pytest.mark.parametrize(
    "url", ["http://ranges.example.com", "ranges", "https://x@ranges.example.com", "https://x/?a=b"]
)
def test_a_range_service_is_asked_by_https_alone(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="PLACET_PASSWORD_RANGE_URL"):
        settings_from({"PLACET_PASSWORD_RANGE_URL": url}, tmp_path)


def test_the_rule_finds_a_common_password_in_any_case() -> None:
    with pytest.raises(Exception, match="common or leaked"):
        check(
            "PasswordPassword", second_factor_enforced=False, context_words=(), blocked=load(None)
        )
