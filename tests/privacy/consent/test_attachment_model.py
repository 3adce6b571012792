"""Which files are taken as evidence: told by their content, never by their name."""

import pytest

from policies.errors import InvalidInput
from privacy.consent.attachment_model import MAX_BYTES, clean_name, media_type_of


def test_a_file_is_what_its_content_says() -> None:
    assert media_type_of(b"\xff\xd8\xff\xe0") == "image/jpeg"
    assert media_type_of(b"\x89PNG\r\n\x1a\nx") == "image/png"
    assert media_type_of("Dijo que sí.\n".encode()) == "text/plain"
    for content in (b"", b"\x00\x01", b"<b>\x1b", b"x" * (MAX_BYTES + 1)):
        with pytest.raises(InvalidInput):
            media_type_of(content)
    assert clean_name("C:\\a\\b.exe", "text/plain") == "b.txt"
    assert clean_name('"\r\n', "image/png") == "evidence.png"
