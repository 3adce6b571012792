"""Consent in full: whose word, past moments, guardians, lists, imports, asking, idempotency.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

from migrations.insert_only import refuse
from migrations.one_host import demand_epoch, free_of_epoch

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")

#: What decisions about people read, and what tells who calls.
GUARDED = (
    "oauth_client",
    "subject",
    "consent_state",
    "exclusion_list",
    "guardianship",
    "marketing_wanted",
    "objection",
    "pseudonym",
    "subject_identifier",
    "suppression",
    "oauth_token",
)

_ADD = "INSERT INTO person_fact (subject_id, kind, purpose, holds, value_at, into_subject, at, recorded_at) "
WHAT_STANDS = (
    *(
        f"SELECT subject_id, '{kind}', NULL, true, NULL, NULL, {kind}_at, {kind}_at"  # noqa: S608 - words of ours
        f" FROM subject WHERE {kind}_at IS NOT NULL"
        for kind in ("restricted", "leaving", "blocked", "deceased", "erased")
    ),
    (
        "SELECT subject_id, 'minor', NULL, true, minor_until, NULL, created_at, created_at"
        " FROM subject WHERE minor_until IS NOT NULL"
    ),
    (
        "SELECT subject_id, 'verified', NULL, true, NULL, NULL, MIN(verified_at), MIN(verified_at)"
        " FROM subject_identifier WHERE verified_at IS NOT NULL GROUP BY subject_id"
    ),
    "SELECT subject_id, 'objected', purpose, true, NULL, NULL, since, since FROM objection",
    (
        "SELECT subject_id, 'merged', NULL, true, NULL, merged_into, merged_at, merged_at"
        " FROM subject WHERE merged_into IS NOT NULL AND merged_at IS NOT NULL"
    ),
)


def upgrade() -> None:
    op.create_table(
        "consent_ending",
        sa.Column("ending_id", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("notice", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("recorded_by", sa.String(length=200), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("ordered_by", sa.String(length=200), nullable=False),
        sa.Column("given_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("ending_id", name=op.f("pk_consent_ending")),
    )
    op.create_table(
        "consent_import",
        sa.Column("import_id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("position", BIG, nullable=False),
        sa.Column("line", BIG, nullable=False),
        sa.Column("recorded", BIG, nullable=False),
        sa.Column("repeated", BIG, nullable=False),
        sa.Column("refused", BIG, nullable=False),
        sa.Column("refused_bytes", BIG, nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("import_id", name=op.f("pk_consent_import")),
        sa.UniqueConstraint("digest", name=op.f("uq_consent_import_digest")),
    )
    op.create_table(
        "decision_use_spooled",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_decision_use_spooled")),
    )
    op.create_table(
        "exclusion",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("index_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("blind_index", sa.LargeBinary(length=16), nullable=False),
        sa.Column("import_id", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint(
            "kind", "index_version", "blind_index", "import_id", name=op.f("pk_exclusion")
        ),
    )
    op.create_index("ix_exclusion_import_id", "exclusion", ["import_id"])
    op.create_table(
        "exclusion_import",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("import_id", sa.String(length=32), nullable=False),
        sa.Column("source_digest", sa.String(length=64), nullable=False),
        sa.Column("lines_done", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_exclusion_import")),
    )
    op.create_table(
        "idempotency",
        sa.Column("key_digest", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_digest", name=op.f("pk_idempotency")),
    )
    op.create_index("ix_idempotency_expires_at", "idempotency", ["expires_at"])
    op.create_table(
        "shared_facts",
        sa.Column("epoch", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("epoch", name=op.f("pk_shared_facts")),
    )
    op.create_table(
        "access_request",
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("unit", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("return_to", sa.Text(), nullable=True),
        sa.Column("evidence_id", sa.String(length=160), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("never", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_access_request_subject_id")
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_access_request")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_access_request_token_digest")),
    )
    op.create_index("ix_access_request_expires_at", "access_request", ["expires_at"])
    op.create_index("ix_access_request_subject_id_unit", "access_request", ["subject_id", "unit"])
    op.create_table(
        "consent_asked",
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_consent_asked_subject_id")
        ),
        sa.PrimaryKeyConstraint("subject_id", "purpose", "version", name=op.f("pk_consent_asked")),
    )
    op.create_table(
        "consent_attachment",
        sa.Column("attachment_id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.String(length=32), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("added_by", sa.String(length=200), nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["audit_entry.entry_id"], name=op.f("fk_consent_attachment_entry_id")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_consent_attachment_subject_id")
        ),
        sa.PrimaryKeyConstraint("attachment_id", name=op.f("pk_consent_attachment")),
    )
    op.create_index("ix_consent_attachment_subject_id", "consent_attachment", ["subject_id"])
    op.create_table(
        "consent_confirmation",
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("event_id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("identifier_id", sa.String(length=32), nullable=False),
        sa.Column("explicit", sa.Boolean(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_consent_confirmation_subject_id")
        ),
        sa.PrimaryKeyConstraint("token_digest", name=op.f("pk_consent_confirmation")),
        sa.UniqueConstraint("event_id", name=op.f("uq_consent_confirmation_event_id")),
    )
    op.create_index("ix_consent_confirmation_expires_at", "consent_confirmation", ["expires_at"])
    op.create_index(
        "ix_consent_confirmation_subject_id_purpose",
        "consent_confirmation",
        ["subject_id", "purpose"],
    )
    op.create_table(
        "consent_reminder",
        sa.Column("event_id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_consent_reminder_subject_id")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_consent_reminder")),
    )
    op.create_index("ix_consent_reminder_subject_id", "consent_reminder", ["subject_id"])
    op.create_table(
        "exclusion_list",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("in_force", sa.String(length=32), nullable=True),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("addresses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["audit_entry.entry_id"], name=op.f("fk_exclusion_list_entry_id")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_exclusion_list")),
    )
    op.create_table(
        "gpc_signal",
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["audit_entry.entry_id"], name=op.f("fk_gpc_signal_entry_id")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_gpc_signal_subject_id")
        ),
        sa.PrimaryKeyConstraint("subject_id", "source", name=op.f("pk_gpc_signal")),
    )
    op.create_table(
        "guardianship",
        sa.Column("guardianship_id", sa.String(length=32), nullable=False),
        sa.Column("child_id", sa.String(length=32), nullable=False),
        sa.Column("guardian_id", sa.String(length=32), nullable=True),
        sa.Column("relation", sa.String(length=16), nullable=True),
        sa.Column("contact_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("token_digest", sa.String(length=64), nullable=True),
        sa.Column("invited_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("invited_by", sa.String(length=200), nullable=False),
        sa.Column("invitation_ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attachment", sa.String(length=64), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end", sa.String(length=16), nullable=True),
        sa.Column("entry_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["child_id"], ["subject.subject_id"], name=op.f("fk_guardianship_child_id")
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["audit_entry.entry_id"], name=op.f("fk_guardianship_entry_id")
        ),
        sa.ForeignKeyConstraint(
            ["guardian_id"], ["subject.subject_id"], name=op.f("fk_guardianship_guardian_id")
        ),
        sa.PrimaryKeyConstraint("guardianship_id", name=op.f("pk_guardianship")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_guardianship_token_digest")),
    )
    op.create_index("ix_guardianship_child_id", "guardianship", ["child_id"])
    op.create_index("ix_guardianship_guardian_id", "guardianship", ["guardian_id"])
    op.create_table(
        "marketing_wanted",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("index_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("blind_index", sa.LargeBinary(length=16), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["audit_entry.entry_id"], name=op.f("fk_marketing_wanted_entry_id")
        ),
        sa.PrimaryKeyConstraint(
            "kind", "index_version", "blind_index", "purpose", name=op.f("pk_marketing_wanted")
        ),
    )
    op.create_table(
        "person_fact",
        sa.Column("ordinal", BIG, autoincrement=True, nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=True),
        sa.Column("holds", sa.Boolean(), nullable=False),
        sa.Column("value_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("into_subject", sa.String(length=32), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["audit_entry.entry_id"], name=op.f("fk_person_fact_entry_id")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.subject_id"], name=op.f("fk_person_fact_subject_id")
        ),
        sa.PrimaryKeyConstraint("ordinal", name=op.f("pk_person_fact")),
    )
    op.create_index("ix_person_fact_subject_id_kind", "person_fact", ["subject_id", "kind"])
    op.create_table(
        "purpose_description",
        sa.Column("register_revision", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["register_revision"],
            ["register_revision.digest"],
            name=op.f("fk_purpose_description_register_revision"),
        ),
        sa.PrimaryKeyConstraint(
            "register_revision", "purpose", name=op.f("pk_purpose_description")
        ),
    )
    op.create_table(
        "register_in_force",
        sa.Column("ordinal", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["digest"], ["register_revision.digest"], name=op.f("fk_register_in_force_digest")
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["audit_entry.entry_id"], name=op.f("fk_register_in_force_entry_id")
        ),
        sa.PrimaryKeyConstraint("ordinal", name=op.f("pk_register_in_force")),
    )
    op.create_index("ix_register_in_force_since", "register_in_force", ["since"])
    op.create_table(
        "suppression",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("index_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("blind_index", sa.LargeBinary(length=16), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["audit_entry.entry_id"], name=op.f("fk_suppression_entry_id")
        ),
        sa.PrimaryKeyConstraint(
            "kind", "index_version", "blind_index", "purpose", name=op.f("pk_suppression")
        ),
    )
    op.create_table(
        "guardian_word",
        sa.Column("event_id", sa.String(length=32), nullable=False),
        sa.Column("guardianship_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["guardianship_id"],
            ["guardianship.guardianship_id"],
            name=op.f("fk_guardian_word_guardianship_id"),
        ),
        sa.PrimaryKeyConstraint("event_id", "guardianship_id", name=op.f("pk_guardian_word")),
    )
    op.create_index("ix_guardian_word_guardianship_id", "guardian_word", ["guardianship_id"])
    op.add_column(
        "consent_event",
        sa.Column("said_by", sa.String(length=16), server_default="person", nullable=False),
    )
    op.add_column(
        "consent_event", sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("consent_event", sa.Column("attachment", sa.String(length=64), nullable=True))
    op.add_column("consent_event", sa.Column("follows", sa.String(length=32), nullable=True))
    op.add_column(
        "consent_state",
        sa.Column("said_by", sa.String(length=16), server_default="person", nullable=False),
    )
    op.create_index("ix_consent_state_expires_at", "consent_state", ["expires_at"])
    op.add_column("register_revision", sa.Column("rules", sa.Text(), nullable=True))
    op.add_column("subject", sa.Column("deceased_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("subject", sa.Column("lift_told_at", sa.DateTime(timezone=True), nullable=True))

    # What decisions read of people until now; from here on, each change is noted.
    for standing in WHAT_STANDS:
        op.execute(_ADD + standing)
    refuse("person_fact", "UPDATE")  # rows go when the evidence's own term ends
    op.execute(
        "INSERT INTO register_in_force (digest, since)"
        " SELECT digest, published_at FROM register_revision ORDER BY published_at"
    )
    refuse("register_in_force", "UPDATE", "DELETE")
    demand_epoch(*GUARDED)


def downgrade() -> None:
    free_of_epoch(*GUARDED)
    op.drop_column("subject", "lift_told_at")
    op.drop_column("subject", "deceased_at")
    op.drop_column("register_revision", "rules")
    op.drop_index("ix_consent_state_expires_at", "consent_state")
    op.drop_column("consent_state", "said_by")
    op.drop_column("consent_event", "follows")
    op.drop_column("consent_event", "attachment")
    op.drop_column("consent_event", "recorded_at")
    op.drop_column("consent_event", "said_by")
    op.drop_table("guardian_word")
    op.drop_table("suppression")
    op.drop_table("register_in_force")
    op.drop_table("purpose_description")
    op.drop_table("person_fact")
    op.drop_table("marketing_wanted")
    op.drop_table("guardianship")
    op.drop_table("gpc_signal")
    op.drop_table("exclusion_list")
    op.drop_table("consent_reminder")
    op.drop_table("consent_confirmation")
    op.drop_table("consent_attachment")
    op.drop_table("consent_asked")
    op.drop_table("access_request")
    op.drop_table("shared_facts")
    op.drop_table("idempotency")
    op.drop_table("exclusion_import")
    op.drop_table("exclusion")
    op.drop_table("decision_use_spooled")
    op.drop_table("consent_import")
    op.drop_table("consent_ending")
