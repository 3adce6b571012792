import hmac

import pytest

from privacy.keys.keyed_hash import KeyedHash


@pytest.mark.parametrize("key", [b"", b"k", b"\x0b" * 20, bytes(range(64))])
@pytest.mark.parametrize("rest", [b"", b"what do ya want", b"x" * 200])
def test_it_is_hmac_sha256_of_the_whole_message(key: bytes, rest: bytes) -> None:
    """Twice: a code leaves nothing behind in the next."""
    keyed = KeyedHash(key, b"begins alike|")
    for _ in range(2):
        assert keyed.hex(rest) == hmac.digest(key, b"begins alike|" + rest, "sha256").hex()


def test_a_key_that_would_have_to_be_hashed_is_refused() -> None:
    with pytest.raises(ValueError, match="block"):
        KeyedHash(bytes(65), b"")
