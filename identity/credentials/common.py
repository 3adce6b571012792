"""Passwords that are long enough and that everybody tries first, case-folded."""

from __future__ import annotations

from typing import Final

_PHRASES: Final = (
    "correct horse battery staple",
    "let me in let me in",
    "open sesame open sesame",
    "this is my password",
    "this is a password",
    "my secret password",
    "i love you so much",
    "i love you forever",
    "i forgot my password",
    "the quick brown fox",
    "to be or not to be",
    "may the force be with you",
    "hello world hello world",
    "change me change me",
    "admin admin admin",
    "administrator admin",
    "password password",
    "welcome to the jungle",
    "never gonna give you up",
    "esta es mi contraseña",
    "mi contraseña secreta",
    "contraseña segura",
    "contraseña contraseña",
    "no me acuerdo de la contraseña",
    "te quiero mucho mucho",
    "te quiero para siempre",
    "te amo con todo mi corazón",
    "en un lugar de la mancha",
    "de cuyo nombre no quiero acordarme",
    "viva la vida loca",
    "abrete sesamo abrete sesamo",
    "hola mundo hola mundo",
    "real madrid club de futbol",
    "futbol club barcelona",
    "visca el barça y visca catalunya",
)

_KEYBOARD: Final = (
    "qwertyuiopasdfgh",
    "qwertyuiopasdfghjkl",
    "qwertyuiopasdfghjklñ",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertyqwertyqwerty",
    "1qaz2wsx3edc4rfv",
    "1qaz2wsx3edc4rfv5tgb",
    "1q2w3e4r5t6y7u8i",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "zaq12wsxcde34rfv",
    "asdfghjklasdfghjkl",
    "zxcvbnmasdfghjkl",
    "123456789012345",
    "1234567890123456",
    "12345678901234567890",
    "123456789123456789",
    "123456781234567812345678",
    "1234512345123451234512345",
    "098765432109876",
    "abcdefghijklmno1",
    "abc123abc123abc123",
    "abcd1234abcd1234",
    "qwerty1234567890",
    "password1234567",
    "password12345678",
    "password123456789",
    "password1234567890",
    "password123password123",
    "passw0rdpassw0rd",
    "p@ssw0rdp@ssw0rd",
    "contraseña12345",
    "contraseña123456",
    "contrasena123456",
    "contrasenacontrasena",
    "administrador123",
    "administrator123",
    "letmeinletmein123",
    "iloveyouiloveyou",
    "iloveyou123456789",
    "tequierotequiero",
    "teamoteamoteamo",
    "welcome123456789",
    "bienvenido123456",
    "changemechangeme",
)

COMMON: Final = frozenset(
    phrase.replace(" ", space) for phrase in _PHRASES for space in ("", " ", "-", "_", ".")
) | frozenset(_KEYBOARD)
"""A first, short list; the long lists of leaked passwords come as data files.

Source: OWASP ASVS 5.0 6.2.4; NIST SP 800-63B-4 s. 3.1.1.2.
"""
