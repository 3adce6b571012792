"""Single sign-on: refresh tokens, grants, pushed requests, sign-out, outside providers.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sso_attempt",
        sa.Column("state_digest", sa.String(length=64), nullable=False),
        sa.Column("browser_digest", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=True),
        sa.Column("next", sa.Text(), nullable=False),
        sa.Column("handle_digest", sa.String(length=64), nullable=True),
        sa.Column("answer_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("state_digest", name=op.f("pk_sso_attempt")),
        sa.UniqueConstraint("handle_digest", name=op.f("uq_sso_attempt_handle_digest")),
    )
    op.create_index("ix_sso_attempt_expires_at", "sso_attempt", ["expires_at"])
    op.create_table(
        "sso_logout_token",
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("jti_digest", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("provider", "jti_digest", name=op.f("pk_sso_logout_token")),
    )
    op.create_index("ix_sso_logout_token_expires_at", "sso_logout_token", ["expires_at"])
    op.create_table(
        "oauth_client_assertion",
        sa.Column("client_id", sa.String(length=32), nullable=False),
        sa.Column("jti_digest", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["oauth_client.client_id"],
            name=op.f("fk_oauth_client_assertion_client_id"),
        ),
        sa.PrimaryKeyConstraint("client_id", "jti_digest", name=op.f("pk_oauth_client_assertion")),
    )
    op.create_index(
        "ix_oauth_client_assertion_expires_at", "oauth_client_assertion", ["expires_at"]
    )
    op.create_table(
        "oauth_grant",
        sa.Column("client_id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("claims", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("purposes", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_client.client_id"], name=op.f("fk_oauth_grant_client_id")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_oauth_grant_subject_id")
        ),
        sa.PrimaryKeyConstraint("client_id", "subject_id", name=op.f("pk_oauth_grant")),
    )
    op.create_index("ix_oauth_grant_subject_id", "oauth_grant", ["subject_id"])
    op.create_table(
        "oauth_logout_message",
        sa.Column("message_id", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=32), nullable=False),
        sa.Column("cause", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_result", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["oauth_client.client_id"],
            name=op.f("fk_oauth_logout_message_client_id"),
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_oauth_logout_message")),
    )
    op.create_index("ix_oauth_logout_message_client_id", "oauth_logout_message", ["client_id"])
    op.create_index("ix_oauth_logout_message_created_at", "oauth_logout_message", ["created_at"])
    op.create_table(
        "oauth_pushed_request",
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["oauth_client.client_id"],
            name=op.f("fk_oauth_pushed_request_client_id"),
        ),
        sa.PrimaryKeyConstraint("request_digest", name=op.f("pk_oauth_pushed_request")),
    )
    op.create_index("ix_oauth_pushed_request_client_id", "oauth_pushed_request", ["client_id"])
    op.create_index("ix_oauth_pushed_request_expires_at", "oauth_pushed_request", ["expires_at"])
    op.create_table(
        "oauth_refresh_family",
        sa.Column("family_id", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("claims", sa.Text(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=True),
        sa.Column("code_digest", sa.String(length=64), nullable=False),
        sa.Column("auth_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("methods", sa.String(length=200), nullable=False),
        sa.Column("sid", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["oauth_client.client_id"],
            name=op.f("fk_oauth_refresh_family_client_id"),
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_oauth_refresh_family_subject_id")
        ),
        sa.PrimaryKeyConstraint("family_id", name=op.f("pk_oauth_refresh_family")),
        sa.UniqueConstraint("code_digest", name=op.f("uq_oauth_refresh_family_code_digest")),
    )
    op.create_index("ix_oauth_refresh_family_client_id", "oauth_refresh_family", ["client_id"])
    op.create_index("ix_oauth_refresh_family_expires_at", "oauth_refresh_family", ["expires_at"])
    op.create_index("ix_oauth_refresh_family_sid", "oauth_refresh_family", ["sid"])
    op.create_index("ix_oauth_refresh_family_subject_id", "oauth_refresh_family", ["subject_id"])
    op.create_table(
        "oauth_sign_in",
        sa.Column("sid", sa.String(length=32), nullable=False),
        sa.Column("session_family", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["oauth_client.client_id"], name=op.f("fk_oauth_sign_in_client_id")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_oauth_sign_in_subject_id")
        ),
        sa.PrimaryKeyConstraint("sid", name=op.f("pk_oauth_sign_in")),
        sa.UniqueConstraint(
            "session_family", "client_id", name=op.f("uq_oauth_sign_in_session_family_client_id")
        ),
    )
    op.create_index("ix_oauth_sign_in_client_id", "oauth_sign_in", ["client_id"])
    op.create_index("ix_oauth_sign_in_ended_at", "oauth_sign_in", ["ended_at"])
    op.create_index("ix_oauth_sign_in_session_family", "oauth_sign_in", ["session_family"])
    op.create_index("ix_oauth_sign_in_subject_id", "oauth_sign_in", ["subject_id"])
    op.create_table(
        "oauth_refresh_token",
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("family_id", sa.String(length=32), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_scope", sa.Text(), nullable=True),
        sa.Column("used_audience", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["family_id"],
            ["oauth_refresh_family.family_id"],
            name=op.f("fk_oauth_refresh_token_family_id"),
        ),
        sa.PrimaryKeyConstraint("token_digest", name=op.f("pk_oauth_refresh_token")),
    )
    op.create_index("ix_oauth_refresh_token_family_id", "oauth_refresh_token", ["family_id"])
    op.create_table(
        "sso_arrival",
        sa.Column("arrival_digest", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_sso_arrival_account_id")
        ),
        sa.PrimaryKeyConstraint("arrival_digest", name=op.f("pk_sso_arrival")),
    )
    op.create_index("ix_sso_arrival_account_id", "sso_arrival", ["account_id"])
    op.create_index("ix_sso_arrival_expires_at", "sso_arrival", ["expires_at"])
    op.create_table(
        "sso_identity",
        sa.Column("identity_id", sa.String(length=32), nullable=False),
        sa.Column("issuer", sa.String(length=512), nullable=False),
        sa.Column("sub_index", sa.LargeBinary(length=16), nullable=False),
        sa.Column("sub_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.account_id"], name=op.f("fk_sso_identity_account_id")
        ),
        sa.PrimaryKeyConstraint("identity_id", name=op.f("pk_sso_identity")),
        sa.UniqueConstraint("issuer", "sub_index", name=op.f("uq_sso_identity_issuer_sub_index")),
    )
    op.create_index("ix_sso_identity_account_id", "sso_identity", ["account_id"])
    op.add_column(
        "oauth_client",
        sa.Column("token_format", sa.String(length=8), server_default="opaque", nullable=False),
    )
    op.add_column(
        "oauth_client",
        sa.Column("audiences", sa.Text(), server_default=sa.text("''"), nullable=False),
    )
    op.add_column(
        "oauth_client",
        sa.Column("require_par", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("oauth_client", sa.Column("backchannel_logout_uri", sa.Text(), nullable=True))
    op.add_column(
        "oauth_client",
        sa.Column("ends_with_withdrawal", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("oauth_client", sa.Column("jwks", sa.Text(), nullable=True))
    op.add_column("oauth_code", sa.Column("sid", sa.String(length=32), nullable=True))
    op.add_column("oauth_code", sa.Column("audience", sa.Text(), nullable=True))
    op.add_column(
        "oauth_code", sa.Column("claims", sa.Text(), server_default=sa.text("''"), nullable=False)
    )
    op.add_column("oauth_token", sa.Column("family_id", sa.String(length=32), nullable=True))
    op.add_column("oauth_token", sa.Column("sid", sa.String(length=32), nullable=True))
    op.add_column("oauth_token", sa.Column("audience", sa.Text(), nullable=True))
    op.add_column(
        "oauth_token", sa.Column("claims", sa.Text(), server_default=sa.text("''"), nullable=False)
    )
    op.create_index("ix_oauth_token_family_id", "oauth_token", ["family_id"])
    op.create_index("ix_oauth_token_sid", "oauth_token", ["sid"])
    op.add_column("pending_registration", sa.Column("arrival", sa.String(length=64), nullable=True))
    op.add_column("session", sa.Column("family_id", sa.String(length=32), nullable=True))
    op.add_column("session", sa.Column("identity_id", sa.String(length=32), nullable=True))
    op.add_column("session", sa.Column("upstream_session", sa.String(length=64), nullable=True))
    op.create_index("ix_session_family_id", "session", ["family_id"])
    op.create_index("ix_session_identity_id", "session", ["identity_id"])
    op.create_index("ix_session_upstream_session", "session", ["upstream_session"])
    op.add_column(
        "sign_in_second_step", sa.Column("identity_id", sa.String(length=32), nullable=True)
    )
    op.add_column(
        "sign_in_second_step", sa.Column("upstream_session", sa.String(length=64), nullable=True)
    )
    op.add_column("sign_in_second_step", sa.Column("arrival", sa.String(length=64), nullable=True))
    op.create_index("ix_sign_in_second_step_identity_id", "sign_in_second_step", ["identity_id"])
    op.create_index(
        "ix_sign_in_second_step_upstream_session", "sign_in_second_step", ["upstream_session"]
    )
    op.add_column(
        "signing_key", sa.Column("active_from", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column(
        "signing_key", sa.Column("published_until", sa.DateTime(timezone=True), nullable=True)
    )

    # A session begun before keeps a name over its secret ids too.
    op.execute("UPDATE session SET family_id = substr(session_digest, 1, 32)")
    # Whoever was sent on to an application with a code knows that application.
    op.execute(
        "INSERT INTO oauth_grant "
        "(client_id, subject_id, scope, claims, purposes, made_at, last_used_at) "
        "SELECT client_id, subject_id, 'openid', '', '', min(issued_at), max(issued_at) "
        "FROM oauth_code GROUP BY client_id, subject_id"
    )


def downgrade() -> None:
    op.drop_column("signing_key", "published_until")
    op.drop_column("signing_key", "active_from")
    op.drop_index("ix_sign_in_second_step_upstream_session", "sign_in_second_step")
    op.drop_index("ix_sign_in_second_step_identity_id", "sign_in_second_step")
    op.drop_column("sign_in_second_step", "arrival")
    op.drop_column("sign_in_second_step", "upstream_session")
    op.drop_column("sign_in_second_step", "identity_id")
    op.drop_index("ix_session_upstream_session", "session")
    op.drop_index("ix_session_identity_id", "session")
    op.drop_index("ix_session_family_id", "session")
    op.drop_column("session", "upstream_session")
    op.drop_column("session", "identity_id")
    op.drop_column("session", "family_id")
    op.drop_column("pending_registration", "arrival")
    op.drop_index("ix_oauth_token_sid", "oauth_token")
    op.drop_index("ix_oauth_token_family_id", "oauth_token")
    op.drop_column("oauth_token", "claims")
    op.drop_column("oauth_token", "audience")
    op.drop_column("oauth_token", "sid")
    op.drop_column("oauth_token", "family_id")
    op.drop_column("oauth_code", "claims")
    op.drop_column("oauth_code", "audience")
    op.drop_column("oauth_code", "sid")
    op.drop_column("oauth_client", "jwks")
    op.drop_column("oauth_client", "ends_with_withdrawal")
    op.drop_column("oauth_client", "backchannel_logout_uri")
    op.drop_column("oauth_client", "require_par")
    op.drop_column("oauth_client", "audiences")
    op.drop_column("oauth_client", "token_format")
    op.drop_table("sso_identity")
    op.drop_table("sso_arrival")
    op.drop_table("oauth_refresh_token")
    op.drop_table("oauth_sign_in")
    op.drop_table("oauth_refresh_family")
    op.drop_table("oauth_pushed_request")
    op.drop_table("oauth_logout_message")
    op.drop_table("oauth_grant")
    op.drop_table("oauth_client_assertion")
    op.drop_table("sso_logout_token")
    op.drop_table("sso_attempt")
