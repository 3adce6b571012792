"""Rights requests: access, rectification, erasure, objection and the others. docs/law/rights.md."""
