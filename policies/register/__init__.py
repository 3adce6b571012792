"""The company's own documents: what it does with people's data, why, for how long, and in what words.

`model` says what a register is, `loader` reads one from its folder, `linter` holds it against the
law, `publication` puts its notices in force. `example/` is a whole register of an invented shop.
`docs/register.md` tells a company how to write its own.
"""
