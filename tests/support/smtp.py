"""A real SMTP server on a loopback port, which keeps what it receives."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.processes import free_port


@dataclass(frozen=True, slots=True)
class _Delivery:
    recipients: tuple[str, ...]
    message: EmailMessage


class MailServer:
    """An SMTP server without TLS or sign-in."""

    host = "127.0.0.1"

    def __init__(self, port: int) -> None:
        self.port = port
        self._deliveries: list[_Delivery] = []
        self._refusals: list[int] = []
        self._changed = threading.Condition()

    @property
    def messages(self) -> list[EmailMessage]:
        """The messages accepted so far, in order of arrival."""
        with self._changed:
            return [delivery.message for delivery in self._deliveries]

    def messages_to(self, address: str) -> list[EmailMessage]:
        """Return the accepted messages whose envelope names this recipient, in order."""
        with self._changed:
            return [item.message for item in self._deliveries if address in item.recipients]

    def wait_for(self, *, to: str, count: int = 1, timeout: float = 10.0) -> EmailMessage:
        """Return the `count`-th message to an address, as soon as it has arrived.

        Raises:
            AssertionError: it did not arrive within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.messages_to(to)) >= count, timeout):
                seen = [", ".join(item.recipients) for item in self._deliveries]
                raise AssertionError(
                    f"message {count} to {to} did not arrive within {timeout:g} s; there are: {seen}"
                )
            return self.messages_to(to)[count - 1]

    def fail_next(self, count: int, code: int = 451) -> None:
        """Refuse the next `count` messages: 4xx means try again, 5xx means never."""
        with self._changed:
            self._refusals += [code] * count

    def clear(self) -> None:
        """Forget every message and every refusal ahead."""
        with self._changed:
            self._deliveries.clear()
            self._refusals.clear()

    async def handle_DATA(  # noqa: N802 (aiosmtpd's name)
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Take or refuse one message; aiosmtpd calls it from the server's thread."""
        assert isinstance(envelope.content, bytes), "aiosmtpd decodes only where it is told to"
        with self._changed:
            if self._refusals:
                code = self._refusals.pop(0)
                return f"{code} {str(code)[0]}.3.0 Refused as the test asked"
            message = message_from_bytes(envelope.content, policy=policy.default)
            self._deliveries.append(_Delivery(tuple(envelope.rcpt_tos), message))
            self._changed.notify_all()
        return "250 2.0.0 Accepted"


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Start an SMTP server in a thread and stop it on leaving."""
    server = MailServer(free_port())
    controller = Controller(server, hostname=server.host, port=server.port)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
