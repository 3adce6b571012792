"""How far an order to end consents is, letters to one address, and whose word a file proves.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


#: What somebody else said for the person, so far: the file that proves it is theirs.
SPOKEN_FOR = (
    "UPDATE consent_attachment SET said_by = (SELECT max(said_by) FROM consent_event"
    " WHERE consent_event.attachment = consent_attachment.digest"
    " AND consent_event.subject_id = consent_attachment.subject_id"
    " AND said_by IN ('guardian', 'representative'))"
)


def upgrade() -> None:
    op.add_column("consent_ending", sa.Column("consents", sa.Integer(), nullable=True))
    op.add_column("consent_ending", sa.Column("after_subject", sa.String(length=32), nullable=True))
    op.add_column("consent_ending", sa.Column("after_purpose", sa.String(length=64), nullable=True))
    is_merged = sa.text("merged_at IS NOT NULL")
    op.create_index(
        "ix_subject_merged_at",
        "subject",
        ["merged_at"],
        sqlite_where=is_merged,
        postgresql_where=is_merged,
    )
    op.add_column("consent_attachment", sa.Column("said_by", sa.String(length=16), nullable=True))
    op.execute(SPOKEN_FOR)
    op.create_table(
        "letter_count",
        sa.Column("letter", sa.String(length=32), nullable=False),
        sa.Column("index_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("blind_index", sa.LargeBinary(length=16), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "letter", "index_version", "blind_index", name=op.f("pk_letter_count")
        ),
    )
    op.create_index(op.f("ix_letter_count_last_at"), "letter_count", ["last_at"])


def downgrade() -> None:
    op.drop_index("ix_subject_merged_at", table_name="subject")
    op.drop_index(op.f("ix_letter_count_last_at"), table_name="letter_count")
    op.drop_table("letter_count")
    op.drop_column("consent_attachment", "said_by")
    for column in ("after_purpose", "after_subject", "consents"):
        op.drop_column("consent_ending", column)
