"""The tables of the first release.

Revision ID: 0001
"""

from alembic import op

from migrations.insert_only import refuse
from privacy.database import Base

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    Base.metadata.create_all(op.get_bind())
    for table in ("audit_entry", "audit_leaf", "audit_checkpoint"):
        refuse(table, "UPDATE", "DELETE")


def downgrade() -> None:
    Base.metadata.drop_all(op.get_bind())
