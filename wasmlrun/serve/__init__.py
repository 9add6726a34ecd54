"""The server: a folder of Wasm Workers Server as it is, and workers and models as an API.

The process that talks to the network runs no guest and parses no picture: that is done in
children (`work`), which may crash, hang and be replaced.
"""
