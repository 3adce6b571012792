"""What we ask of authenticators and check of their answers; pure but for the library it wraps.

The relying party's id is our host name, its origin our base address: an answer made for another
site is refused. A passkey is discoverable and verifies the person (PIN or body) every time.
Source: W3C WebAuthn L3 s. 7.1, 7.2, 13.4.9.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    parse_authentication_credential_json,
    parse_authenticator_data,
    parse_registration_credential_json,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from identity.mfa.model import CEREMONY_LIFETIME, PasskeyRefused

MAX_RESPONSE: Final = 32 * 1024
"""Characters of a response that are read: without certificates it has well under two thousand."""

MAX_CREDENTIAL_ID: Final = 1023
"""Bytes. Source: WebAuthn L3 s. 7.1 (credentialId)."""

MAX_PUBLIC_KEY: Final = 1100
LEAST_RSA_BITS: Final = 2048
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}  # a browser's origin leaves them out
ALGORITHMS: Final = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]


@dataclass(frozen=True, slots=True)
class NewCredential:
    """What a verified registration says of a passkey.

    Attributes:
        credential_id: chosen by the authenticator, at most 1023 bytes.
        public_key: COSE.
        sign_count: how often it has signed, as it says; 0 where it does not count.
        aaguid: the authenticator's model, as it says; shown to nobody.
        transports: how the browser reaches it, to be offered again.
        backup_eligible: whether it may be synced; never changes.
        backed_up: whether it is synced at present.
    """

    credential_id: bytes
    public_key: bytes
    sign_count: int
    aaguid: str
    transports: tuple[str, ...]
    backup_eligible: bool
    backed_up: bool


@dataclass(frozen=True, slots=True)
class ShownCredential:
    """What a verified assertion says of a passkey."""

    sign_count: int
    backup_eligible: bool
    backed_up: bool


class RelyingParty:
    """This deployment, as authenticators know it.

    Args:
        base_url: scheme, host and port.
        name: what authenticators show beside the account.
    """

    def __init__(self, base_url: str, name: str) -> None:
        parts = urlsplit(base_url)
        self.rp_id = parts.hostname or ""
        port = "" if parts.port == _DEFAULT_PORTS.get(parts.scheme) else f":{parts.port}"
        self._origin = f"{parts.scheme}://{self.rp_id}{port if parts.port else ''}"
        self._name = name

    def creation_options(
        self,
        *,
        challenge: bytes,
        handle: bytes,
        label: str,
        known: Sequence[tuple[bytes, tuple[str, ...]]],
    ) -> str:
        """Return the options of a registration, JSON.

        Args:
            challenge: 32 random bytes.
            handle: the random name of the account.
            label: what the authenticator shows of the account.
            known: credential id and transports of the passkeys that the account has.
        """
        options = generate_registration_options(
            rp_id=self.rp_id,
            rp_name=self._name,
            user_id=handle,
            user_name=label,
            challenge=challenge,
            timeout=int(CEREMONY_LIFETIME.total_seconds() * 1000),
            attestation=AttestationConveyancePreference.NONE,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=_descriptors(known),
            supported_pub_key_algs=ALGORITHMS,
        )
        return options_to_json(options)

    def request_options(
        self, *, challenge: bytes, allowed: Sequence[tuple[bytes, tuple[str, ...]]]
    ) -> str:
        """Return the options of an assertion, JSON; nothing in `allowed` asks for any passkey."""
        options = generate_authentication_options(
            rp_id=self.rp_id,
            challenge=challenge,
            timeout=int(CEREMONY_LIFETIME.total_seconds() * 1000),
            allow_credentials=_descriptors(allowed),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json(options)

    def verify_creation(self, response: str, *, challenge: bytes) -> NewCredential:
        """Return the passkey that a registration's response brings.

        Raises:
            PasskeyRefused: it is no response, or not one to this challenge, from this site, of a
                present and verified person, with a key that we can use.

        Source: WebAuthn L3 s. 7.1.
        """
        _demand_readable(response)
        try:
            credential = parse_registration_credential_json(response)
            _demand_own_page(credential.response.client_data_json)
            verified = verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self.rp_id,
                expected_origin=self._origin,
                require_user_verification=True,
                supported_pub_key_algs=ALGORITHMS,
            )
            _demand_usable_key(verified.credential_public_key)
        except PasskeyRefused:
            raise
        # The library and its parsers raise KeyError, TypeError, ValueError and errors of their own
        # for bytes that are no response; nothing here touches anything but those bytes.
        except Exception as error:
            raise PasskeyRefused(f"the response was refused: {error}") from error
        transports = credential.response.transports or []
        if not hmac.compare_digest(verified.credential_id, credential.raw_id):
            raise PasskeyRefused("the response names another credential than it holds")
        if len(verified.credential_id) > MAX_CREDENTIAL_ID:
            raise PasskeyRefused("the credential's id is too long")
        return NewCredential(
            credential_id=verified.credential_id,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            aaguid=verified.aaguid,
            transports=tuple(dict.fromkeys(each.value for each in transports)),
            backup_eligible=verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
            backed_up=verified.credential_backed_up,
        )

    @staticmethod
    def credential_of(response: str) -> tuple[bytes, bytes | None]:
        """Return the credential id and the account's handle that an assertion names, unverified.

        Raises:
            PasskeyRefused: it is no response.
        """
        _demand_readable(response)
        try:
            credential = parse_authentication_credential_json(response)
        except Exception as error:  # as in `verify_creation`
            raise PasskeyRefused(f"the response could not be read: {error}") from error
        return credential.raw_id, credential.response.user_handle

    def verify_assertion(
        self, response: str, *, challenge: bytes, public_key: bytes
    ) -> ShownCredential:
        """Return what an assertion of the passkey with this key says.

        The signature counter is returned, not judged: only what is signed may raise an alarm.

        Raises:
            PasskeyRefused: as for `verify_creation`.

        Source: WebAuthn L3 s. 7.2.
        """
        _demand_readable(response)
        try:
            credential = parse_authentication_credential_json(response)
            _demand_own_page(credential.response.client_data_json)
            verified = verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self.rp_id,
                expected_origin=self._origin,
                credential_public_key=public_key,
                credential_current_sign_count=0,
                require_user_verification=True,
            )
            flags = parse_authenticator_data(credential.response.authenticator_data).flags
        except PasskeyRefused:
            raise
        except Exception as error:  # as in `verify_creation`
            raise PasskeyRefused(f"the response was refused: {error}") from error
        return ShownCredential(
            sign_count=verified.new_sign_count,
            backup_eligible=flags.be,
            backed_up=flags.bs,
        )


def _descriptors(
    credentials: Sequence[tuple[bytes, tuple[str, ...]]],
) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=credential_id, transports=[AuthenticatorTransport(each) for each in transports]
        )
        for credential_id, transports in credentials
    ]


def _demand_readable(response: str) -> None:
    if len(response) > MAX_RESPONSE:
        raise PasskeyRefused("the response is too long")


def _demand_own_page(client_data: bytes) -> None:
    """Refuse what was made in a frame: no page of ours stands in one.

    Source: WebAuthn L3 s. 7.1 and 7.2 (crossOrigin, topOrigin).
    """
    data = json.loads(client_data)
    if data.get("crossOrigin", False) is not False or "topOrigin" in data:
        raise PasskeyRefused("the response was made in a frame of another page")


def _demand_usable_key(public_key: bytes) -> None:
    """Refuse a key that could never verify, or that is weaker than its algorithm's name says."""
    if len(public_key) > MAX_PUBLIC_KEY:
        raise PasskeyRefused("the public key is too long")
    key = decoded_public_key_to_cryptography(decode_credential_public_key(public_key))
    if isinstance(key, RSAPublicKey) and key.key_size < LEAST_RSA_BITS:
        raise PasskeyRefused("the RSA key is too short")
    if isinstance(key, EllipticCurvePublicKey) and not isinstance(key.curve, SECP256R1):
        raise PasskeyRefused("ES256 means the curve P-256")
