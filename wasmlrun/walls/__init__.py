"""What the process that does the work can no longer do: files, programs, networks, other processes.

Not WebAssembly's sandbox, which holds the guest, but one around it: native code that parses models
and pictures is in here too, and what takes it over finds itself with less than its user's rights.
"""
