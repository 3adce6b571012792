"""The law as pure functions: values in, decision out.

Standard library only; no input or output, clock, random source or framework. The one exception
is :mod:`policies.register`, which reads the company's own documents from files.
"""
