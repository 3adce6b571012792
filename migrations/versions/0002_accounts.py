"""Passkeys, devices, risk, profiles, merged people, and the rest of what accounts need.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

from migrations.insert_only import refuse

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A reference that is written with its column needs no copy of the table on SQLite, which
    # could not drop the old one while other rows refer to it.
    op.execute(
        "ALTER TABLE subject ADD COLUMN merged_into VARCHAR(32) "
        "CONSTRAINT fk_subject_merged_into REFERENCES subject (subject_id)"
    )
    op.create_index("ix_subject_merged_into", "subject", ["merged_into"])
    op.create_table(
        "address_proof",
        sa.Column("proof_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=True),
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("code_digest", sa.String(length=64), nullable=False),
        sa.Column("code_attempts", sa.Integer(), nullable=False),
        sa.Column("code_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("proof_id", name=op.f("pk_address_proof")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_address_proof_token_digest")),
    )
    with op.batch_alter_table("address_proof", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_address_proof_account_id"), ["account_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_address_proof_expires_at"), ["expires_at"], unique=False
        )
    op.create_table(
        "factor_recovery",
        sa.Column("recovery_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=True),
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("code_digest", sa.String(length=64), nullable=False),
        sa.Column("code_attempts", sa.Integer(), nullable=False),
        sa.Column("code_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("browser_digest", sa.String(length=64), nullable=True),
        sa.Column("proofs", sa.String(length=64), nullable=False),
        sa.Column("proof_attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("recovery_id", name=op.f("pk_factor_recovery")),
        sa.UniqueConstraint("browser_digest", name=op.f("uq_factor_recovery_browser_digest")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_factor_recovery_token_digest")),
    )
    with op.batch_alter_table("factor_recovery", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_factor_recovery_account_id"), ["account_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_factor_recovery_expires_at"), ["expires_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_factor_recovery_ready_at"), ["ready_at"], unique=False)
    op.create_table(
        "sign_in_try",
        sa.Column("try_id", sa.String(length=32), nullable=False),
        sa.Column("account_digest", sa.String(length=64), nullable=False),
        sa.Column("network_digest", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=32), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("try_id", name=op.f("pk_sign_in_try")),
    )
    with op.batch_alter_table("sign_in_try", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_sign_in_try_account_digest_at"), ["account_digest", "at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_sign_in_try_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_sign_in_try_device_id"), ["device_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_sign_in_try_network_digest_at"), ["network_digest", "at"], unique=False
        )
    op.create_table(
        "attribute_request",
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("collection_point", sa.String(length=64), nullable=False),
        sa.Column("return_to", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_attribute_request_subject_id")
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_attribute_request")),
    )
    with op.batch_alter_table("attribute_request", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_attribute_request_expires_at"), ["expires_at"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_attribute_request_subject_id_client_id"),
            ["subject_id", "client_id"],
            unique=False,
        )
    op.create_table(
        "notice_acknowledgement",
        sa.Column("acknowledgement_id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("notice", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("manner", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("register_revision", sa.String(length=64), nullable=False),
        sa.Column("recorded_by", sa.String(length=200), nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["audit_entry.entry_id"], name=op.f("fk_notice_acknowledgement_entry_id")
        ),
        sa.ForeignKeyConstraint(
            ["notice", "version", "language"],
            ["notice_text.notice", "notice_text.version", "notice_text.language"],
            name=op.f("fk_notice_acknowledgement_notice_version_language"),
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"],
            ["subject.subject_id"],
            name=op.f("fk_notice_acknowledgement_subject_id"),
        ),
        sa.PrimaryKeyConstraint("acknowledgement_id", name=op.f("pk_notice_acknowledgement")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_notice_acknowledgement_entry_id")),
    )
    with op.batch_alter_table("notice_acknowledgement", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_notice_acknowledgement_subject_id_notice"),
            ["subject_id", "notice"],
            unique=False,
        )
    op.create_table(
        "notice_asked",
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_notice_asked_subject_id")
        ),
        sa.PrimaryKeyConstraint("subject_id", "purpose", name=op.f("pk_notice_asked")),
    )
    op.create_table(
        "pseudonym_alias",
        sa.Column("domain_id", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("old", sa.String(length=64), nullable=False),
        sa.Column("new", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["pseudonym_domain.domain_id"], name=op.f("fk_pseudonym_alias_domain_id")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_pseudonym_alias_subject_id")
        ),
        sa.PrimaryKeyConstraint("domain_id", "ordinal", name=op.f("pk_pseudonym_alias")),
    )
    with op.batch_alter_table("pseudonym_alias", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_pseudonym_alias_subject_id"), ["subject_id"], unique=False
        )
    op.create_table(
        "address_undo",
        sa.Column("undo_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("before_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_address_undo_account_id")
        ),
        sa.PrimaryKeyConstraint("undo_id", name=op.f("pk_address_undo")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_address_undo_token_digest")),
    )
    with op.batch_alter_table("address_undo", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_address_undo_account_id"), ["account_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_address_undo_expires_at"), ["expires_at"], unique=False
        )
    op.create_table(
        "attribute_request_field",
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("attribute", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("answer", sa.String(length=8), nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["attribute_request.request_id"],
            name=op.f("fk_attribute_request_field_request_id"),
        ),
        sa.PrimaryKeyConstraint("request_id", "attribute", name=op.f("pk_attribute_request_field")),
    )
    op.create_table(
        "device",
        sa.Column("device_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("network", sa.String(length=64), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trusted_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("signed_in_since", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_device_account_id")
        ),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_device")),
        sa.UniqueConstraint(
            "account_id", "token_digest", name=op.f("uq_device_account_id_token_digest")
        ),
    )
    with op.batch_alter_table("device", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_device_last_seen_at"), ["last_seen_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_device_token_digest"), ["token_digest"], unique=False)
    op.create_table(
        "new_address",
        sa.Column("proof_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value_index", sa.LargeBinary(length=16), nullable=False),
        sa.Column("value_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("code_digest", sa.String(length=64), nullable=False),
        sa.Column("code_attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_new_address_account_id")
        ),
        sa.PrimaryKeyConstraint("proof_id", name=op.f("pk_new_address")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_new_address_token_digest")),
    )
    with op.batch_alter_table("new_address", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_new_address_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_new_address_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_new_address_value_index"), ["value_index"], unique=False
        )
    op.create_table(
        "passkey",
        sa.Column("passkey_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(length=1023), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("aaguid", sa.String(length=36), nullable=False),
        sa.Column("transports", sa.String(length=100), nullable=False),
        sa.Column("backup_eligible", sa.Boolean(), nullable=False),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("flagged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("flagged_count", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_passkey_account_id")
        ),
        sa.PrimaryKeyConstraint("passkey_id", name=op.f("pk_passkey")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkey_credential_id")),
    )
    with op.batch_alter_table("passkey", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_passkey_account_id"), ["account_id"], unique=False)
    op.create_table(
        "risk_assessment",
        sa.Column("assessment_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("address_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("address_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_risk_assessment_account_id")
        ),
        sa.PrimaryKeyConstraint("assessment_id", name=op.f("pk_risk_assessment")),
    )
    with op.batch_alter_table("risk_assessment", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_risk_assessment_account_id_at_assessment_id"),
            ["account_id", "at", "assessment_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_risk_assessment_address_until"), ["address_until"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_risk_assessment_at"), ["at"], unique=False)
    op.create_table(
        "risk_suspicion",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("what", sa.String(length=32), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_risk_suspicion_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", "what", name=op.f("pk_risk_suspicion")),
    )
    op.create_table(
        "webauthn_ceremony",
        sa.Column("ceremony_digest", sa.String(length=64), nullable=False),
        sa.Column("challenge", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=True),
        sa.Column("user_handle", sa.LargeBinary(length=32), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_webauthn_ceremony_account_id")
        ),
        sa.PrimaryKeyConstraint("ceremony_digest", name=op.f("pk_webauthn_ceremony")),
    )
    with op.batch_alter_table("webauthn_ceremony", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_webauthn_ceremony_account_id"), ["account_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_webauthn_ceremony_expires_at"), ["expires_at"], unique=False
        )
    op.create_table(
        "webauthn_user",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("user_handle", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_webauthn_user_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_webauthn_user")),
        sa.UniqueConstraint("user_handle", name=op.f("uq_webauthn_user_user_handle")),
    )
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.add_column(sa.Column("closing_until", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("undo_digest", sa.String(length=64), nullable=True))
        batch_op.create_index(
            batch_op.f("ix_account_closing_until"), ["closing_until"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_account_undo_digest"), ["undo_digest"], unique=True)
    with op.batch_alter_table("consent_event", schema=None) as batch_op:
        batch_op.add_column(sa.Column("carries", sa.String(length=32), nullable=True))
    with op.batch_alter_table("credential_password", schema=None) as batch_op:
        batch_op.add_column(sa.Column("long_enough_alone", sa.Boolean(), nullable=True))
        batch_op.add_column(sa.Column("set_by_mail", sa.Boolean(), nullable=True))
        batch_op.add_column(
            sa.Column("change_demanded_at", sa.DateTime(timezone=True), nullable=True)
        )
    with op.batch_alter_table("invitation", schema=None) as batch_op:
        batch_op.add_column(sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("pending_registration", schema=None) as batch_op:
        batch_op.add_column(sa.Column("passkey_sealed", sa.LargeBinary(), nullable=True))
        batch_op.add_column(sa.Column("terms_version", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("privacy_version", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("notices_language", sa.String(length=16), nullable=True))
        batch_op.alter_column("password_hash", existing_type=sa.String(length=200), nullable=True)
    with op.batch_alter_table("pseudonym_domain", schema=None) as batch_op:
        batch_op.add_column(sa.Column("aliases", sa.Integer(), server_default="0", nullable=False))
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.add_column(sa.Column("device_id", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("limited_to", sa.String(length=64), nullable=True))
        batch_op.add_column(
            sa.Column("step_up_tries", sa.Integer(), server_default="0", nullable=False)
        )
        batch_op.create_index(batch_op.f("ix_session_device_id"), ["device_id"], unique=False)
    with op.batch_alter_table("sign_in_second_step", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("step", sa.String(length=16), server_default="second-factor", nullable=False)
        )
        batch_op.add_column(
            sa.Column("methods", sa.String(length=64), server_default="pwd", nullable=False)
        )
        batch_op.add_column(
            sa.Column("may_trust", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(sa.Column("assessment_id", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("code_digest", sa.String(length=64), nullable=True))
    with op.batch_alter_table("subject", schema=None) as batch_op:
        batch_op.add_column(sa.Column("leaving_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("merged_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("minor_until", sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table("subject_identifier", schema=None) as batch_op:
        batch_op.add_column(sa.Column("preferred_at", sa.DateTime(timezone=True), nullable=True))
    refuse("notice_acknowledgement", "UPDATE")  # rows go when the evidence's own term ends


def downgrade() -> None:
    with op.batch_alter_table("subject_identifier", schema=None) as batch_op:
        batch_op.drop_column("preferred_at")
    with op.batch_alter_table("subject", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_subject_merged_into"))
        batch_op.drop_column("minor_until")
        batch_op.drop_column("merged_at")
        batch_op.drop_column("merged_into")
        batch_op.drop_column("leaving_at")
    with op.batch_alter_table("sign_in_second_step", schema=None) as batch_op:
        batch_op.drop_column("code_digest")
        batch_op.drop_column("assessment_id")
        batch_op.drop_column("may_trust")
        batch_op.drop_column("methods")
        batch_op.drop_column("step")
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_session_device_id"))
        batch_op.drop_column("step_up_tries")
        batch_op.drop_column("limited_to")
        batch_op.drop_column("device_id")
    with op.batch_alter_table("pseudonym_domain", schema=None) as batch_op:
        batch_op.drop_column("aliases")
    with op.batch_alter_table("pending_registration", schema=None) as batch_op:
        batch_op.alter_column("password_hash", existing_type=sa.String(length=200), nullable=False)
        batch_op.drop_column("notices_language")
        batch_op.drop_column("privacy_version")
        batch_op.drop_column("terms_version")
        batch_op.drop_column("passkey_sealed")
    with op.batch_alter_table("invitation", schema=None) as batch_op:
        batch_op.drop_column("revoked_at")
    with op.batch_alter_table("credential_password", schema=None) as batch_op:
        batch_op.drop_column("change_demanded_at")
        batch_op.drop_column("set_by_mail")
        batch_op.drop_column("long_enough_alone")
    op.drop_column("consent_event", "carries")  # not by a copy, which would lose the trigger
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_account_undo_digest"))
        batch_op.drop_index(batch_op.f("ix_account_closing_until"))
        batch_op.drop_column("undo_digest")
        batch_op.drop_column("closing_until")
    op.drop_table("webauthn_user")
    op.drop_table("webauthn_ceremony")
    op.drop_table("risk_suspicion")
    op.drop_table("risk_assessment")
    op.drop_table("passkey")
    op.drop_table("new_address")
    op.drop_table("device")
    op.drop_table("attribute_request_field")
    op.drop_table("address_undo")
    op.drop_table("pseudonym_alias")
    op.drop_table("notice_asked")
    op.drop_table("notice_acknowledgement")
    op.drop_table("attribute_request")
    op.drop_table("sign_in_try")
    op.drop_table("factor_recovery")
    op.drop_table("address_proof")
