"""How letters and texts leave: by SMTP and the gateway, or into the demo's mailbox."""

from __future__ import annotations

from flask import Flask

from privacy.kernel import Kernel
from privacy.mail import KIND as MAIL
from privacy.mail import folder_transport, letter_sender, smtp_transport
from privacy.sms import KIND as SMS
from privacy.sms import http_gateway, mailbox_gateway, text_sender


def deliver_post(app: Flask, kernel: Kernel) -> None:
    """Let the outbox send letters and texts; `app` renders them."""
    settings, clock = kernel.settings, kernel.runtime.clock
    transport = (
        folder_transport(settings.instance / "mailbox", clock, kernel.runtime.ids)
        if settings.demo
        else smtp_transport(settings.mail)
    )
    gateway = http_gateway(settings.sms)
    if settings.demo and not settings.sms.url:
        gateway = mailbox_gateway(settings.mail.sender, transport, clock)
    kernel.outbox.deliver_with(MAIL, letter_sender(app, settings.mail.sender, transport, clock))
    kernel.outbox.deliver_with(SMS, text_sender(app, gateway))
