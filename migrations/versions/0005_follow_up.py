"""What followed: letters that were not sent, and whose a guardianship was before a merge.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

#: What only a search for people reads: whole, or of those alone whom it says.
SEARCHED = (
    ("ix_pseudonym_names", "pseudonym", ("domain_id", "value", "subject_id"), None),
    (
        "ix_consent_state_given",
        "consent_state",
        (
            *("purpose", "subject_id", "at", "notice_version", "expires_at"),
            *("explicit", "channel", "said_by", "action"),
        ),
        "action IN ('given', 'renewed')",
    ),
    (
        "ix_subject_identifier_proved",
        "subject_identifier",
        ("subject_id",),
        "verified_at IS NOT NULL",
    ),
    (
        "ix_subject_notable",
        "subject",
        ("subject_id",),
        (
            "merged_into IS NOT NULL OR restricted_at IS NOT NULL OR leaving_at IS NOT NULL"
            " OR blocked_at IS NOT NULL OR minor_until IS NOT NULL OR deceased_at IS NOT NULL"
            " OR erased_at IS NOT NULL"
        ),
    ),
)


def upgrade() -> None:
    op.add_column(
        "consent_confirmation",
        sa.Column("mailed", sa.Boolean(), server_default=sa.true(), nullable=False),
    )
    op.add_column("guardianship", sa.Column("noted_for", sa.String(length=32), nullable=True))
    op.add_column(
        "decision_use_spooled",
        sa.Column("written", sa.BigInteger(), server_default="0", nullable=False),
    )

    for name, table, columns, of in SEARCHED:
        where = sa.text(of) if of else None
        op.create_index(
            name,
            table,
            list(columns),
            unique=name == "ix_subject_notable",
            sqlite_where=where,
            postgresql_where=where,
        )


def downgrade() -> None:
    for name, table, _columns, _of in SEARCHED:
        op.drop_index(name, table_name=table)
    op.drop_column("decision_use_spooled", "written")
    op.drop_column("guardianship", "noted_for")
    op.drop_column("consent_confirmation", "mailed")
