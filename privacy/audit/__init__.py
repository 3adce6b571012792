"""The log that proves itself to outsiders. docs/decisions/0003 fixes its encodings."""
