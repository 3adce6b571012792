"""The tables of the first release.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

from migrations.insert_only import refuse

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

#: SQLite numbers rows by itself only in a column of this very type.
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "attempt",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("key_digest", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_failure_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "key_digest", name=op.f("pk_attempt")),
    )
    op.create_index(
        op.f("ix_attempt_last_failure_at"), "attempt", ["last_failure_at"], unique=False
    )
    op.create_table(
        "audit_checkpoint",
        sa.Column("tree_size", BIG, autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tree_size", name=op.f("pk_audit_checkpoint")),
    )
    op.create_table(
        "audit_entry",
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("intake_tag", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_audit_entry")),
    )
    op.create_table(
        "audit_tile",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tile_index", BIG, autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "tile_index", name=op.f("pk_audit_tile")),
    )
    op.create_table(
        "data_key",
        sa.Column("holder", sa.String(length=32), nullable=False),
        sa.Column("retention", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("holder", "retention", name=op.f("pk_data_key")),
    )
    op.create_index(op.f("ix_data_key_epoch"), "data_key", ["epoch"], unique=False)
    op.create_table(
        "decision_use",
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("domain", sa.String(length=200), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "subject_id", "domain", "purpose", "day", "outcome", name=op.f("pk_decision_use")
        ),
    )
    op.create_index(op.f("ix_decision_use_day"), "decision_use", ["day"], unique=False)
    op.create_table(
        "heartbeat",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeat")),
    )
    op.create_table(
        "invitation",
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("invitation_id", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("token_digest", name=op.f("pk_invitation")),
        sa.UniqueConstraint("invitation_id", name=op.f("uq_invitation_invitation_id")),
    )
    op.create_table(
        "notice_text",
        sa.Column("notice", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("material", sa.Boolean(), nullable=False),
        sa.Column("published_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("notice", "version", "language", name=op.f("pk_notice_text")),
    )
    op.create_table(
        "oauth_client",
        sa.Column("client_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("redirect_uris", sa.Text(), nullable=False),
        sa.Column("post_logout_redirect_uris", sa.Text(), nullable=False),
        sa.Column("grant_types", sa.String(length=200), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("purposes", sa.Text(), nullable=False),
        sa.Column("sector", sa.String(length=200), nullable=False),
        sa.Column("require_pkce", sa.Boolean(), nullable=False),
        sa.Column("auth_methods", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_oauth_client")),
    )
    op.create_table(
        "outbox",
        sa.Column("row_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_error", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("row_id", name=op.f("pk_outbox")),
    )
    op.create_index("ix_outbox_due", "outbox", ["state", "next_attempt_at"], unique=False)
    op.create_table(
        "password_recovery",
        sa.Column("recovery_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=True),
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("code_digest", sa.String(length=64), nullable=False),
        sa.Column("code_attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("recovery_id", name=op.f("pk_password_recovery")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_password_recovery_token_digest")),
    )
    op.create_index(
        op.f("ix_password_recovery_account_id"), "password_recovery", ["account_id"], unique=False
    )
    op.create_index(
        op.f("ix_password_recovery_expires_at"), "password_recovery", ["expires_at"], unique=False
    )
    op.create_table(
        "pending_registration",
        sa.Column("registration_id", sa.String(length=32), nullable=False),
        sa.Column("email_index", sa.LargeBinary(length=16), nullable=False),
        sa.Column("email_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("code_digest", sa.String(length=64), nullable=False),
        sa.Column("code_attempts", sa.Integer(), nullable=False),
        sa.Column("password_attempts", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("invitation_digest", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("registration_id", name=op.f("pk_pending_registration")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_pending_registration_token_digest")),
    )
    op.create_index(
        op.f("ix_pending_registration_email_index"),
        "pending_registration",
        ["email_index"],
        unique=False,
    )
    op.create_index(
        op.f("ix_pending_registration_expires_at"),
        "pending_registration",
        ["expires_at"],
        unique=False,
    )
    op.create_table(
        "pseudonym_domain",
        sa.Column("domain_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("domain_id", name=op.f("pk_pseudonym_domain")),
        sa.UniqueConstraint("name", name=op.f("uq_pseudonym_domain_name")),
    )
    op.create_table(
        "register_revision",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_register_revision")),
    )
    op.create_table(
        "rights_attempt",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", "window_start", name=op.f("pk_rights_attempt")),
    )
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.String(length=32), nullable=False),
        sa.Column("use", sa.String(length=16), nullable=False),
        sa.Column("algorithm", sa.String(length=16), nullable=False),
        sa.Column("public_jwk", sa.Text(), nullable=False),
        sa.Column("private_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_key")),
    )
    op.create_index(op.f("ix_signing_key_use"), "signing_key", ["use"], unique=False)
    op.create_table(
        "subject",
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("sid_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("restricted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_subject")),
    )
    op.create_table(
        "account",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_account_subject_id")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account")),
        sa.UniqueConstraint("subject_id", name=op.f("uq_account_subject_id")),
    )
    op.create_table(
        "audit_leaf",
        sa.Column("leaf_index", BIG, autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["audit_entry.entry_id"], name=op.f("fk_audit_leaf_entry_id")
        ),
        sa.PrimaryKeyConstraint("leaf_index", name=op.f("pk_audit_leaf")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_audit_leaf_entry_id")),
    )
    op.create_table(
        "audit_opening",
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.Column("erasure_entry_id", sa.String(length=32), nullable=False),
        sa.Column("opening", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["audit_entry.entry_id"], name=op.f("fk_audit_opening_entry_id")
        ),
        sa.ForeignKeyConstraint(
            ["erasure_entry_id"],
            ["audit_entry.entry_id"],
            name=op.f("fk_audit_opening_erasure_entry_id"),
        ),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_audit_opening")),
    )
    op.create_table(
        "audit_payload",
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.Column("holder", sa.String(length=32), nullable=False),
        sa.Column("retention", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["audit_entry.entry_id"], name=op.f("fk_audit_payload_entry_id")
        ),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_audit_payload")),
    )
    op.create_index(
        op.f("ix_audit_payload_holder_retention"),
        "audit_payload",
        ["holder", "retention"],
        unique=False,
    )
    op.create_table(
        "audit_pending",
        sa.Column("ordinal", BIG, autoincrement=True, nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["audit_entry.entry_id"], name=op.f("fk_audit_pending_entry_id")
        ),
        sa.PrimaryKeyConstraint("ordinal", name=op.f("pk_audit_pending")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_audit_pending_entry_id")),
    )
    op.create_table(
        "consent_event",
        sa.Column("ordinal", BIG, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("notice", sa.String(length=64), nullable=False),
        sa.Column("notice_version", sa.Integer(), nullable=False),
        sa.Column("notice_digest", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("register_revision", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("explicit", sa.Boolean(), nullable=False),
        sa.Column("recorded_by", sa.String(length=200), nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["audit_entry.entry_id"], name=op.f("fk_consent_event_entry_id")
        ),
        sa.ForeignKeyConstraint(
            ["notice", "notice_version", "language"],
            ["notice_text.notice", "notice_text.version", "notice_text.language"],
            name=op.f("fk_consent_event_notice_notice_version_language"),
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_consent_event_subject_id")
        ),
        sa.PrimaryKeyConstraint("ordinal", name=op.f("pk_consent_event")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_consent_event_entry_id")),
        sa.UniqueConstraint("event_id", name=op.f("uq_consent_event_event_id")),
    )
    op.create_index(op.f("ix_consent_event_at"), "consent_event", ["at"], unique=False)
    op.create_index(
        op.f("ix_consent_event_subject_id_purpose"),
        "consent_event",
        ["subject_id", "purpose"],
        unique=False,
    )
    op.create_table(
        "consent_state",
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("event_id", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("notice_version", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("explicit", sa.Boolean(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_consent_state_subject_id")
        ),
        sa.PrimaryKeyConstraint("subject_id", "purpose", name=op.f("pk_consent_state")),
    )
    op.create_table(
        "oauth_client_secret",
        sa.Column("secret_digest", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_client.client_id"], name=op.f("fk_oauth_client_secret_client_id")
        ),
        sa.PrimaryKeyConstraint("secret_digest", name=op.f("pk_oauth_client_secret")),
    )
    op.create_index(
        op.f("ix_oauth_client_secret_client_id"), "oauth_client_secret", ["client_id"], unique=False
    )
    op.create_table(
        "oauth_code",
        sa.Column("code_digest", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=True),
        sa.Column("code_challenge", sa.String(length=43), nullable=True),
        sa.Column("auth_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("methods", sa.String(length=200), nullable=False),
        sa.Column("session_id", sa.String(length=64), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_client.client_id"], name=op.f("fk_oauth_code_client_id")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_oauth_code_subject_id")
        ),
        sa.PrimaryKeyConstraint("code_digest", name=op.f("pk_oauth_code")),
    )
    op.create_index(op.f("ix_oauth_code_client_id"), "oauth_code", ["client_id"], unique=False)
    op.create_index(op.f("ix_oauth_code_subject_id"), "oauth_code", ["subject_id"], unique=False)
    op.create_table(
        "objection",
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["audit_entry.entry_id"], name=op.f("fk_objection_entry_id")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_objection_subject_id")
        ),
        sa.PrimaryKeyConstraint("subject_id", "purpose", name=op.f("pk_objection")),
    )
    op.create_table(
        "pseudonym",
        sa.Column("domain_id", sa.Integer(), nullable=False),
        sa.Column("value", sa.String(length=64), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["pseudonym_domain.domain_id"], name=op.f("fk_pseudonym_domain_id")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_pseudonym_subject_id")
        ),
        sa.PrimaryKeyConstraint("domain_id", "value", name=op.f("pk_pseudonym")),
        sa.UniqueConstraint(
            "domain_id", "subject_id", name=op.f("uq_pseudonym_domain_id_subject_id")
        ),
    )
    op.create_index(op.f("ix_pseudonym_subject_id"), "pseudonym", ["subject_id"], unique=False)
    op.create_table(
        "rights_request",
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("reference", sa.String(length=16), nullable=False),
        sa.Column("right", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=True),
        sa.Column("filed_by", sa.String(length=200), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_nominal", sa.Date(), nullable=False),
        sa.Column("due_effective", sa.Date(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("contact_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("message_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("detail_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("outcome_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("token_digest", sa.String(length=64), nullable=True),
        sa.Column("code_digest", sa.String(length=64), nullable=True),
        sa.Column("proof_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("grant_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_rights_request_subject_id")
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_rights_request")),
        sa.UniqueConstraint("reference", name=op.f("uq_rights_request_reference")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_rights_request_token_digest")),
    )
    op.create_index(
        op.f("ix_rights_request_state_due_at"), "rights_request", ["state", "due_at"], unique=False
    )
    op.create_index(
        op.f("ix_rights_request_subject_id"), "rights_request", ["subject_id"], unique=False
    )
    op.create_table(
        "subject_attribute",
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_subject_attribute_subject_id")
        ),
        sa.PrimaryKeyConstraint("subject_id", "name", name=op.f("pk_subject_attribute")),
    )
    op.create_table(
        "subject_identifier",
        sa.Column("identifier_id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("index_version", sa.Integer(), nullable=False),
        sa.Column("blind_index", sa.LargeBinary(length=16), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_subject_identifier_subject_id")
        ),
        sa.PrimaryKeyConstraint("identifier_id", name=op.f("pk_subject_identifier")),
        sa.UniqueConstraint(
            "kind",
            "index_version",
            "blind_index",
            name=op.f("uq_subject_identifier_kind_index_version_blind_index"),
        ),
    )
    op.create_index(
        op.f("ix_subject_identifier_subject_id"), "subject_identifier", ["subject_id"], unique=False
    )
    op.create_table(
        "credential_password",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("hash", sa.String(length=200), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_credential_password_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_credential_password")),
    )
    op.create_table(
        "oauth_token",
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=True),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("code_digest", sa.String(length=64), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_client.client_id"], name=op.f("fk_oauth_token_client_id")
        ),
        sa.ForeignKeyConstraint(
            ["code_digest"], ["oauth_code.code_digest"], name=op.f("fk_oauth_token_code_digest")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_oauth_token_subject_id")
        ),
        sa.PrimaryKeyConstraint("token_digest", name=op.f("pk_oauth_token")),
    )
    op.create_index(op.f("ix_oauth_token_client_id"), "oauth_token", ["client_id"], unique=False)
    op.create_index(
        op.f("ix_oauth_token_code_digest"), "oauth_token", ["code_digest"], unique=False
    )
    op.create_index(op.f("ix_oauth_token_subject_id"), "oauth_token", ["subject_id"], unique=False)
    op.create_table(
        "session",
        sa.Column("session_digest", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("methods", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("authenticated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("user_agent", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_session_account_id")
        ),
        sa.PrimaryKeyConstraint("session_digest", name=op.f("pk_session")),
    )
    op.create_index(op.f("ix_session_account_id"), "session", ["account_id"], unique=False)
    op.create_index(op.f("ix_session_last_seen_at"), "session", ["last_seen_at"], unique=False)
    op.create_table(
        "sign_in_second_step",
        sa.Column("step_digest", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_sign_in_second_step_account_id")
        ),
        sa.PrimaryKeyConstraint("step_digest", name=op.f("pk_sign_in_second_step")),
    )
    op.create_index(
        op.f("ix_sign_in_second_step_account_id"),
        "sign_in_second_step",
        ["account_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_sign_in_second_step_expires_at"),
        "sign_in_second_step",
        ["expires_at"],
        unique=False,
    )
    op.create_table(
        "totp",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_totp_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_totp")),
    )
    op.create_table(
        "totp_enrolment",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_totp_enrolment_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_totp_enrolment")),
    )
    op.create_index(
        op.f("ix_totp_enrolment_expires_at"), "totp_enrolment", ["expires_at"], unique=False
    )
    op.create_table(
        "totp_recovery_code",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("code_digest", sa.String(length=64), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_totp_recovery_code_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", "code_digest", name=op.f("pk_totp_recovery_code")),
    )
    for table in ("audit_entry", "audit_leaf", "audit_checkpoint"):
        refuse(table, "UPDATE", "DELETE")
    refuse("notice_text", "UPDATE", "DELETE")
    refuse("consent_event", "UPDATE")  # rows go when the evidence's own term ends


def downgrade() -> None:
    op.drop_table("totp_recovery_code")
    op.drop_index(op.f("ix_totp_enrolment_expires_at"), table_name="totp_enrolment")
    op.drop_table("totp_enrolment")
    op.drop_table("totp")
    op.drop_index(op.f("ix_sign_in_second_step_expires_at"), table_name="sign_in_second_step")
    op.drop_index(op.f("ix_sign_in_second_step_account_id"), table_name="sign_in_second_step")
    op.drop_table("sign_in_second_step")
    op.drop_index(op.f("ix_session_last_seen_at"), table_name="session")
    op.drop_index(op.f("ix_session_account_id"), table_name="session")
    op.drop_table("session")
    op.drop_index(op.f("ix_oauth_token_subject_id"), table_name="oauth_token")
    op.drop_index(op.f("ix_oauth_token_code_digest"), table_name="oauth_token")
    op.drop_index(op.f("ix_oauth_token_client_id"), table_name="oauth_token")
    op.drop_table("oauth_token")
    op.drop_table("credential_password")
    op.drop_index(op.f("ix_subject_identifier_subject_id"), table_name="subject_identifier")
    op.drop_table("subject_identifier")
    op.drop_table("subject_attribute")
    op.drop_index(op.f("ix_rights_request_subject_id"), table_name="rights_request")
    op.drop_index(op.f("ix_rights_request_state_due_at"), table_name="rights_request")
    op.drop_table("rights_request")
    op.drop_index(op.f("ix_pseudonym_subject_id"), table_name="pseudonym")
    op.drop_table("pseudonym")
    op.drop_table("objection")
    op.drop_index(op.f("ix_oauth_code_subject_id"), table_name="oauth_code")
    op.drop_index(op.f("ix_oauth_code_client_id"), table_name="oauth_code")
    op.drop_table("oauth_code")
    op.drop_index(op.f("ix_oauth_client_secret_client_id"), table_name="oauth_client_secret")
    op.drop_table("oauth_client_secret")
    op.drop_table("consent_state")
    op.drop_index(op.f("ix_consent_event_subject_id_purpose"), table_name="consent_event")
    op.drop_index(op.f("ix_consent_event_at"), table_name="consent_event")
    op.drop_table("consent_event")
    op.drop_table("audit_pending")
    op.drop_index(op.f("ix_audit_payload_holder_retention"), table_name="audit_payload")
    op.drop_table("audit_payload")
    op.drop_table("audit_opening")
    op.drop_table("audit_leaf")
    op.drop_table("account")
    op.drop_table("subject")
    op.drop_index(op.f("ix_signing_key_use"), table_name="signing_key")
    op.drop_table("signing_key")
    op.drop_table("rights_attempt")
    op.drop_table("register_revision")
    op.drop_table("pseudonym_domain")
    op.drop_index(op.f("ix_pending_registration_expires_at"), table_name="pending_registration")
    op.drop_index(op.f("ix_pending_registration_email_index"), table_name="pending_registration")
    op.drop_table("pending_registration")
    op.drop_index(op.f("ix_password_recovery_expires_at"), table_name="password_recovery")
    op.drop_index(op.f("ix_password_recovery_account_id"), table_name="password_recovery")
    op.drop_table("password_recovery")
    op.drop_index("ix_outbox_due", table_name="outbox")
    op.drop_table("outbox")
    op.drop_table("oauth_client")
    op.drop_table("notice_text")
    op.drop_table("invitation")
    op.drop_table("heartbeat")
    op.drop_index(op.f("ix_decision_use_day"), table_name="decision_use")
    op.drop_table("decision_use")
    op.drop_index(op.f("ix_data_key_epoch"), table_name="data_key")
    op.drop_table("data_key")
    op.drop_table("audit_tile")
    op.drop_table("audit_entry")
    op.drop_table("audit_checkpoint")
    op.drop_index(op.f("ix_attempt_last_failure_at"), table_name="attempt")
    op.drop_table("attempt")
